//! The writer's task: closures in, one batch and one sync for as many as are waiting, answers out.
//!
//! Invariants:
//! - Closures run one after another, in the order in which they came.
//! - No answer leaves before the sync that covers the batch; no state is published before it either.
//! - After a commit or sync that failed, or once the store was cut off, no closure is run any more.

use std::sync::Arc;

use tokio::{sync::mpsc::Receiver, time::Instant};

use super::{disk::Mount, rows::Rows};
#[cfg(feature = "fault-injection")]
use crate::store::StoreFault;
use crate::store::{
    error::StoreError,
    options::StoreOptions,
    serial::{Job, Message, Overlay, Runner, Status, answer_all},
};

const CUT_OFF: &str = "the disk was taken away";

pub(super) struct Writer {
    pub(super) status: Arc<Status<Rows>>,
    pub(super) queue: Receiver<Message>,
    pub(super) mount: Mount,
    pub(super) options: StoreOptions,
}

impl Writer {
    pub(super) async fn run(mut self) {
        let runner = Runner::new(Arc::new(self.mount.found()));
        loop {
            let message = tokio::select! {
                biased;
                () = self.mount.cut_off(), if self.status.failure().is_none() => {
                    self.status.fail(CUT_OFF);
                    continue;
                }
                message = self.queue.recv() => message,
            };
            match message {
                Some(Message::Run(job, place)) => {
                    drop(place);
                    if self.batch(job, &runner).await {
                        break;
                    }
                }
                Some(Message::Close) | None => break,
            }
        }
        self.status.close();
    }

    /// Runs a closure and those that are waiting behind it, commits, syncs, answers. True: close now.
    async fn batch(&mut self, first: Box<dyn Job>, runner: &Runner<Rows>) -> bool {
        if self.mount.is_cut_off() {
            self.status.fail(CUT_OFF);
        }
        let time_max = self.options.transaction_time_max;
        let queue = &mut self.queue;
        let mut batch = runner.batch(first, &self.status, time_max, || queue.try_recv().ok());
        let rows = self.rows_with(batch.written);
        if self.answers_early() && self.status.failure().is_none() {
            if let Some(rows) = &rows {
                self.status.base.store(Some(Arc::clone(rows)));
            }
            answer_all(batch.ran.drain(..), &Ok(()));
        }
        let durable = match (self.status.failure(), rows) {
            (Some(reason), _) => Err(StoreError::Failed { reason }),
            (None, None) => Ok(()),
            (None, Some(rows)) => match self.commit(&rows).await {
                Ok(()) => {
                    self.status.base.store(Some(Arc::clone(&rows)));
                    runner.rebase(rows);
                    Ok(())
                }
                Err(reason) => Err(self.status.fail(&reason)),
            },
        };
        answer_all(batch.ran.drain(..), &durable);
        batch.closing
    }

    /// The newest state with what was written; none where nothing was.
    fn rows_with(&self, written: Overlay) -> Option<Arc<Rows>> {
        if written.is_empty() {
            return None;
        }
        let mut rows = self.status.base.load_full().map(Arc::unwrap_or_clone)?;
        rows.apply(written);
        Some(Arc::new(rows))
    }

    async fn commit(&mut self, rows: &Rows) -> Result<(), String> {
        let syncs = self.fault_in_commit()?;
        let begun = Instant::now();
        self.mount.write(rows);
        if syncs && !self.mount.sync().await {
            return Err(CUT_OFF.to_owned());
        }
        self.status.metrics.store_sync_seconds.record(begun.elapsed());
        self.fault_after_commit()
    }

    #[cfg(not(feature = "fault-injection"))]
    fn answers_early(&self) -> bool {
        false
    }

    #[cfg(not(feature = "fault-injection"))]
    fn fault_in_commit(&mut self) -> Result<bool, String> {
        Ok(true)
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

    /// Whether this commit is to be synced.
    fn fault_in_commit(&mut self) -> Result<bool, String> {
        match &mut self.options.fault {
            Some(StoreFault::FailCommitAfter(left)) => {
                *left = left.checked_sub(1).ok_or("commit failed: as asked")?;
                Ok(true)
            }
            Some(StoreFault::SkipSync | StoreFault::FailSyncAfter(0)) => Ok(false),
            _ => Ok(true),
        }
    }

    fn fault_after_commit(&mut self) -> Result<(), String> {
        if let Some(StoreFault::FailSyncAfter(left)) = &mut self.options.fault {
            *left = left.checked_sub(1).ok_or("sync failed: as asked")?;
        }
        Ok(())
    }
}
