//! Times for people. Scripts get milliseconds since 1970.

use std::time::{Duration, SystemTime};

use fulmar_client::TimestampMs;

/// A date and time, in UTC.
pub(crate) fn full(at: TimestampMs) -> String {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at.get()));
    at.map_or_else(
        || "????-??-??T??:??:??Z".to_owned(),
        |at| humantime::format_rfc3339_seconds(at).to_string(),
    )
}
