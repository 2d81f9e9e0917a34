//! The in-memory back end: a store on a simulated disk, for tests that run a whole system on one thread with a
//! clock of its own. No threads, no files, no blocking, and the same order of events for the same calls.
//!
//! | file | what |
//! |---|---|
//! | `disk` | what survives a process, and what survives a crash |
//! | `rows` | a state of the rows, and reading from it |
//! | `writer` | the task that runs closures and "syncs" |
//!
//! It keeps the whole contract of the store. Not here: anything that a disk does to bytes.

mod disk;
mod rows;
mod writer;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

pub use self::disk::MemoryDisk;
pub(super) use self::rows::Rows;
use self::writer::Writer;
use super::{
    counts::StoreCounts,
    error::{RunError, StoreError},
    limits::QUEUE_CLOSURES_MAX,
    options::StoreOptions,
    range::KeyRange,
    serial::{Base, ClosureJob, Message, Status},
    transaction::Transaction,
};

/// An open store on a [`MemoryDisk`].
#[derive(Debug, Clone)]
pub(super) struct MemoryStore {
    status: Arc<Status<Rows>>,
    /// The task ends when the last clone of it is gone, and what was handed in before has run.
    queue: mpsc::Sender<Message>,
    /// One permit for each closure that waits for the writer.
    places: Arc<Semaphore>,
    /// Cancelled when the writer has ended.
    ended: CancellationToken,
}

impl MemoryStore {
    pub(super) fn open(disk: &MemoryDisk, options: StoreOptions) -> Self {
        let mount = disk.mount();
        let rows = mount.found();
        let status = Arc::new(Status::new(rows, &options));
        let (queue, receiver) = mpsc::channel(QUEUE_CLOSURES_MAX);
        let ended = CancellationToken::new();
        let writer = Writer { status: Arc::clone(&status), queue: receiver, mount, options };
        let end = ended.clone().drop_guard();
        tokio::spawn(async move {
            writer.run().await;
            drop(end);
        });
        Self { status, queue, places: Arc::new(Semaphore::new(QUEUE_CLOSURES_MAX)), ended }
    }

    pub(super) async fn run<T, E, F>(&self, closure: F) -> Result<T, RunError<E>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.run_again(closure, false).await
    }

    /// As [`Self::run`], of a closure of which an earlier run may have committed.
    pub(super) async fn run_again<T, E, F>(&self, closure: F, maybe_committed: bool) -> Result<T, RunError<E>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Self { status, queue, places, .. } = self;
        status.accepting()?;
        let place = places.clone().acquire_owned().await.map_err(|_| status.ending())?;
        let (job, answer) = ClosureJob::new(closure, maybe_committed);
        queue.send(Message::Run(job, place)).await.map_err(|_| status.ending())?;
        answer.await.map_err(|_| status.ending())?
    }

    pub(super) fn status(&self) -> &Status<Rows> {
        &self.status
    }

    pub(super) async fn close(&self) {
        self.status.refuse();
        drop(self.queue.send(Message::Close).await);
        self.ended.cancelled().await;
    }

    pub(super) fn check(&self) -> Result<StoreCounts, StoreError> {
        let rows = self.status.base.load_full().ok_or(StoreError::Closed)?;
        let mut counts = StoreCounts::default();
        for row in rows.rows(&KeyRange::all()) {
            let (key, value) = row?;
            counts.add(&key, &value);
        }
        Ok(counts)
    }
}
