//! Times for people, in the time zone of the machine. Scripts get milliseconds since 1970.

use fulmar_client::TimestampMs;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Date, time and offset.
pub(crate) fn full(at: TimestampMs) -> String {
    written(at, TimeZone::system(), "%Y-%m-%d %H:%M:%S%:z")
}

/// The time of the day.
pub(crate) fn clock(at: TimestampMs) -> String {
    written(at, TimeZone::system(), "%H:%M")
}

/// The date.
pub(crate) fn date(at: TimestampMs) -> String {
    written(at, TimeZone::system(), "%A, %-d %B %Y")
}

fn written(at: TimestampMs, zone: TimeZone, format: &str) -> String {
    let at = i64::try_from(at.get()).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    at.map_or_else(|| "(no date)".to_owned(), |at| Zoned::new(at, zone).strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_for_people() {
        let at = TimestampMs::new(1_795_344_050_983);
        assert_eq!(written(at, TimeZone::UTC, "%Y-%m-%d %H:%M:%S%:z"), "2026-11-22 10:40:50+00:00");
        assert_eq!(written(at, TimeZone::UTC, "%A, %-d %B %Y"), "Sunday, 22 November 2026");
        assert_eq!(written(TimestampMs::new(u64::MAX), TimeZone::UTC, "%H:%M"), "(no date)");
    }
}
