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
use tokio::time::Instant;

use super::{folder::Folder, stamp::Stamp, tree::Tree, view::View};
#[cfg(feature = "fault-injection")]
use crate::store::StoreFault;
use crate::store::{
    error::StoreError,
    options::StoreOptions,
    serial::{Job, Message, Overlay, Runner, Status, answer_all},
};

/// How often an idle writer looks whether the tree's own threads have failed.
const IDLE_CHECK: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub(super) status: Arc<Status<View>>,
    pub(super) queue: Receiver<Message>,
    pub(super) tree: Tree,
    pub(super) stamp: Stamp,
    pub(super) options: StoreOptions,
    /// Unlocked when the writer is dropped, after the tree.
    pub(super) folder: Folder,
}

impl Writer {
    pub(super) fn run(mut self) {
        let runner = Runner::new(self.publish());
        loop {
            match self.queue.recv_timeout(IDLE_CHECK) {
                Ok(Message::Run(job, place)) => {
                    drop(place);
                    if self.batch(job, &runner) {
                        break;
                    }
                }
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = self.tree.check() {
                        self.status.fail(&format!("the tree failed in the background: {error}"));
                    }
                }
            }
        }
        drop(runner);
        self.close();
    }

    /// Runs a closure and those that are waiting behind it, commits, syncs, answers. True: close now.
    fn batch(&mut self, first: Box<dyn Job>, runner: &Runner<View>) -> bool {
        let time_max = self.options.transaction_time_max;
        let mut batch = runner.batch(first, &self.status, time_max, || self.queue.try_recv().ok());
        if self.answers_early() {
            answer_all(batch.ran.drain(..), &Ok(()));
        }
        let durable = match self.status.failure() {
            Some(reason) => Err(StoreError::Failed { reason }),
            None => self.make_durable(batch.written, runner),
        };
        answer_all(batch.ran.drain(..), &durable);
        batch.closing
    }

    fn make_durable(&mut self, written: Overlay, runner: &Runner<View>) -> Result<(), StoreError> {
        if written.is_empty() {
            return Ok(());
        }
        let committed = catch_unwind(AssertUnwindSafe(|| self.commit(written)));
        let failure = match committed {
            Ok(Ok(())) => {
                runner.rebase(self.publish());
                return Ok(());
            }
            Ok(Err(reason)) => reason,
            Err(_) => "a panic in the tree".to_owned(),
        };
        Err(self.status.fail(&failure))
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
        self.status.metrics.store_sync_seconds.record(begun.elapsed());
        self.fault_after_commit()
    }

    fn publish(&self) -> Arc<View> {
        let view = Arc::new(View::new(&self.tree.db, &self.tree.rows));
        self.status.base.store(Some(view.clone()));
        view
    }

    fn close(self) {
        self.status.close();
        let Self { status, queue, tree, folder, .. } = self;
        // Whoever still waits is told by the end of the queue.
        drop(queue);
        drop(tree);
        drop(folder);
        drop(status);
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
