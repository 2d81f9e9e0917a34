//! The retry loop.
//!
//! The crate's own forgets at each attempt that an earlier one may have committed; here that stays said. Waiting
//! between attempts is the client library's: capped, jittered, and after an unknown result only once the lost
//! commit can no longer happen.

use std::{panic::AssertUnwindSafe, time::Duration};

use foundationdb::{FdbError, options::TransactionOption};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, timeout};

#[cfg(feature = "fault-injection")]
use super::errors::{COMMIT_UNKNOWN_RESULT, NOT_COMMITTED};
use super::{
    FdbStore,
    errors::store_error,
    transaction::{FdbTransaction, Left},
};
#[cfg(feature = "fault-injection")]
use crate::store::StoreFault;
use crate::store::{
    error::{RunError, StoreError},
    limits::RUN_TIME_MAX,
    transaction::Transaction,
};

/// The longest pause between two attempts, in milliseconds.
const RETRY_DELAY_MS_MAX: i32 = 250;

/// What is to be done after an attempt.
enum Next<T, E> {
    Done(Result<T, RunError<E>>),
    /// Once more after this, as soon as the client library has made the transaction ready for it.
    Again(FdbError, BoxFuture<'static, Result<foundationdb::Transaction, FdbError>>),
}

impl FdbStore {
    pub(in crate::store) async fn run<T, E, F>(&self, closure: F) -> Result<T, RunError<E>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.run_again(closure, false).await
    }

    /// As [`run`](Self::run), when an attempt before it may have committed.
    pub(in crate::store) async fn run_again<T, E, F>(
        &self,
        closure: F,
        maybe_committed: bool,
    ) -> Result<T, RunError<E>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.still_open()?;
        let _under_way = self.under_way();
        let waited = RUN_TIME_MAX;
        match timeout(waited, Box::pin(self.run_until_known(closure, maybe_committed))).await {
            Ok(outcome) => outcome,
            Err(_) => Err(RunError::Store(StoreError::Unreachable { waited })),
        }
    }

    async fn run_until_known<T, E, F>(&self, closure: F, mut maybe_committed: bool) -> Result<T, RunError<E>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let begun = Instant::now();
        let failed = |error| RunError::Store(store_error(error, begun.elapsed()));
        let mut inner = self.transaction().map_err(failed)?;
        for run in 0_u64.. {
            match self.attempt(inner, maybe_committed, &closure).await {
                Next::Done(Ok(value)) => match self.fault(run) {
                    None => return Ok(value),
                    Some(error) => {
                        maybe_committed |= error.is_maybe_committed();
                        inner = self.transaction().map_err(failed)?;
                    }
                },
                Next::Done(Err(error)) => return Err(error),
                Next::Again(error, ready) => {
                    maybe_committed |= error.is_maybe_committed();
                    // Gives an error back that is not to be tried again.
                    inner = ready.await.map_err(failed)?;
                }
            }
        }
        // Nobody lives to see it: the caller's time is over long before.
        Err(RunError::Store(StoreError::Unreachable { waited: begun.elapsed() }))
    }

    /// What is made of an answer that was good.
    #[cfg(feature = "fault-injection")]
    fn fault(&self, run: u64) -> Option<FdbError> {
        match (self.options().fault, run) {
            (Some(StoreFault::LoseAnswerThenConflict), 0) => Some(FdbError::from_code(COMMIT_UNKNOWN_RESULT)),
            (Some(StoreFault::LoseAnswerThenConflict), 1) => Some(FdbError::from_code(NOT_COMMITTED)),
            _ => None,
        }
    }

    #[cfg(not(feature = "fault-injection"))]
    #[expect(clippy::unused_self, reason = "a fault is the store's")]
    fn fault(&self, _run: u64) -> Option<FdbError> {
        None
    }

    async fn attempt<T, E, F>(
        &self,
        inner: foundationdb::Transaction,
        maybe_committed: bool,
        closure: &F,
    ) -> Next<T, E>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let time_max = self.options().transaction_time_max;
        let transaction = FdbTransaction::new(inner, self.shared_keyspace(), time_max, maybe_committed);
        let transaction = Transaction::foundationdb(transaction);
        let ran = AssertUnwindSafe(async { closure(&transaction).await }).catch_unwind().await;
        let Some(Left { inner, usable, failed_read, tally }) =
            transaction.into_foundationdb().map(FdbTransaction::leave)
        else {
            return Next::Done(Err(RunError::Store(StoreError::Closed)));
        };
        self.options().count(tally);
        let value = match (ran, failed_read) {
            (Err(panic), _) => return Next::Done(Err(RunError::Store(StoreError::panicked(&*panic)))),
            (Ok(_), Some(error)) => return Next::Again(error, Box::pin(inner.on_error(error))),
            (Ok(Err(error)), None) => return Next::Done(Err(RunError::Aborted(error))),
            (Ok(Ok(value)), None) => value,
        };
        if let Err(error) = usable {
            return Next::Done(Err(RunError::Store(error)));
        }
        let begun = Instant::now();
        match inner.commit().await {
            Ok(committed) => {
                // None where nothing was written.
                committed.committed_version().iter().for_each(|version| self.note_commit(*version));
                self.options().metrics.store_sync_seconds.record(begun.elapsed());
                Next::Done(Ok(value))
            }
            Err(failed) => Next::Again(*failed, Box::pin(failed.on_error())),
        }
    }

    fn transaction(&self) -> Result<foundationdb::Transaction, FdbError> {
        let transaction = self.database().create_trx()?;
        // The library gives up too, so that nothing is still being tried when the caller has been answered.
        transaction.set_option(TransactionOption::Timeout(milliseconds(RUN_TIME_MAX)))?;
        transaction.set_option(TransactionOption::MaxRetryDelay(RETRY_DELAY_MS_MAX))?;
        Ok(transaction)
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
