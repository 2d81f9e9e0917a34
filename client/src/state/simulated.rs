//! A disk of a simulation: rows in memory, a sync that takes simulated time, and crashes that lose what was
//! not synced. The rows are those of the real disk, encoded and decoded by the same code.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::ClientError;
use crate::state::Stored;
use crate::state::disk;
use crate::state::rows::Batch;
use crate::state::writer::Ticket;

/// A client's disk. Clones are the same disk; one client has it open at a time: the one that opened it last.
#[derive(Debug, Clone)]
pub struct SimulatedDisk {
    shared: Arc<Mutex<Shared>>,
    sync: Duration,
    /// The opening that this handle belongs to.
    opening: u64,
}

#[derive(Debug, Default)]
struct Shared {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    opening: u64,
}

impl SimulatedDisk {
    /// An empty disk on which a sync takes this long.
    #[must_use]
    pub fn new(sync: Duration) -> Self {
        Self { shared: Arc::default(), sync, opening: 0 }
    }

    /// Takes the disk from the client that has it open: whatever that one writes from now on is lost.
    pub fn crash(&self) {
        self.shared.lock().opening += 1;
    }

    /// A backup: a disk of its own with what this one holds now.
    #[must_use]
    pub fn backup(&self) -> Self {
        let rows = self.shared.lock().rows.clone();
        let shared = Shared { rows, opening: 0 };
        Self { shared: Arc::new(Mutex::new(shared)), sync: self.sync, opening: 0 }
    }

    pub(super) fn open(&self) -> Self {
        let mut shared = self.shared.lock();
        shared.opening += 1;
        Self { shared: Arc::clone(&self.shared), sync: self.sync, opening: shared.opening }
    }

    pub(super) fn load(&self) -> Result<Stored, ClientError> {
        let shared = self.shared.lock();
        let raw: Vec<_> = shared.rows.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        disk::decode(&raw).map_err(|error| ClientError::StateDamaged {
            path: PathBuf::from("a simulated disk"),
            cause: error.to_string(),
        })
    }

    fn write(&self, batch: Batch) {
        let mut shared = self.shared.lock();
        if shared.opening != self.opening {
            return;
        }
        for (key, value) in batch.changes {
            match value {
                Some(value) => drop(shared.rows.insert(key, value)),
                None => drop(shared.rows.remove(&key)),
            }
        }
    }
}

/// Writes batches to a simulated disk, as many as wait in one sync.
pub(super) struct SimulatedWriter {
    disk: SimulatedDisk,
    waiting: VecDeque<(Ticket, Batch)>,
    /// How many of them are being synced, and until when.
    syncing: Option<(usize, Instant)>,
}

impl SimulatedWriter {
    pub(super) fn new(disk: SimulatedDisk) -> Self {
        Self { disk, waiting: VecDeque::new(), syncing: None }
    }

    pub(super) fn submit(&mut self, ticket: Ticket, batch: Batch) {
        self.waiting.push_back((ticket, batch));
        self.begin();
    }

    fn begin(&mut self) {
        if self.syncing.is_none() && !self.waiting.is_empty() {
            self.syncing = Some((self.waiting.len(), Instant::now() + self.disk.sync));
        }
    }

    /// Waits until more is durable, and says up to what. Cancel-safe. Pending for ever when nothing waits.
    pub(super) async fn committed(&mut self) -> Ticket {
        let Some((batches, done_at)) = self.syncing else { return std::future::pending().await };
        tokio::time::sleep_until(done_at).await;
        self.syncing = None;
        let mut durable = Ticket::default();
        for (ticket, batch) in self.waiting.drain(..batches.min(self.waiting.len())) {
            self.disk.write(batch);
            durable = ticket;
        }
        self.begin();
        durable
    }

    /// Writes what waits.
    pub(super) async fn close(mut self) {
        while self.syncing.is_some() {
            self.committed().await;
        }
    }
}
