//! The writer: a thread that commits batches, as many as wait in one sync, and says up to which one all is
//! durable.
//!
//! The driver submits no more than `BATCHES_WAITING_MAX` ahead of the syncs; a batch holds outbox rows (bounded
//! by the outboxes) and at most one row per conversation.

use tokio::sync::mpsc;

use crate::error::ClientError;
use crate::state::disk::Disk;
use crate::state::rows::Batch;
#[cfg(feature = "simulation")]
use crate::state::simulated::{SimulatedDisk, SimulatedWriter};

/// Batches that may wait for the writer; then the driver gathers on in its own.
pub(crate) const BATCHES_WAITING_MAX: usize = 8;

/// The number of a batch, rising.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// The driver's end of the store.
pub(crate) struct Store {
    writer: Writer,
    last: Ticket,
    durable: Ticket,
}

enum Writer {
    /// In memory: all is as durable as it will get.
    Memory,
    Thread(WriterThread),
    #[cfg(feature = "simulation")]
    Simulated(SimulatedWriter),
}

struct WriterThread {
    batches: std::sync::mpsc::SyncSender<(Ticket, Batch)>,
    outcomes: mpsc::Receiver<Result<Ticket, ClientError>>,
    thread: std::thread::JoinHandle<()>,
}

impl Store {
    pub(super) fn memory() -> Self {
        Self { writer: Writer::Memory, last: Ticket::default(), durable: Ticket::default() }
    }

    pub(super) fn disk(disk: Disk) -> Result<Self, ClientError> {
        let folder = disk.folder();
        // One more than may wait: the last batch before the end is always taken.
        let (batches, waiting) = std::sync::mpsc::sync_channel(BATCHES_WAITING_MAX + 1);
        let (outcome, outcomes) = mpsc::channel(BATCHES_WAITING_MAX + 1);
        let thread = std::thread::Builder::new()
            .name("fulmar-state".to_owned())
            .spawn(move || write(&disk, &waiting, &outcome))
            .map_err(|error| ClientError::StateUnusable { path: folder, cause: error.to_string() })?;
        let writer = Writer::Thread(WriterThread { batches, outcomes, thread });
        Ok(Self { writer, last: Ticket::default(), durable: Ticket::default() })
    }

    #[cfg(feature = "simulation")]
    pub(super) fn simulated(disk: SimulatedDisk) -> Self {
        let writer = Writer::Simulated(SimulatedWriter::new(disk));
        Self { writer, last: Ticket::default(), durable: Ticket::default() }
    }

    /// Whether there is a disk to write to. In memory, batches need not be made.
    pub(crate) fn keeps(&self) -> bool {
        !matches!(self.writer, Writer::Memory)
    }

    /// Whether another batch may be submitted now.
    pub(crate) fn has_room(&self) -> bool {
        let waiting = self.last.0.saturating_sub(self.durable.0);
        usize::try_from(waiting).is_ok_and(|waiting| waiting < BATCHES_WAITING_MAX)
    }

    /// Hands a batch to the writer. What it holds is durable when [`Store::committed`] has returned its
    /// ticket or a later one; in memory, at once.
    pub(crate) fn submit(&mut self, batch: Batch) -> Ticket {
        self.last = Ticket(self.last.0.saturating_add(1));
        match &mut self.writer {
            // An error means that the writer has ended, which `committed` tells; there is room otherwise.
            Writer::Thread(writer) => drop(writer.batches.try_send((self.last, batch))),
            Writer::Memory => self.durable = self.last,
            #[cfg(feature = "simulation")]
            Writer::Simulated(writer) => writer.submit(self.last, batch),
        }
        self.last
    }

    /// Whether a batch is durable.
    pub(crate) fn is_durable(&self, ticket: Ticket) -> bool {
        ticket <= self.durable
    }

    /// Waits until more is durable. Cancel-safe. Pending for ever when nothing is under way.
    pub(crate) async fn committed(&mut self) -> Result<(), ClientError> {
        match &mut self.writer {
            Writer::Thread(writer) => match writer.outcomes.recv().await {
                Some(outcome) => {
                    self.durable = outcome?;
                    Ok(())
                }
                None => std::future::pending().await,
            },
            Writer::Memory => std::future::pending().await,
            #[cfg(feature = "simulation")]
            Writer::Simulated(writer) => {
                self.durable = writer.committed().await;
                Ok(())
            }
        }
    }

    /// Writes what waits, closes the file, and ends the thread.
    pub(crate) async fn close(self) {
        match self.writer {
            Writer::Memory => {}
            Writer::Thread(WriterThread { batches, mut outcomes, thread }) => {
                drop(batches);
                while outcomes.recv().await.is_some() {}
                // The thread has dropped its end; what is left of it is closing the file.
                let _ = tokio::task::spawn_blocking(move || thread.join()).await;
            }
            #[cfg(feature = "simulation")]
            Writer::Simulated(writer) => writer.close().await,
        }
    }
}

fn write(
    disk: &Disk,
    waiting: &std::sync::mpsc::Receiver<(Ticket, Batch)>,
    outcome: &mpsc::Sender<Result<Ticket, ClientError>>,
) {
    while let Ok((mut ticket, batch)) = waiting.recv() {
        let mut group = vec![batch];
        while let Ok((later, batch)) = waiting.try_recv() {
            ticket = later;
            group.push(batch);
        }
        let committed = disk.commit(&group).map(|()| ticket);
        let failed = committed.is_err();
        if outcome.blocking_send(committed).is_err() || failed {
            return;
        }
    }
}
