//! What a store can be told when it is opened.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::limits::TRANSACTION_TIME_MAX;
#[cfg(feature = "fault-injection")]
use super::tally::StoreTally;
use crate::metrics::Metrics;

/// Options of [`super::Store::open`]. Those of files and threads mean nothing to the in-memory back end.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Memory for blocks read from disk. Default 64 MiB.
    pub cache_bytes: u64,
    /// Memory for rows that are not in tables yet. Counts when a store folder is made or compacted, not when
    /// an existing one is opened. Twice this may be in use while a table is written. Default 32 MiB.
    pub write_buffer_bytes: u64,
    /// Threads that write tables and merge them. Default 2.
    pub worker_threads: usize,
    /// What is counted and measured goes here. Default: where nobody looks.
    pub metrics: Arc<Metrics>,
    /// How long one run of a closure may take. Default [`TRANSACTION_TIME_MAX`], shorter in tests.
    pub transaction_time_max: Duration,
    /// Where what each transaction reads and writes is counted, for tests.
    #[cfg(feature = "fault-injection")]
    pub tally: Option<StoreTally>,
    /// A fault to commit on purpose, so that tests can show that they notice it.
    #[cfg(feature = "fault-injection")]
    pub fault: Option<StoreFault>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * 1024 * 1024,
            write_buffer_bytes: 32 * 1024 * 1024,
            worker_threads: 2,
            metrics: Metrics::new(),
            transaction_time_max: TRANSACTION_TIME_MAX,
            #[cfg(feature = "fault-injection")]
            tally: None,
            #[cfg(feature = "fault-injection")]
            fault: None,
        }
    }
}

/// Which part of which FoundationDB cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundationDbOptions {
    /// The file that says where the cluster is.
    pub cluster_file: PathBuf,
    /// What this deployment's keys begin with: several may share a cluster. Without zero bytes, and at most
    /// [`FoundationDbOptions::PREFIX_BYTES_MAX`] long.
    pub prefix: String,
}

impl FoundationDbOptions {
    /// Longest prefix.
    pub const PREFIX_BYTES_MAX: usize = 64;
}

#[cfg(feature = "foundationdb")]
impl StoreOptions {
    /// Counts what a run of a closure did, where somebody asked for it.
    #[cfg_attr(not(feature = "fault-injection"), expect(clippy::unused_self, reason = "nobody can ask"))]
    pub(super) fn count(&self, tally: super::tally::TransactionTally) {
        #[cfg(feature = "fault-injection")]
        if let Some(counted) = &self.tally {
            counted.transaction(tally);
        }
        #[cfg(not(feature = "fault-injection"))]
        let _ = tally;
    }
}

/// A fault that the store commits on purpose.
#[cfg(feature = "fault-injection")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// The journal is never synced.
    SkipSync,
    /// Callers are answered, and readers served, before the sync.
    AnswerBeforeSync,
    /// After this many good syncs the next one fails.
    FailSyncAfter(u64),
    /// Of each transaction on FoundationDB the answer to the first commit is lost, and the second run conflicts.
    LoseAnswerThenConflict,
    /// After this many good commits the next one fails before it writes.
    FailCommitAfter(u64),
}
