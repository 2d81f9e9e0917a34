//! The time of day in a world: the runtime's paused time, counted from a fixed date, plus what a host's clock
//! is wrong by.

use std::time::Duration;

use fulmar_protocol::TimestampMs;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use tokio::time::Instant;

/// 2026-01-01, 00:00 UTC: when every world begins.
pub const BEGINNING: TimestampMs = TimestampMs::new(1_767_225_600_000);

/// A host's clock, as TLS asks for it.
#[derive(Clone, Copy, Debug)]
pub struct HostTime {
    origin: Instant,
    start: TimestampMs,
}

impl HostTime {
    /// A clock that shows the world's time, or is ahead of it.
    #[must_use]
    pub fn ahead_by(origin: Instant, ahead: Duration) -> Self {
        Self { origin, start: BEGINNING.plus(ahead) }
    }
}

impl TimeProvider for HostTime {
    fn current_time(&self) -> Option<UnixTime> {
        let now = self.start.plus(self.origin.elapsed());
        Some(UnixTime::since_unix_epoch(Duration::from_millis(now.get())))
    }
}
