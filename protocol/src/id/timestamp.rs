//! A moment in the server's time.

use std::time::Duration;

use crate::id::number::number;

number! {
    /// A moment: milliseconds since 1970-01-01 00:00 UTC, by the server's clock.
    TimestampMs
}

impl TimestampMs {
    /// The moment `duration` later (whole milliseconds).
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long this moment is after `earlier`; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
