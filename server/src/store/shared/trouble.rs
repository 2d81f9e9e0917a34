//! What goes wrong between a server and the store, and the dice that decide when.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::clock::Rng;

/// What goes wrong between a server and the store. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreTrouble {
    /// Before a closure runs, and before a snapshot is read from, up to so much time passes.
    pub delay_before_max: Duration,
    /// After a closure has run and before its caller hears of it, up to so much time passes.
    pub delay_after_max: Duration,
    /// Of a thousand runs of closures, so many conflict: what they wrote is thrown away, and they run again.
    pub conflicts_per_mille: u16,
    /// Of a thousand runs of closures, of so many the outcome is lost: they may or may not have committed, and
    /// they run again.
    pub maybe_committed_per_mille: u16,
    /// Nothing arrives at the store, and nothing comes back.
    pub unreachable: bool,
}

/// What went wrong so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreTroubleCounts {
    /// Runs of closures.
    pub runs: u64,
    /// Of them, those that were made to conflict.
    pub conflicts: u64,
    /// Those whose outcome was lost although they had committed.
    pub committed_and_lost: u64,
    /// Those whose outcome was lost, and which had not committed.
    pub lost: u64,
}

/// What becomes of one run of a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Good,
    Conflict,
    /// It commits, and nobody hears of it.
    CommittedAndLost,
    /// It does not commit, and nobody hears of that either.
    Lost,
}

impl Fate {
    pub(super) fn commits(self) -> bool {
        matches!(self, Self::Good | Self::CommittedAndLost)
    }
}

impl StoreTrouble {
    pub(super) fn fate(&self, rng: &Rng) -> Fate {
        let drawn = rng.number() % 1_000;
        let conflicts = u64::from(self.conflicts_per_mille);
        let unknown = conflicts + u64::from(self.maybe_committed_per_mille);
        match drawn {
            drawn if drawn < conflicts => Fate::Conflict,
            drawn if drawn < unknown && heads(rng) => Fate::CommittedAndLost,
            drawn if drawn < unknown => Fate::Lost,
            _ => Fate::Good,
        }
    }
}

pub(super) fn heads(rng: &Rng) -> bool {
    rng.number().is_multiple_of(2)
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    runs: AtomicU64,
    conflicts: AtomicU64,
    committed_and_lost: AtomicU64,
    lost: AtomicU64,
}

impl Counters {
    pub(super) fn count(&self, fate: Fate) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        match fate {
            Fate::Good => 0,
            Fate::Conflict => self.conflicts.fetch_add(1, Ordering::Relaxed),
            Fate::CommittedAndLost => self.committed_and_lost.fetch_add(1, Ordering::Relaxed),
            Fate::Lost => self.lost.fetch_add(1, Ordering::Relaxed),
        };
    }

    pub(super) fn show(&self) -> StoreTroubleCounts {
        StoreTroubleCounts {
            runs: self.runs.load(Ordering::Relaxed),
            conflicts: self.conflicts.load(Ordering::Relaxed),
            committed_and_lost: self.committed_and_lost.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }
}
