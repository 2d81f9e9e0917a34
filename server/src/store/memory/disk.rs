//! A simulated disk: what survives a process, and what survives a crash of the machine.
//!
//! Invariants:
//! - One store at a time writes to it: a mount that was cut off changes nothing any more.
//! - `synced` changes only by a sync, or when an operator restores a backup.

use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::rows::Rows;

/// A disk that is simulated. Clones are the same disk.
#[derive(Clone)]
pub struct MemoryDisk {
    content: Arc<Mutex<Content>>,
}

#[derive(Default)]
struct Content {
    /// What the system would show to a process that reads now.
    written: Rows,
    /// What a crash of the machine leaves.
    synced: Rows,
    /// Of the store that has it open: cancelled when that one is cut off.
    mounted: CancellationToken,
    /// How long a sync takes.
    sync: Duration,
}

impl MemoryDisk {
    /// An empty disk that takes so long for one sync, of tokio's time.
    #[must_use]
    pub fn new(sync: Duration) -> Self {
        let content = Content { sync, ..Content::default() };
        Self { content: Arc::new(Mutex::new(content)) }
    }

    /// From now on a sync takes so long: a disk that is busy, or about to fail.
    pub fn set_sync(&self, sync: Duration) {
        self.content.lock().sync = sync;
    }

    /// The machine crashes: the store that is open on it is dead at once, and what was not synced is lost.
    pub fn crash(&self) {
        let mut content = self.content.lock();
        content.mounted.cancel();
        content.written = content.synced.clone();
    }

    /// An operator's backup: another disk, with what is synced on this one now.
    #[must_use]
    pub fn snapshot_copy(&self) -> Self {
        let (synced, sync) = {
            let content = self.content.lock();
            (content.synced.clone(), content.sync)
        };
        let content = Content { written: synced.clone(), synced, sync, ..Content::default() };
        Self { content: Arc::new(Mutex::new(content)) }
    }

    /// An operator puts a backup in place of what is here. The store that is open on it is dead at once.
    pub fn restore(&self, backup: &Self) {
        let backup = backup.content.lock().synced.clone();
        let mut content = self.content.lock();
        content.mounted.cancel();
        content.written = backup.clone();
        content.synced = backup;
    }

    /// Opens it for one store. What is found written is synced, as the embedded store does with its journal. One
    /// that had it open is cut off.
    pub(super) fn mount(&self) -> Mount {
        let mut content = self.content.lock();
        content.mounted.cancel();
        content.mounted = CancellationToken::new();
        content.synced = content.written.clone();
        Mount { disk: self.clone(), cut_off: content.mounted.clone() }
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = self.content.lock();
        f.debug_struct("MemoryDisk")
            .field("rows_written", &content.written.len())
            .field("rows_synced", &content.synced.len())
            .finish_non_exhaustive()
    }
}

/// One store's hold on the disk.
pub(super) struct Mount {
    disk: MemoryDisk,
    cut_off: CancellationToken,
}

impl Mount {
    /// What is on the disk.
    pub(super) fn found(&self) -> Rows {
        self.disk.content.lock().written.clone()
    }

    /// Resolves when the store is cut off.
    pub(super) async fn cut_off(&self) {
        self.cut_off.cancelled().await;
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.is_cancelled()
    }

    /// Writes without syncing. Nothing happens when the store is cut off.
    pub(super) fn write(&self, rows: &Rows) {
        let mut content = self.disk.content.lock();
        if !self.is_cut_off() {
            content.written = rows.clone();
        }
    }

    /// Waits for as long as a sync takes; then what was written is durable. False when the store was cut off
    /// meanwhile: then it is as if the sync had never been asked for.
    pub(super) async fn sync(&self) -> bool {
        let sync = self.disk.content.lock().sync;
        if !sync.is_zero() {
            tokio::select! {
                biased;
                () = self.cut_off() => return false,
                () = tokio::time::sleep(sync) => {}
            }
        }
        let mut content = self.disk.content.lock();
        if self.is_cut_off() {
            return false;
        }
        content.synced = content.written.clone();
        true
    }
}
