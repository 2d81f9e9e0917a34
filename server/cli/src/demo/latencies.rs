//! Times that were measured, and their percentiles: exact, since there are few.

use std::time::Duration;

/// Times in the order they were measured.
#[derive(Debug, Default)]
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that `percent` of all are not above; zero when there is none.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = sorted.len().saturating_mul(percent).div_ceil(100).max(1);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// Microseconds, for scripts.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Milliseconds, for people.
pub(super) fn in_words(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_times() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50), Duration::ZERO);
        for millis in (1..=100).rev() {
            latencies.add(Duration::from_millis(millis));
        }
        assert_eq!(latencies.percentile(50), Duration::from_millis(50));
        assert_eq!(latencies.percentile(99), Duration::from_millis(99));
        assert_eq!(latencies.percentile(100), Duration::from_millis(100));
    }
}
