//! The writer thread: closures in, one batch and one sync for as many as are waiting, answers out.
//!
//! Invariants:
//! - Closures run one after another, in the order in which they came.
//! - No answer leaves before the sync that covers the batch; no view is published before it either.
//! - After a commit or sync that failed, no closure is run any more.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use fjall::{OwnedWriteBatch, PersistMode};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    Shared, folder::Folder, job::Job, overlay::Overlay, stamp::Stamp, tree::Tree, view::View,
    workspace::Workspace,
};
#[cfg(feature = "fault-injection")]
use crate::store::StoreFault;
use crate::store::{
    error::StoreError,
    limits::{BATCH_BYTES_MAX, BATCH_CLOSURES_MAX},
    options::StoreOptions,
    transaction::Transaction,
};

/// How often an idle writer looks whether the tree's own threads have failed.
const IDLE_CHECK: Duration = Duration::from_secs(1);

pub(super) enum Message {
    /// A closure, with its place in the queue.
    Run(Box<dyn Job>, OwnedSemaphorePermit),
    /// Run what came before this, then end.
    Close,
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Receiver<Message>,
    pub(super) tree: Tree,
    pub(super) stamp: Stamp,
    pub(super) options: StoreOptions,
    /// Unlocked when the writer is dropped, after the tree.
    pub(super) folder: Folder,
}

impl Writer {
    pub(super) fn run(mut self) {
        let transaction = Transaction { embedded: Workspace::new(self.publish()) };
        loop {
            match self.queue.recv_timeout(IDLE_CHECK) {
                Ok(Message::Run(job, place)) => {
                    drop(place);
                    if self.batch(job, &transaction) {
                        break;
                    }
                }
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = self.tree.check() {
                        self.fail(&format!("the tree failed in the background: {error}"));
                    }
                }
            }
        }
        drop(transaction);
        self.close();
    }

    /// Runs a closure and those that are waiting behind it, commits, syncs, answers. True: close now.
    fn batch(&mut self, first: Box<dyn Job>, transaction: &Transaction) -> bool {
        let mut ran = Vec::new();
        let mut next = Some(first);
        let mut closing = false;
        while let Some(mut job) = next.take() {
            if !job.is_abandoned() {
                if self.shared.failure().is_none() {
                    job.execute(transaction, self.options.transaction_time_max);
                }
                ran.push(job);
            }
            if ran.len() >= BATCH_CLOSURES_MAX || transaction.embedded.batch_bytes() >= BATCH_BYTES_MAX {
                break;
            }
            match self.queue.try_recv() {
                Ok(Message::Run(job, place)) => {
                    drop(place);
                    next = Some(job);
                }
                Ok(Message::Close) => closing = true,
                Err(_) => {}
            }
        }
        let written = transaction.embedded.take_batch();
        if self.answers_early() {
            answer(ran.drain(..), &Ok(()));
        }
        let durable = match self.shared.failure() {
            Some(reason) => Err(StoreError::Failed { reason }),
            None => self.make_durable(written, ran.len(), transaction),
        };
        answer(ran.drain(..), &durable);
        closing
    }

    fn make_durable(
        &mut self,
        written: Overlay,
        closures: usize,
        transaction: &Transaction,
    ) -> Result<(), StoreError> {
        if written.is_empty() {
            return Ok(());
        }
        self.shared.metrics.store_batch_closures.record(count(closures));
        self.shared.metrics.store_batch_bytes.record(count(written.bytes()));
        let committed = catch_unwind(AssertUnwindSafe(|| self.commit(written)));
        let failure = match committed {
            Ok(Ok(())) => {
                transaction.embedded.rebase(self.publish());
                return Ok(());
            }
            Ok(Err(reason)) => reason,
            Err(_) => "a panic in the tree".to_owned(),
        };
        Err(self.fail(&failure))
    }

    /// Writes a batch to the journal, syncs it, and applies it to the tree's memory.
    ///
    /// Writing and syncing are one step under the tree's lock. In two steps, one of the tree's own threads could
    /// sync in between, fail, and have been told of the failure in our place: the system tells it once.
    fn commit(&mut self, written: Overlay) -> Result<(), String> {
        // The journal grows, so its length matters; fdatasync covers what is needed to read the data back,
        // the length and the extents included, and leaves out the times.
        let mode = self.fault_in_commit()?;
        let fail = |error| format!("commit failed: {error}");
        self.tree.wait_for_room().map_err(fail)?;
        let batch = OwnedWriteBatch::with_capacity(self.tree.db.clone(), written.len() + 1);
        let mut batch = batch.durability(Some(mode));
        let (key, value) = self.stamp.next();
        batch.insert(&self.tree.rows, key, value);
        for (key, value) in written.into_rows() {
            match value {
                // Copied, so that the tree's memory never pins a caller's larger buffer.
                Some(value) => batch.insert(&self.tree.rows, &*key, &*value),
                None => batch.remove(&self.tree.rows, &*key),
            }
        }
        let begun = Instant::now();
        batch.commit().map_err(fail)?;
        self.shared.metrics.store_sync_seconds.record(begun.elapsed());
        self.fault_after_commit()
    }

    fn publish(&self) -> Arc<View> {
        let view = Arc::new(View::new(&self.tree.db, &self.tree.rows));
        self.shared.view.store(Some(view.clone()));
        view
    }

    fn fail(&self, reason: &str) -> StoreError {
        let reason = self.shared.fail(reason);
        StoreError::Failed { reason }
    }

    fn close(self) {
        self.shared.close();
        let Self { shared, queue, tree, folder, .. } = self;
        // Whoever still waits is told by the end of the queue.
        drop(queue);
        drop(tree);
        drop(folder);
        drop(shared);
    }

    #[cfg(not(feature = "fault-injection"))]
    fn answers_early(&self) -> bool {
        false
    }

    #[cfg(not(feature = "fault-injection"))]
    fn fault_in_commit(&mut self) -> Result<PersistMode, String> {
        Ok(PersistMode::SyncData)
    }

    #[cfg(not(feature = "fault-injection"))]
    fn fault_after_commit(&mut self) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(feature = "fault-injection")]
impl Writer {
    fn answers_early(&self) -> bool {
        self.options.fault == Some(StoreFault::AnswerBeforeSync)
    }

    fn fault_in_commit(&mut self) -> Result<PersistMode, String> {
        match &mut self.options.fault {
            Some(StoreFault::FailCommitAfter(left)) => {
                *left = left.checked_sub(1).ok_or("commit failed: as asked")?;
                Ok(PersistMode::SyncData)
            }
            Some(StoreFault::SkipSync | StoreFault::FailSyncAfter(0)) => Ok(PersistMode::Buffer),
            _ => Ok(PersistMode::SyncData),
        }
    }

    fn fault_after_commit(&mut self) -> Result<(), String> {
        if let Some(StoreFault::FailSyncAfter(left)) = &mut self.options.fault {
            *left = left.checked_sub(1).ok_or("sync failed: as asked")?;
        }
        Ok(())
    }
}

/// Answers, in order. What drops inside is the callers' and may panic; that is theirs alone.
fn answer(ran: impl Iterator<Item = Box<dyn Job>>, durable: &Result<(), StoreError>) {
    for job in ran {
        drop(catch_unwind(AssertUnwindSafe(|| job.answer(durable.clone()))));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count for a histogram")]
fn count(count: usize) -> f64 {
    count as f64
}
