//! The one source of randomness: device ids, group nonces, the jitter of waits.
//!
//! Seeded from the operating system; tests seed it themselves, so that a run can be repeated.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, RngCore, SeedableRng};

/// A cryptographic generator.
#[derive(Debug)]
pub(crate) struct Rng {
    generator: StdRng,
    jitter: bool,
}

impl Rng {
    /// Seeded from the operating system.
    pub(crate) fn from_os() -> Self {
        Self { generator: StdRng::from_os_rng(), jitter: true }
    }

    /// The same sequence for the same seed.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self { generator: StdRng::seed_from_u64(seed), jitter: true }
    }

    /// All times are the longest from here on.
    pub(crate) fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    /// 16 random bytes: a device id or a nonce.
    pub(crate) fn octets(&mut self) -> [u8; 16] {
        let mut octets = [0; 16];
        self.generator.fill_bytes(&mut octets);
        octets
    }

    /// A seed for another generator.
    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.generator.fill_bytes(&mut seed);
        seed
    }

    /// Another generator, independent of this one from here on.
    pub(crate) fn split(&mut self) -> Self {
        Self { generator: StdRng::from_seed(self.seed()), jitter: self.jitter }
    }

    /// A number for grease and the like.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.generator.random_range(0..end) }
    }

    /// A time from `shortest` to `longest`, in whole microseconds.
    pub(crate) fn duration(&mut self, shortest: Duration, longest: Duration) -> Duration {
        if !self.jitter {
            return longest;
        }
        let micros = u64::try_from(longest.saturating_sub(shortest).as_micros()).unwrap_or(u64::MAX - 1);
        shortest.saturating_add(Duration::from_micros(self.below(micros.saturating_add(1))))
    }
}
