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
    #[error("development credentials: {0}")]
    Development(#[from] fulmar_server::DevelopmentError),
    #[error("the connection for a floor: {0}")]
    Quic(String),
    #[error("the server's process ended before its time")]
    ServerGone,
    #[error("{what} is not installed; install it with: {install}")]
    NotInstalled { what: String, install: String },
    #[error("{0}")]
    Wrong(String),
}

impl BenchError {
    pub(crate) fn quic(error: impl std::fmt::Display) -> Self {
        Self::Quic(error.to_string())
    }
}
