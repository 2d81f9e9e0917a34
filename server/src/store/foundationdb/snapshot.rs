//! Reading a state of the cluster.
//!
//! The state is taken at the first read, and so is at least as new as everything that was answered before the
//! snapshot was made. The cluster keeps it for five seconds; then reads say that it is too old. What fails in
//! passing is tried again within one read's time.

use std::time::Duration;

use bytes::Bytes;
use foundationdb::{FdbError, options::TransactionOption};
use tokio::{
    sync::OnceCell,
    time::{sleep, timeout},
};

use super::{
    FdbStore,
    errors::{TRANSACTION_TOO_OLD, store_error},
    transaction::read_range,
};
use crate::store::{
    account::{check_key, check_limit},
    error::StoreError,
    limits::READ_TIME_MAX,
    range::KeyRange,
};

/// How long a read waits before it tries again.
const RETRY_DELAY: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(in crate::store) struct FdbSnapshot {
    store: FdbStore,
    /// The version to read at, if it is not to be the newest.
    version: Option<i64>,
    state: OnceCell<foundationdb::Transaction>,
}

impl FdbSnapshot {
    pub(super) fn new(store: FdbStore, version: Option<i64>) -> Self {
        Self { store, version, state: OnceCell::new() }
    }

    pub(in crate::store) async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        check_key(key)?;
        self.store.still_open()?;
        let key = self.store.keyspace().key(key);
        let reading = async {
            let state = self.state().await?;
            loop {
                match state.get(&key, true).await {
                    Err(error) if passes(error) => sleep(RETRY_DELAY).await,
                    outcome => return outcome,
                }
            }
        };
        let value = within_its_time(reading).await?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    pub(in crate::store) async fn range(
        &self,
        range: KeyRange,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        check_limit(limit)?;
        let range = range.checked()?;
        self.store.still_open()?;
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let keyspace = self.store.keyspace();
        let reading = async {
            let state = self.state().await?;
            loop {
                match read_range(state, keyspace, &range, limit, reverse, true).await {
                    Err(error) if passes(error) => sleep(RETRY_DELAY).await,
                    outcome => return outcome,
                }
            }
        };
        within_its_time(reading).await
    }

    async fn state(&self) -> Result<&foundationdb::Transaction, FdbError> {
        self.state.get_or_try_init(|| self.take()).await
    }

    /// Takes the newest state, as soon as the cluster says which that is.
    async fn take(&self) -> Result<foundationdb::Transaction, FdbError> {
        loop {
            let state = self.store.database().create_trx()?;
            // Nothing is written, so there is nothing to keep for it.
            state.set_option(TransactionOption::ReadYourWritesDisable)?;
            if let Some(version) = self.version {
                state.set_read_version(version);
                return Ok(state);
            }
            match state.get_read_version().await {
                Ok(_) => return Ok(state),
                Err(error) if error.is_retryable() => sleep(RETRY_DELAY).await,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether trying again may mend it. A state that is gone stays gone.
fn passes(error: FdbError) -> bool {
    error.is_retryable() && error.code() != TRANSACTION_TOO_OLD
}

async fn within_its_time<T>(reading: impl Future<Output = Result<T, FdbError>>) -> Result<T, StoreError> {
    let waited = READ_TIME_MAX;
    match timeout(waited, reading).await {
        Ok(outcome) => outcome.map_err(|error| store_error(error, waited)),
        Err(_) => Err(StoreError::Unreachable { waited }),
    }
}
