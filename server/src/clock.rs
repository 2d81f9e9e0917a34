//! Time and randomness: the only places that ask the machine for either.
//!
//! [`Clock`] tells the time of day, which stamps entries and is compared with what tokens state. What is
//! measured (timeouts, rates, debounces) is measured with `tokio::time::Instant`, never with this clock:
//! the time of day may jump. [`Rng`] makes every random number but those of keys and TLS, which come from
//! the cryptographic library's own generator.
//!
//! Both are cheap to clone, and a clone shows the same time and draws from the same stream. So a test runs
//! an hour in a second, and repeats it from a seed.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fulmar_protocol::TimestampMs;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

/// The time of day. It is not monotonic: an administrator or NTP may set it back.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Runtime { origin: Instant, start: TimestampMs },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `start` now and goes on as the runtime's time does: stands still while that is
    /// paused, and leaps when it is advanced.
    #[must_use]
    pub fn simulated(start: TimestampMs) -> Self {
        Self(Source::Runtime { origin: Instant::now(), start })
    }

    /// The time of day. A machine whose clock stands before 1970 gets 0.
    #[must_use]
    pub fn now(&self) -> TimestampMs {
        match &self.0 {
            Source::System => system_time(),
            Source::Runtime { origin, start } => start.plus(origin.elapsed()),
            Source::Manual(millis) => TimestampMs::new(millis.load(Ordering::Acquire)),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the time of day is read")]
fn system_time() -> TimestampMs {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    TimestampMs::new(0).plus(since_1970)
}

/// The hands of a clock that moves only when it is told to, backwards too.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows `start` until it is moved.
    #[must_use]
    pub fn new(start: TimestampMs) -> Self {
        Self(Arc::new(AtomicU64::new(start.get())))
    }

    /// The clock that these hands move.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(Arc::clone(&self.0)))
    }

    /// Sets the time of day.
    pub fn set(&self, now: TimestampMs) {
        self.0.store(now.get(), Ordering::Release);
    }

    /// Moves the time of day forward.
    pub fn advance(&self, by: Duration) {
        self.set(self.clock().now().plus(by));
    }
}

/// Random numbers. Clones draw from one stream, in turn.
#[derive(Clone)]
pub struct Rng(Arc<Mutex<StdRng>>);

impl Rng {
    /// A generator that nobody can foretell.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn from_os() -> io::Result<Self> {
        let generator = StdRng::try_from_os_rng().map_err(io::Error::other)?;
        Ok(Self(Arc::new(Mutex::new(generator))))
    }

    /// A generator that gives the same numbers for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Any number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.lock().random()
    }

    /// Random bytes, as many as asked for.
    #[must_use]
    pub fn octets<const N: usize>(&self) -> [u8; N] {
        let mut octets = [0; N];
        self.0.lock().fill(&mut octets);
        octets
    }

    /// A time between two, both included, to the nanosecond; the first where they are the wrong way round.
    /// This is what keeps many peers from doing the same thing at the same moment.
    #[must_use]
    pub fn duration(&self, between: RangeInclusive<Duration>) -> Duration {
        let (least, most) = between.into_inner();
        if least >= most { least } else { self.0.lock().random_range(least..=most) }
    }
}

impl fmt::Debug for Rng {
    /// Tells nothing of the state, from which all later numbers follow.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Rng")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_shows_a_time_after_this_was_written() {
        assert!(Clock::system().now() > TimestampMs::new(1_760_000_000_000));
    }

    #[test]
    fn a_manual_clock_moves_only_when_told_and_all_its_clones_agree() {
        let hands = ManualClock::new(TimestampMs::new(1_000));
        let (one, other) = (hands.clock(), hands.clock().clone());
        assert_eq!((one.now(), other.now()), (TimestampMs::new(1_000), TimestampMs::new(1_000)));
        hands.advance(Duration::from_secs(3));
        assert_eq!((one.now(), other.now()), (TimestampMs::new(4_000), TimestampMs::new(4_000)));
        hands.set(TimestampMs::new(7));
        assert_eq!(one.now(), TimestampMs::new(7));
    }

    #[test]
    fn a_simulated_clock_starts_where_it_is_told() {
        let clock = Clock::simulated(TimestampMs::new(5_000_000));
        assert!(clock.now() >= TimestampMs::new(5_000_000));
        assert!(clock.now() < TimestampMs::new(6_000_000));
    }

    #[test]
    fn a_seed_repeats_its_numbers() {
        let draw = |rng: &Rng| (rng.number(), rng.octets::<16>(), rng.clone().number());
        assert_eq!(draw(&Rng::seeded(7)), draw(&Rng::seeded(7)));
        assert_ne!(draw(&Rng::seeded(7)), draw(&Rng::seeded(8)));
    }

    #[test]
    fn two_generators_of_the_system_differ() {
        let (one, other) = (Rng::from_os().unwrap(), Rng::from_os().unwrap());
        assert_ne!(one.octets::<16>(), other.octets::<16>());
    }

    #[test]
    fn a_random_duration_stays_between_its_ends() {
        let rng = Rng::seeded(1);
        let (least, most) = (Duration::from_millis(50), Duration::from_millis(250));
        for _ in 0..1_000 {
            assert!((least..=most).contains(&rng.duration(least..=most)));
        }
        assert_eq!(rng.duration(least..=least), least);
        assert_eq!(rng.duration(most..=least), most);
    }
}
