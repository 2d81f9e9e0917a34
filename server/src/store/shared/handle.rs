//! One server's way to the shared store.
//!
//! Invariants:
//! - A run of a closure that was handed in may take effect whatever becomes of its caller: of a server that was cut
//!   off, too.
//! - Nothing waits longer than the contract says.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    StoreTrouble, StoreTroubleCounts,
    snapshot::SharedSnapshot,
    trouble::{Counters, Fate, heads},
    way::Way,
};
use crate::{
    clock::Rng,
    store::{
        counts::StoreCounts,
        error::{RunError, StoreError},
        limits::{READ_TIME_MAX, RUN_TIME_MAX},
        transaction::Transaction,
    },
};

/// How long a closure waits before it runs again, at most.
const RETRY_DELAY_MAX: Duration = Duration::from_millis(20);

/// One server's way to a [`SharedStore`](super::SharedStore). Clones are the same way.
#[derive(Debug, Clone)]
pub struct SharedHandle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    way: Way,
    rng: Rng,
    trouble: watch::Sender<StoreTrouble>,
    counters: Counters,
    cut_off: CancellationToken,
    /// Calls of `run` that are under way; closed with the store.
    under_way: TaskTracker,
}

/// Why one run of a closure left nothing behind.
enum Attempt<E> {
    /// The closure's own error.
    Own(E),
    /// It was thrown away.
    Thrown,
}

impl<E: From<StoreError>> From<StoreError> for Attempt<E> {
    fn from(error: StoreError) -> Self {
        Self::Own(error.into())
    }
}

impl SharedHandle {
    pub(super) fn new(way: Way, seed: u64) -> Self {
        let inner = Inner {
            way,
            rng: Rng::seeded(seed),
            trouble: watch::Sender::new(StoreTrouble::default()),
            counters: Counters::default(),
            cut_off: CancellationToken::new(),
            under_way: TaskTracker::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// From now on this goes wrong.
    pub fn set_trouble(&self, trouble: StoreTrouble) {
        self.inner.trouble.send_replace(trouble);
    }

    /// What goes wrong.
    #[must_use]
    pub fn trouble(&self) -> StoreTrouble {
        *self.inner.trouble.borrow()
    }

    /// What went wrong so far.
    #[must_use]
    pub fn counts(&self) -> StoreTroubleCounts {
        self.inner.counters.show()
    }

    /// The server crashes: nobody is answered any more, and closures that were under way take effect or not. For
    /// its next start it gets another handle.
    pub fn cut_off(&self) {
        self.inner.cut_off.cancel();
    }

    pub(in crate::store) async fn run<T, E, F>(&self, closure: F) -> Result<T, RunError<E>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.open()?;
        let _under_way = self.inner.under_way.token();
        self.within(RUN_TIME_MAX, self.run_until_known(Arc::new(closure))).await?
    }

    /// Runs the closure again and again until its outcome is known.
    async fn run_until_known<T, E, F>(&self, closure: Arc<F>) -> Result<T, RunError<E>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let mut maybe_committed = false;
        loop {
            self.reachable().await;
            let fate = self.trouble().fate(&self.inner.rng);
            self.inner.counters.count(fate);
            let (handle, closure) = (self.clone(), Arc::clone(&closure));
            // A task of its own: on its way to the store, and no longer its caller's.
            let attempt = tokio::spawn(async move { handle.attempt(closure, fate, maybe_committed).await });
            let outcome = attempt.await.map_err(|_| StoreError::Closed)?;
            self.delay(self.trouble().delay_after_max).await;
            let arrives = !self.trouble().unreachable;
            match outcome {
                Ok(value) if fate == Fate::Good && arrives => return Ok(value),
                Err(RunError::Aborted(Attempt::Own(error))) if arrives => {
                    return Err(RunError::Aborted(error));
                }
                Err(RunError::Aborted(Attempt::Thrown)) if fate == Fate::Conflict && arrives => {}
                Err(RunError::Store(error)) if arrives && !is_of_restart(&error) => {
                    return Err(RunError::Store(error));
                }
                _ => maybe_committed = true,
            }
            self.delay(RETRY_DELAY_MAX).await;
        }
    }

    async fn attempt<T, E, F>(
        self,
        closure: Arc<F>,
        fate: Fate,
        maybe_committed: bool,
    ) -> Result<T, RunError<Attempt<E>>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.delay(self.trouble().delay_before_max).await;
        if self.inner.cut_off.is_cancelled() && heads(&self.inner.rng) {
            return Err(RunError::Store(cut_off()));
        }
        let ran = self.inner.way.run_again(
            move |transaction| {
                let closure = Arc::clone(&closure);
                Box::pin(async move {
                    let value = closure(transaction).await.map_err(Attempt::Own)?;
                    if fate.commits() { Ok(value) } else { Err(Attempt::Thrown) }
                })
            },
            maybe_committed,
        );
        ran.await
    }

    pub(in crate::store) fn snapshot(&self) -> SharedSnapshot {
        SharedSnapshot::new(self.clone(), heads(&self.inner.rng))
    }

    pub(in crate::store) fn snapshot_of_commits(&self) -> SharedSnapshot {
        SharedSnapshot::of_commits(self.clone(), heads(&self.inner.rng))
    }

    pub(super) fn way(&self) -> &Way {
        &self.inner.way
    }

    /// Waits for as long as a read takes to arrive.
    pub(super) async fn arrive(&self) -> Result<(), StoreError> {
        self.open()?;
        let arrival = async {
            self.reachable().await;
            self.delay(self.trouble().delay_before_max).await;
        };
        self.within(READ_TIME_MAX, arrival).await
    }

    pub(in crate::store) fn accepting(&self) -> Result<(), StoreError> {
        self.open()?;
        if self.trouble().unreachable {
            return Err(StoreError::Unreachable { waited: Duration::ZERO });
        }
        Ok(())
    }

    /// Ends this server's use of the store, when what it has under way is answered. The others go on.
    pub(in crate::store) async fn close(&self) {
        self.inner.under_way.close();
        self.inner.under_way.wait().await;
        self.inner.way.close().await;
    }

    pub(in crate::store) fn check(&self) -> Result<StoreCounts, StoreError> {
        self.open()?;
        self.inner.way.check()
    }

    fn open(&self) -> Result<(), StoreError> {
        if self.inner.cut_off.is_cancelled() {
            return Err(cut_off());
        }
        if self.inner.under_way.is_closed() { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Waits for something until the server is cut off, or for so long.
    async fn within<T>(&self, time_max: Duration, what: impl Future<Output = T>) -> Result<T, StoreError> {
        tokio::select! {
            biased;
            () = self.inner.cut_off.cancelled() => Err(cut_off()),
            outcome = timeout(time_max, what) => {
                outcome.map_err(|_| StoreError::Unreachable { waited: time_max })
            }
        }
    }

    async fn reachable(&self) {
        let mut trouble = self.inner.trouble.subscribe();
        // The sender is this handle's own, and so is still there.
        let _ = trouble.wait_for(|trouble| !trouble.unreachable).await;
    }

    async fn delay(&self, max: Duration) {
        if !max.is_zero() {
            sleep(self.inner.rng.duration(Duration::ZERO..=max)).await;
        }
    }
}

/// Whether a store says this because its machine crashed: then the next attempt finds it back.
fn is_of_restart(error: &StoreError) -> bool {
    matches!(error, StoreError::Failed { .. } | StoreError::Closed)
}

fn cut_off() -> StoreError {
    StoreError::Failed { reason: "the server was cut off from the store".into() }
}
