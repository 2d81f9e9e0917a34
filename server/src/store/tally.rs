//! What transactions read and write, counted, so that a test can say what each operation may cost.
//!
//! Rows cost alike on every back end: about 20 us of a core for each key read or written. Absent: bytes.

#[cfg(feature = "fault-injection")]
use std::sync::Arc;

#[cfg(feature = "fault-injection")]
use parking_lot::Mutex;

/// What one run of a closure did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransactionTally {
    /// Keys read.
    pub gets: u32,
    /// Ranges read.
    pub ranges: u32,
    /// Rows written.
    pub sets: u32,
    /// Rows raised.
    pub byte_maxes: u32,
    /// Rows removed by their key.
    pub clears: u32,
    /// Ranges removed.
    pub range_clears: u32,
}

impl TransactionTally {
    /// What another's write may conflict with.
    #[must_use]
    pub fn read_conflict_ranges(&self) -> u32 {
        self.gets + self.ranges
    }

    /// What another's read may conflict with.
    #[must_use]
    pub fn write_conflict_ranges(&self) -> u32 {
        self.sets + self.byte_maxes + self.clears + self.range_clears
    }
}

/// Collects what a store's transactions and snapshots do.
#[cfg(feature = "fault-injection")]
#[derive(Debug, Clone, Default)]
pub struct StoreTally {
    counted: Arc<Mutex<StoreTallied>>,
}

/// What was counted since the last look.
#[cfg(feature = "fault-injection")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreTallied {
    /// The runs of closures, in order.
    pub transactions: Vec<TransactionTally>,
    /// Keys read through snapshots.
    pub snapshot_gets: u32,
    /// Ranges read through snapshots.
    pub snapshot_ranges: u32,
}

#[cfg(feature = "fault-injection")]
impl StoreTally {
    /// What was counted since the last call.
    #[must_use]
    pub fn take(&self) -> StoreTallied {
        std::mem::take(&mut *self.counted.lock())
    }

    pub(super) fn transaction(&self, tally: TransactionTally) {
        self.counted.lock().transactions.push(tally);
    }

    pub(super) fn snapshot_get(&self) {
        self.counted.lock().snapshot_gets += 1;
    }

    pub(super) fn snapshot_range(&self) {
        self.counted.lock().snapshot_ranges += 1;
    }
}
