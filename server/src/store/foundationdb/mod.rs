//! The FoundationDB back end: many servers on one cluster.
//!
//! | file | what |
//! |---|---|
//! | `network` | the client library's thread |
//! | `cluster_file` | what is said about a wrong one |
//! | `keyspace` | the prefix, and the marker that says whose the keys under it are |
//! | `run` | the retry loop |
//! | `transaction` | what a closure reads and writes |
//! | `snapshot` | reading a state |
//! | `probe` | whether the cluster answers |
//! | `errors` | what its error codes mean |
//!
//! Absent: finding out that a closure awaits something other than its transaction. To the client library that looks
//! like a closure that takes its time. Absent too: checking and compacting, which the cluster does by itself.

mod cluster_file;
mod errors;
mod keyspace;
mod network;
mod probe;
mod run;
mod snapshot;
mod transaction;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use foundationdb::{Database, FdbError};
use tokio::time::timeout;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use self::{errors::store_error, keyspace::Keyspace, probe::Probe};
pub(super) use self::{snapshot::FdbSnapshot, transaction::FdbTransaction};
use super::{
    error::StoreError,
    limits::CLUSTER_ANSWER_TIME_MAX,
    options::{FoundationDbOptions, StoreOptions},
    range::KeyRange,
};

/// What stands at the prefix itself.
const MARKER_TEXT: &str = "fulmar store 1";
const MARKER: &[u8] = MARKER_TEXT.as_bytes();

/// How long opening waits before it reads the marker again.
const CLAIM_RETRY_DELAY: Duration = Duration::from_millis(50);

/// An open store.
#[derive(Debug, Clone)]
pub(super) struct FdbStore {
    inner: Arc<Inner>,
}

struct Inner {
    database: Arc<Database>,
    keyspace: Arc<Keyspace>,
    options: StoreOptions,
    probe: Probe,
    /// Calls of `run` that are under way; closed with the store.
    under_way: TaskTracker,
    /// The newest version at which this handle's writes were committed; 0 before the first.
    committed: AtomicI64,
    /// Dropped after all that is the library's.
    _stop: network::StopAtExit,
}

impl Inner {
    fn new(database: Arc<Database>, keyspace: Arc<Keyspace>, options: StoreOptions, probe: Probe) -> Self {
        Self {
            database,
            keyspace,
            options,
            probe,
            under_way: TaskTracker::new(),
            committed: AtomicI64::new(0),
            _stop: network::StopAtExit,
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoundationDb").field("keyspace", &self.keyspace).finish_non_exhaustive()
    }
}

impl FdbStore {
    /// Finds the cluster, and makes sure that the keys under the prefix are ours.
    pub(super) async fn open(place: &FoundationDbOptions, options: StoreOptions) -> Result<Self, StoreError> {
        let path = &place.cluster_file;
        cluster_file::check(path)?;
        let refused = |reason: String| StoreError::ClusterFile { path: path.clone(), reason: reason.into() };
        let Some(text) = path.to_str() else { return Err(refused("its name is not UTF-8".to_owned())) };
        network::start()?;
        // Dropped last, however this ends: a process that is refused ends at once, and the thread runs.
        let _stop = network::StopAtExit;
        let database = Database::from_path(text).map_err(|error| refused(error.to_string()))?;
        let (database, keyspace) = (Arc::new(database), Arc::new(Keyspace::new(&place.prefix)));
        let waited = CLUSTER_ANSWER_TIME_MAX;
        let no_answer = || StoreError::ClusterSilent { path: path.clone(), waited };
        match timeout(waited, probe::ask(&database, &keyspace)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(store_error(error, waited)),
            Err(_) => return Err(no_answer()),
        }
        let probe = Probe::start(Arc::clone(&database), Arc::clone(&keyspace), Arc::clone(&options.metrics));
        let store = Self { inner: Arc::new(Inner::new(database, keyspace, options, probe)) };
        let claimed = timeout(waited, store.claim(&place.prefix)).await;
        claimed.map_err(|_| no_answer())??;
        Ok(store)
    }

    /// Another server's way to the same keys.
    #[cfg(feature = "simulation")]
    pub(super) fn another(&self) -> Self {
        let (database, keyspace) = (Arc::clone(&self.inner.database), self.shared_keyspace());
        let options = self.options().clone();
        let probe = Probe::start(Arc::clone(&database), Arc::clone(&keyspace), Arc::clone(&options.metrics));
        Self { inner: Arc::new(Inner::new(database, keyspace, options, probe)) }
    }

    /// Reads the marker; writes it where there is nothing yet.
    async fn claim(&self, prefix: &str) -> Result<(), StoreError> {
        let taken = |reason| StoreError::PrefixTaken { prefix: prefix.to_owned(), reason };
        loop {
            match self.try_claim().await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(reason)) => return Err(taken(reason)),
                Err(error) if error.is_retryable() => tokio::time::sleep(CLAIM_RETRY_DELAY).await,
                Err(error) => return Err(store_error(error, Duration::ZERO)),
            }
        }
    }

    /// Whether the keys under the prefix are ours, or why not.
    async fn try_claim(&self) -> Result<Result<(), Arc<str>>, FdbError> {
        let transaction = self.database().create_trx()?;
        let marker = self.keyspace().marker();
        match transaction.get(marker, false).await? {
            Some(found) if *found == *MARKER => return Ok(Ok(())),
            Some(found) => {
                let found = String::from_utf8_lossy(&found);
                return Ok(Err(
                    format!("it is of format {found:?}, this server knows only {MARKER_TEXT:?}").into()
                ));
            }
            None => {}
        }
        let any = self.keyspace().read(&KeyRange::all(), 1, false);
        if let Some(row) = transaction.get_range(&any, 1, false).await?.first() {
            let key = self.keyspace().strip(row.key()).escape_ascii();
            return Ok(Err(format!("there are keys that are not Fulmar's, the first is {key}").into()));
        }
        transaction.set(marker, MARKER);
        transaction.commit().await?;
        Ok(Ok(()))
    }

    pub(super) fn snapshot(&self) -> FdbSnapshot {
        FdbSnapshot::new(self.clone(), None)
    }

    /// The state at the newest version that this handle committed at. Nobody has to be asked which that is.
    pub(super) fn snapshot_of_commits(&self) -> FdbSnapshot {
        let committed = Some(self.inner.committed.load(Ordering::Acquire)).filter(|version| *version > 0);
        FdbSnapshot::new(self.clone(), committed)
    }

    fn note_commit(&self, version: i64) {
        self.inner.committed.fetch_max(version, Ordering::AcqRel);
    }

    pub(super) fn accepting(&self) -> Result<(), StoreError> {
        self.still_open()?;
        if self.inner.probe.reachable() {
            Ok(())
        } else {
            Err(StoreError::Unreachable { waited: Duration::ZERO })
        }
    }

    /// Ends this handle's use of the cluster, when what it has under way is answered.
    pub(super) async fn close(&self) {
        self.inner.under_way.close();
        self.inner.under_way.wait().await;
    }

    fn still_open(&self) -> Result<(), StoreError> {
        if self.inner.under_way.is_closed() { Err(StoreError::Closed) } else { Ok(()) }
    }

    fn under_way(&self) -> TaskTrackerToken {
        self.inner.under_way.token()
    }

    fn database(&self) -> &Database {
        &self.inner.database
    }

    fn keyspace(&self) -> &Keyspace {
        &self.inner.keyspace
    }

    fn shared_keyspace(&self) -> Arc<Keyspace> {
        Arc::clone(&self.inner.keyspace)
    }

    fn options(&self) -> &StoreOptions {
        &self.inner.options
    }
}
