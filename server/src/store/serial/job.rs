//! A closure on its way through the writer: run once, then answered when its batch is durable.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll, Waker},
};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::store::{
    error::{RunError, StoreError},
    transaction::Transaction,
};

/// A closure of whatever type, as the writer sees it.
pub(crate) trait Job: Send {
    /// Runs the closure. `keep` is called when its writes are to be kept, and fails when it exceeded a limit.
    fn execute(&mut self, transaction: &Transaction, keep: &dyn Fn() -> Result<(), StoreError>);

    /// Answers the caller: with the closure's outcome when its batch is durable, else with the error.
    fn answer(self: Box<Self>, durable: Result<(), StoreError>);

    /// Whether the caller has gone away.
    fn is_abandoned(&self) -> bool;

    /// Whether an earlier run of the closure may have committed.
    fn maybe_committed(&self) -> bool;
}

type Reply<T, E> = oneshot::Sender<Result<T, RunError<E>>>;

/// The only kind of job.
pub(crate) struct ClosureJob<F, T, E> {
    closure: F,
    reply: Reply<T, E>,
    outcome: Option<Result<T, RunError<E>>>,
    maybe_committed: bool,
}

impl<F, T, E> ClosureJob<F, T, E> {
    /// The job, and where its answer comes. `maybe_committed`: an earlier run of the closure may have.
    pub(crate) fn new(
        closure: F,
        maybe_committed: bool,
    ) -> (Box<Self>, oneshot::Receiver<Result<T, RunError<E>>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { closure, reply, outcome: None, maybe_committed }), answer)
    }
}

impl<F, T, E> Job for ClosureJob<F, T, E>
where
    F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    fn execute(&mut self, transaction: &Transaction, keep: &dyn Fn() -> Result<(), StoreError>) {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let mut future = (self.closure)(transaction);
            future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        }));
        self.outcome = Some(match polled {
            Ok(Poll::Ready(Ok(value))) => match keep() {
                Ok(()) => Ok(value),
                Err(error) => Err(RunError::Store(error)),
            },
            Ok(Poll::Ready(Err(error))) => Err(RunError::Aborted(error)),
            Ok(Poll::Pending) => Err(RunError::Store(StoreError::ForeignAwait)),
            Err(panic) => Err(RunError::Store(StoreError::panicked(&*panic))),
        });
    }

    fn answer(self: Box<Self>, durable: Result<(), StoreError>) {
        let outcome = match (durable, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(RunError::Store(StoreError::Closed)),
            (Err(error), _) => Err(RunError::Store(error)),
        };
        // The caller may have gone away: then nobody needs the answer.
        drop(self.reply.send(outcome));
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn maybe_committed(&self) -> bool {
        self.maybe_committed
    }
}

/// Answers, in order. What drops inside is the callers' and may panic; that is theirs alone.
pub(crate) fn answer_all(ran: impl Iterator<Item = Box<dyn Job>>, durable: &Result<(), StoreError>) {
    for job in ran {
        drop(catch_unwind(AssertUnwindSafe(|| job.answer(durable.clone()))));
    }
}
