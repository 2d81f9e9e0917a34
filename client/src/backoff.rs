//! The wait between attempts: capped, doubled with each failure, and drawn at random from the whole of it
//! (full jitter), so that clients that lost a server together do not come back together.
//!
//! Absent: the clock and the reasons. The caller says when an attempt failed or succeeded, and ends the
//! attempts altogether on a permanent refusal.

use std::time::Duration;

use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX};
use crate::rng::Rng;

/// Call [`Backoff::next`] after each failure and [`Backoff::reset`] after a success.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { failures: 0 }
    }

    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self, rng: &mut Rng) -> Duration {
        let ceiling = BACKOFF_FIRST.saturating_mul(1u32 << self.failures.min(16)).min(BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        rng.duration(Duration::ZERO, ceiling)
    }

    /// The next failure is the first again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BACKOFF_FIRST, BACKOFF_MAX, Backoff, Rng};

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_cap(seed: u64, failures in 0usize..80) {
            let mut rng = Rng::from_seed(seed);
            let mut backoff = Backoff::new();
            for _ in 0..failures {
                prop_assert!(backoff.next(&mut rng) <= BACKOFF_MAX);
            }
        }

        #[test]
        fn each_failure_at_most_doubles_the_wait(seed: u64) {
            let mut rng = Rng::from_seed(seed);
            let mut backoff = Backoff::new();
            for failure in 0..8 {
                prop_assert!(backoff.next(&mut rng) <= BACKOFF_FIRST * (1 << failure));
            }
        }
    }

    #[test]
    fn waits_are_spread_over_the_whole_range() {
        let mut rng = Rng::from_seed(7);
        let mut backoff = Backoff { failures: 10 };
        let waits: Vec<_> = (0..200).map(|_| backoff.next(&mut rng)).collect();
        assert!(waits.iter().any(|wait| *wait < BACKOFF_MAX / 10), "seed 7: none is short");
        assert!(waits.iter().any(|wait| *wait > BACKOFF_MAX * 9 / 10), "seed 7: none is long");
    }

    #[test]
    fn the_cap_is_reached_and_kept_after_many_failures() {
        let mut rng = Rng::from_seed(11);
        let mut backoff = Backoff::new();
        let mut waits = Vec::new();
        for _ in 0..1_000 {
            waits.push(backoff.next(&mut rng));
        }
        let late = waits.get(20..).unwrap_or_default();
        assert!(late.iter().any(|wait| *wait > BACKOFF_MAX * 99 / 100), "seed 11: the cap is not reached");
        let sum: std::time::Duration = late.iter().sum();
        let mean = sum / u32::try_from(late.len()).unwrap_or(1);
        assert!(mean > BACKOFF_MAX * 4 / 10 && mean < BACKOFF_MAX * 6 / 10, "seed 11: {mean:?} on average");
    }

    #[test]
    fn a_success_starts_it_afresh() {
        let mut rng = Rng::from_seed(1);
        let mut backoff = Backoff { failures: 30 };
        backoff.reset();
        assert!(backoff.next(&mut rng) <= BACKOFF_FIRST);
    }
}
