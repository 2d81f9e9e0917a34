//! How a log lane is woken, and what others see of it.

use std::{
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
    time::Duration,
};

use tokio::sync::Notify;

pub(super) const HEAD: u8 = 1;
pub(super) const MARKS: u8 = 2;
pub(super) const RETIRE: u8 = 4;
pub(super) const WATCH: u8 = 8;

/// How a lane is woken.
#[derive(Debug, Default)]
pub(crate) struct LaneSignal {
    raised: AtomicU8,
    notify: Notify,
    /// Set once the lane reached the head: it then counts as live.
    caught_up: AtomicU8,
    /// When the lane last had something to send, in milliseconds since the session began.
    active_at_ms: AtomicU64,
}

/// What a lane was woken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raised {
    pub(crate) head: bool,
    pub(crate) marks: bool,
    /// Another conversation needs the stream: end as soon as idle.
    pub(crate) retire: bool,
}

impl LaneSignal {
    pub(super) fn raise(&self, flag: u8) {
        self.raised.fetch_or(flag, Ordering::AcqRel);
        self.notify.notify_one();
    }

    /// Waits for a signal. Cancel safe.
    pub(crate) async fn raised(&self) -> Raised {
        loop {
            let flags = self.raised.swap(0, Ordering::AcqRel);
            if flags != 0 {
                return Raised {
                    head: flags & HEAD != 0,
                    marks: flags & MARKS != 0,
                    retire: flags & RETIRE != 0,
                };
            }
            self.notify.notified().await;
        }
    }

    pub(super) fn set_caught_up(&self) {
        self.caught_up.store(1, Ordering::Release);
    }

    pub(crate) fn set_active_at(&self, since_session_began: Duration) {
        let ms = u64::try_from(since_session_began.as_millis()).unwrap_or(u64::MAX);
        self.active_at_ms.store(ms, Ordering::Release);
    }

    pub(super) fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire) == 1
    }

    pub(super) fn active_at_ms(&self) -> u64 {
        self.active_at_ms.load(Ordering::Acquire)
    }

    /// What was raised and not seen yet, of these.
    pub(super) fn has_unseen(&self, flags: u8) -> bool {
        self.raised.load(Ordering::Acquire) & flags != 0
    }
}
