//! Runs jobs one after another in a workspace, batch by batch.

use std::{sync::Arc, time::Duration};

use tokio::sync::OwnedSemaphorePermit;

use super::{Base, Job, Overlay, Status, Workspace};
use crate::store::{
    limits::{BATCH_BYTES_MAX, BATCH_CLOSURES_MAX},
    transaction::Transaction,
};

/// What comes to the writer.
pub(crate) enum Message {
    /// A closure, with its place in the queue.
    Run(Box<dyn Job>, OwnedSemaphorePermit),
    /// Run what came before this, then end.
    Close,
}

/// Owned by the writer. See the module.
#[derive(Debug)]
pub(crate) struct Runner<B> {
    workspace: Arc<Workspace<B>>,
    /// The workspace as closures see it.
    transaction: Transaction,
}

/// Jobs that ran and share one sync.
pub(crate) struct Batch {
    pub(crate) ran: Vec<Box<dyn Job>>,
    pub(crate) written: Overlay,
    /// The store is to close after this batch.
    pub(crate) closing: bool,
}

impl<B: Base> Runner<B> {
    pub(crate) fn new(base: Arc<B>) -> Self {
        let workspace = Arc::new(Workspace::new(base));
        Self { transaction: B::transaction(Arc::clone(&workspace)), workspace }
    }

    /// Runs a closure and those that are waiting behind it. The next batch stands on the same base until
    /// [`Self::rebase`].
    pub(crate) fn batch(
        &self,
        first: Box<dyn Job>,
        status: &Status<B>,
        time_max: Duration,
        mut waiting: impl FnMut() -> Option<Message>,
    ) -> Batch {
        let mut ran = Vec::new();
        let mut next = Some(first);
        let mut closing = false;
        while let Some(mut job) = next.take() {
            if !job.is_abandoned() {
                if status.failure().is_none() {
                    self.workspace.begin(time_max, job.maybe_committed());
                    job.execute(&self.transaction, &|| self.workspace.keep());
                    #[cfg(feature = "fault-injection")]
                    if let Some(tally) = &status.tally {
                        tally.transaction(self.workspace.tally());
                    }
                }
                ran.push(job);
            }
            if ran.len() >= BATCH_CLOSURES_MAX || self.workspace.batch_bytes() >= BATCH_BYTES_MAX {
                break;
            }
            match waiting() {
                Some(Message::Run(job, place)) => {
                    drop(place);
                    next = Some(job);
                }
                Some(Message::Close) => closing = true,
                None => {}
            }
        }
        let written = self.workspace.take_batch();
        if !written.is_empty() && status.failure().is_none() {
            status.metrics.store_batch_closures.record(count(ran.len()));
            status.metrics.store_batch_bytes.record(count(written.bytes()));
        }
        Batch { ran, written, closing }
    }

    pub(crate) fn rebase(&self, base: Arc<B>) {
        self.workspace.rebase(base);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count for a histogram")]
fn count(count: usize) -> f64 {
    count as f64
}
