//! A rate limit.
//!
//! One moment is all it keeps: when the bucket would be full again. Time is an argument, since any origin,
//! and may stand still but not go back (if it does, nothing is given for it).

use std::time::Duration;

/// How fast something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    nanos_per_token: u64,
    burst: u32,
}

/// Lets through `burst` at once, and then as many as the rate allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    rate: Rate,
    full_at: Duration,
}

impl Rate {
    /// `tokens` in each `period`, and `burst` at once (at least 1 of each; the period at least a nanosecond a
    /// token).
    #[must_use]
    pub fn new(tokens: u32, period: Duration, burst: u32) -> Self {
        let nanos = period.as_nanos() / u128::from(tokens.max(1));
        Self { nanos_per_token: u64::try_from(nanos).unwrap_or(u64::MAX).max(1), burst: burst.max(1) }
    }

    /// `tokens` in each second.
    #[must_use]
    pub fn per_second(tokens: u32, burst: u32) -> Self {
        Self::new(tokens, Duration::from_secs(1), burst)
    }

    /// How long a bucket takes to have `tokens` more.
    fn time_for(&self, tokens: u32) -> Duration {
        Duration::from_nanos(self.nanos_per_token.saturating_mul(u64::from(tokens)))
    }
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate, full_at: Duration::ZERO }
    }

    /// Takes `tokens`, or none.
    ///
    /// # Errors
    /// How long to wait until there are enough. [`Duration::MAX`] when there never will be, because they are
    /// more than the burst.
    pub fn take(&mut self, tokens: u32, now: Duration) -> Result<(), Duration> {
        if tokens > self.rate.burst {
            return Err(Duration::MAX);
        }
        let full_at = self.full_at.max(now).saturating_add(self.rate.time_for(tokens));
        let earliest = full_at.saturating_sub(self.rate.time_for(self.rate.burst));
        match earliest.checked_sub(now) {
            None | Some(Duration::ZERO) => {
                self.full_at = full_at;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }

    /// Whether nothing was taken lately, so that a new bucket would be the same.
    #[must_use]
    pub fn is_full(&self, now: Duration) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut bucket = TokenBucket::new(Rate::per_second(10, 3));
        for _ in 0..3 {
            assert_eq!(bucket.take(1, at(5_000)), Ok(()));
        }
        assert_eq!(bucket.take(1, at(5_000)), Err(at(100)));
        assert_eq!(bucket.take(1, at(5_099)), Err(at(1)));
        assert_eq!(bucket.take(1, at(5_100)), Ok(()));
        assert!(!bucket.is_full(at(5_200)));
        assert!(bucket.is_full(at(5_400)));
    }

    #[test]
    fn more_than_the_burst_never_passes() {
        let mut bucket = TokenBucket::new(Rate::new(5, Duration::from_secs(3600), 2));
        assert_eq!(bucket.take(3, at(0)), Err(Duration::MAX));
        assert_eq!(bucket.take(2, at(0)), Ok(()));
        assert_eq!(bucket.take(1, at(0)), Err(Duration::from_secs(720)));
    }

    proptest! {
        #[test]
        fn no_window_of_time_gets_more_than_burst_and_rate(
            burst in 1_u32..20,
            rate in 1_u32..50,
            steps in proptest::collection::vec((0_u64..300, 1_u32..4), 1..200),
        ) {
            let mut bucket = TokenBucket::new(Rate::per_second(rate, burst));
            let (mut now, mut taken) = (0, Vec::new());
            for (wait, tokens) in steps {
                now += wait;
                match bucket.take(tokens, at(now)) {
                    Ok(()) => taken.push((now, tokens)),
                    Err(retry_after) if retry_after < Duration::MAX => {
                        // After the time named, it does pass.
                        let mut later = bucket;
                        prop_assert_eq!(later.take(tokens, at(now) + retry_after), Ok(()));
                    }
                    Err(_) => prop_assert!(tokens > burst),
                }
            }
            for (index, (begin, _)) in taken.iter().enumerate() {
                let mut sum = 0;
                for (end, tokens) in &taken[index..] {
                    sum += u64::from(*tokens);
                    // Nanoseconds are rounded down, so a rate may be reached a little early.
                    let allowed = u64::from(burst) + (end - begin) * u64::from(rate) / 1000 + 1;
                    prop_assert!(sum <= allowed, "{sum} in {} ms", end - begin);
                }
            }
        }
    }
}
