//! What can go wrong in a measurement.

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the client: {0}")]
    Client(#[from] fulmar_client::ClientError),
    #[error("the server did not start: {0}")]
    Start(#[from] fulmar_server::StartError),
    #[error("the store: {0}")]
    Store(#[from] fulmar_server::StoreError),
    #[error("development credentials: {0}")]
    Development(#[from] fulmar_server::DevelopmentError),
    #[error("the certificates of a measurement: {0}")]
    Certificates(#[from] rcgen::Error),
    #[error("a raw QUIC connection: {0}")]
    Quic(String),
    #[error(transparent)]
    Link(#[from] crate::link::LinkError),
    #[error("the server's process ended before its time (killed, or it crashed): run again")]
    ServerGone,
    #[error("{what} is not installed; install it with: {install}")]
    NotInstalled { what: String, install: String },
    #[error("interrupted: nothing was written")]
    Interrupted,
    #[error("{0}")]
    Wrong(String),
}

impl BenchError {
    pub(crate) fn quic(error: impl std::fmt::Display) -> Self {
        Self::Quic(error.to_string())
    }

    pub(crate) fn wrong(error: impl std::fmt::Display) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// A task that panicked or was cancelled.
impl From<tokio::task::JoinError> for BenchError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::wrong(error)
    }
}
