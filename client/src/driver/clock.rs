//! The driver's one clock: tokio's, which tests may pause, and the origin that pure state machines count
//! from.

use std::time::Duration;

use tokio::time::Instant;

/// The origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(super) fn now(self) -> Instant {
        Instant::now()
    }

    /// A moment, as state machines take it.
    pub(super) fn elapsed(self, at: Instant) -> Duration {
        at.saturating_duration_since(self.origin)
    }

    /// A moment that a state machine named. One that is out of reach is far away.
    pub(super) fn instant(self, elapsed: Duration) -> Instant {
        const FAR: Duration = Duration::from_secs(24 * 3_600);
        self.origin.checked_add(elapsed).unwrap_or_else(|| self.now() + FAR)
    }
}
