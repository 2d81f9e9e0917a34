//! What can go wrong in the store, by cause.
//!
//! All of it can be cloned, because one failed sync answers a whole batch of callers.

use std::{any::Any, path::PathBuf, sync::Arc, time::Duration};

/// An error of the store itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A commit or a sync failed earlier. Nothing more is accepted; reads stay at the last good state.
    /// A transaction that was under way may or may not be found applied after a restart.
    #[error("the store takes no more writes: {reason}; mend the cause and restart the server")]
    Failed {
        /// What failed.
        reason: Arc<str>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Another process (or another handle) has the folder open.
    #[error("the store in {} is in use by another process; stop that one first", path.display())]
    Locked {
        /// The store's folder.
        path: PathBuf,
    },
    /// The folder was written by a version of the store that this one does not know.
    #[error("the store in {} has format {found:?}, this server knows only {known:?}", path.display())]
    UnknownFormat {
        /// The store's folder.
        path: PathBuf,
        /// What its format file says.
        found: String,
        /// What this server writes.
        known: &'static str,
    },
    /// A file of the store does not hold what was once synced to it.
    #[error("{} is damaged: {reason}; restore the folder from a backup", path.display())]
    Damaged {
        /// The damaged file or folder.
        path: PathBuf,
        /// What was found.
        reason: Arc<str>,
    },
    /// The folder could not be opened, read or written.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// The file or folder concerned.
        path: PathBuf,
        /// What the system said.
        reason: Arc<str>,
    },
    /// Reading a row failed.
    #[error("reading from the store failed: {reason}")]
    Read {
        /// What failed.
        reason: Arc<str>,
    },
    /// A key is empty, too long, or begins with 0xFF.
    #[error("a key of {bytes} bytes is empty, longer than allowed, or begins with 0xFF")]
    KeyInvalid {
        /// Its length.
        bytes: usize,
    },
    /// A value is too long.
    #[error("a value of {bytes} bytes is longer than allowed")]
    ValueTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A transaction writes too much.
    #[error("a transaction of more than {} bytes", super::TRANSACTION_BYTES_MAX)]
    TransactionTooLarge,
    /// A closure took too long.
    #[error("a transaction took longer than allowed")]
    TransactionTooSlow,
    /// A range read asked for too many rows.
    #[error("a range read of {rows} rows asks for more than {}", super::RANGE_ROWS_MAX)]
    RangeTooLong {
        /// The limit asked for.
        rows: usize,
    },
    /// The store could not be reached, or did not answer in time. What was being done may or may not have taken
    /// effect. The request may be made again.
    #[error("the store did not answer within {} s", waited.as_secs())]
    Unreachable {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The file that names a FoundationDB cluster is missing or wrong.
    #[error("store.cluster_file {}: {reason}; it must be a copy of the cluster's own fdb.cluster", path.display())]
    ClusterFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: Arc<str>,
    },
    /// The FoundationDB cluster did not answer when the server started.
    #[error(
        "the FoundationDB cluster in {} does not answer within {} s: see that it runs (fdbcli --exec status) \
         and that the file is the cluster's own",
        path.display(),
        waited.as_secs()
    )]
    ClusterSilent {
        /// The file that names it.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The cluster's keys under the configured prefix are not this server's.
    #[error("store.prefix {prefix:?} is taken: {reason}; choose another prefix or another cluster")]
    PrefixTaken {
        /// The prefix.
        prefix: String,
        /// What was found.
        reason: Arc<str>,
    },
    /// The server was built without FoundationDB.
    #[error(
        "this program was built without FoundationDB: build it with --features foundationdb, or set \
         store.kind = \"embedded\""
    )]
    NoFoundationDb,
    /// What is asked for is done by the FoundationDB cluster itself.
    #[error("a store on FoundationDB is checked and compacted by its cluster: see fdbcli --exec status")]
    DoneByCluster,
    /// The cluster refused, for a reason that trying again does not mend.
    #[error("FoundationDB refused: {reason}")]
    Cluster {
        /// What it said.
        reason: Arc<str>,
    },
    /// A snapshot is older than the store keeps states. The caller takes a new one.
    #[error("a snapshot older than {} s was read from", super::SNAPSHOT_TIME_MAX.as_secs())]
    SnapshotTooOld,
    /// A closure awaited something that is not its transaction.
    #[error("a transaction closure awaited something other than its transaction")]
    ForeignAwait,
    /// A closure panicked. Its writes are gone; nobody else is harmed.
    #[error("a transaction closure panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: Arc<str>,
    },
}

impl StoreError {
    pub(super) fn folder(path: impl Into<PathBuf>, error: impl std::fmt::Display) -> Self {
        Self::Folder { path: path.into(), reason: error.to_string().into() }
    }

    pub(super) fn damaged(path: impl Into<PathBuf>, reason: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.into(), reason: reason.to_string().into() }
    }

    pub(super) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let message = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
            (Some(message), _) => (*message).into(),
            (None, Some(message)) => message.as_str().into(),
            (None, None) => "no message".into(),
        };
        Self::Panicked { message }
    }

    pub(super) fn read(error: impl std::fmt::Display) -> Self {
        Self::Read { reason: error.to_string().into() }
    }
}

/// Why [`super::Store::run`] gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError<E> {
    /// The closure returned this error; none of its writes was kept.
    #[error("the transaction was aborted: {0}")]
    Aborted(E),
    /// The store failed to run or to commit it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether the store accepts writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Good,
    /// It accepts nothing more; reads stay at the last good state.
    Failed {
        /// What failed.
        reason: Arc<str>,
    },
    /// It cannot be reached now, and takes no writes until it can. It recovers by itself.
    Unreachable,
    /// It was closed.
    Closed,
}
