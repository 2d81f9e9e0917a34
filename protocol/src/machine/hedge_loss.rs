//! Whether a path loses packets: what hedging (FUL-HEDGE) waits for.
//!
//! Fed with a connection's own running counts of packets sent and lost. Both are kept as weights that fade:
//! by packets, so that a busy connection soon believes what it sees, and by time, so that a quiet one does
//! not go by what was long ago. All arithmetic is on whole numbers, so that the same counts give the same
//! answer everywhere:
//!
//! ```text
//! n packets more, l of them lost, after a time t:
//!     weight = (weight * 120 s / (120 s + t) + n or l) * 256 / (256 + n)
//! ```
//!
//! The weight of what was sent thus never passes 256 packets. Fading takes the same share of both, so time
//! alone changes how much is known and not the rate. The path is lossy from 1 % on, once at least one and a
//! half losses weigh in (one alone is chance), and no longer below 0.5 %. After [`FORGOTTEN_AFTER`] without a
//! packet nothing is known. A client of three packets a second on a path of 3 % needs some thirty seconds
//! for its first evidence; so that a returning one need not wait again, the estimate may be carried over to
//! its next connection ([`LossEstimate::carry_over`]).
//!
//! [`FORGOTTEN_AFTER`]: LossEstimate::FORGOTTEN_AFTER

use std::time::Duration;

/// One packet's weight.
const PACKET: u64 = 1 << 16;
/// Packets after which half of what was known before is gone.
const FADES_OVER_PACKETS: u64 = 256;
/// Milliseconds after which half of what was known before is gone.
const FADES_OVER_MS: u64 = 120_000;
/// Losses that must weigh in before a path is called lossy.
const EVIDENCE: u64 = PACKET + PACKET / 2;
/// Lossy from one loss in so many packets on,
const ON_ONE_IN: u64 = 100;
/// and no longer below one in so many.
const OFF_ONE_IN: u64 = 200;
/// Packets' weight that an estimate brings to another connection at most: the path may be another.
const CARRIED_PACKETS: u64 = 64;

/// An estimate of a path's loss. Time is an argument, since any origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossEstimate {
    /// The connection's counts when last looked.
    sent_seen: u64,
    lost_seen: u64,
    /// Weights.
    sent: u64,
    lost: u64,
    /// When a packet was last sent.
    sent_at: Duration,
    lossy: bool,
}

impl LossEstimate {
    /// What is known is forgotten after so long without a packet, within a connection or between two.
    pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);

    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The connection has sent and lost so many packets since it began. Counts that go back are passed over.
    pub fn handle_counts(&mut self, sent: u64, lost: u64, now: Duration) {
        let quiet = now.saturating_sub(self.sent_at);
        if quiet > Self::FORGOTTEN_AFTER {
            (self.sent, self.lost, self.lossy) = (0, 0, false);
        }
        let more = sent.saturating_sub(self.sent_seen);
        let lost_more = lost.saturating_sub(self.lost_seen);
        if more == 0 && lost_more == 0 {
            return;
        }
        self.sent_seen = self.sent_seen.max(sent);
        self.lost_seen = self.lost_seen.max(lost);
        let quiet_ms = u64::try_from(quiet.as_millis()).unwrap_or(u64::MAX);
        self.sent_at = self.sent_at.max(now);
        let faded = |weight: u64, news: u64| {
            let weight = share(weight, FADES_OVER_MS, FADES_OVER_MS.saturating_add(quiet_ms));
            let weight = weight.saturating_add(news.saturating_mul(PACKET));
            share(weight, FADES_OVER_PACKETS, FADES_OVER_PACKETS.saturating_add(more))
        };
        self.sent = faded(self.sent, more);
        self.lost = faded(self.lost, lost_more).min(self.sent);
        self.lossy = if self.lossy {
            self.lost.saturating_mul(OFF_ONE_IN) >= self.sent
        } else {
            self.lost >= EVIDENCE && self.lost.saturating_mul(ON_ONE_IN) >= self.sent
        };
    }

    /// Another connection begins, whose counts start at nothing. What is known is kept, with less weight.
    #[must_use]
    pub fn carry_over(mut self) -> Self {
        let kept = self.sent.min(CARRIED_PACKETS * PACKET);
        self.lost = share(self.lost, kept, self.sent.max(1));
        self.sent = kept;
        (self.sent_seen, self.lost_seen) = (0, 0);
        self
    }

    /// Whether the path loses enough for hedging to be worth its bytes.
    #[must_use]
    pub const fn is_lossy(&self) -> bool {
        self.lossy
    }
}

/// `weight * part / whole`, rounded down.
fn share(weight: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(weight).saturating_mul(u128::from(part));
    u64::try_from(product / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Packets one after another, each lost or not as a fixed sequence of numbers says.
    struct Path {
        estimate: LossEstimate,
        sent: u64,
        lost: u64,
        now: Duration,
        state: u64,
    }

    impl Path {
        fn new(seed: u64) -> Self {
            let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            Self { estimate: LossEstimate::new(), sent: 0, lost: 0, now: Duration::ZERO, state }
        }

        /// `packets`, `every` apart, of which so many in a thousand are lost.
        fn send(&mut self, packets: u32, every: Duration, lost_per_thousand: u64) {
            for _ in 0..packets {
                self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                self.now += every;
                self.sent += 1;
                self.lost += u64::from((self.state >> 33) % 1_000 < lost_per_thousand);
                self.estimate.handle_counts(self.sent, self.lost, self.now);
            }
        }
    }

    const THIN: Duration = Duration::from_millis(330);

    #[test]
    fn one_loss_alone_is_chance() {
        let mut estimate = LossEstimate::new();
        estimate.handle_counts(20, 1, Duration::from_secs(1));
        assert!(!estimate.is_lossy());
        estimate.handle_counts(30, 2, Duration::from_secs(2));
        assert!(estimate.is_lossy());
    }

    #[test]
    fn a_thin_flow_on_a_lossy_path_is_seen_within_two_minutes_and_mostly_stays_seen() {
        for seed in 0..50 {
            let mut path = Path::new(seed);
            path.send(360, THIN, 35);
            let (mut seen, looks) = (0_u32, 300_u32);
            for _ in 0..looks {
                path.send(1, THIN, 35);
                seen += u32::from(path.estimate.is_lossy());
            }
            assert!(seen * 10 >= looks * 7, "seed {seed}: {seen} of {looks}");
        }
    }

    #[test]
    fn a_path_that_has_become_clean_is_found_so() {
        for seed in 0..50 {
            let mut path = Path::new(seed);
            path.send(500, THIN, 70);
            path.send(1_500, THIN, 0);
            assert!(!path.estimate.is_lossy(), "seed {seed}");
        }
    }

    #[test]
    fn between_the_two_thresholds_it_stays_as_it_was() {
        let counts = |first_lost: u64| {
            let mut estimate = LossEstimate::new();
            let (mut sent, mut lost) = (100, first_lost);
            estimate.handle_counts(sent, lost, Duration::from_secs(1));
            let before = estimate.is_lossy();
            for step in 0..200 {
                // 0.75 %.
                sent += 400;
                lost += 3;
                estimate.handle_counts(sent, lost, Duration::from_secs(2 + step));
                assert_eq!(estimate.is_lossy(), before);
            }
            before
        };
        assert!(!counts(0));
        assert!(counts(5));
    }

    #[test]
    fn a_returning_client_knows_at_once_for_a_stated_time() {
        let mut path = Path::new(7);
        path.send(400, THIN, 70);
        assert!(path.estimate.is_lossy());
        let later = |after: Duration| {
            let mut carried = path.estimate.carry_over();
            carried.handle_counts(10, 0, path.now + after);
            carried.is_lossy()
        };
        assert!(later(Duration::from_secs(60)));
        assert!(!later(LossEstimate::FORGOTTEN_AFTER + Duration::from_secs(1)));
        // And another path soon has the word.
        let mut carried = path.estimate.carry_over();
        (1..600).for_each(|sent| carried.handle_counts(sent, 0, path.now + Duration::from_secs(2)));
        assert!(!carried.is_lossy());
    }

    proptest! {
        #[test]
        fn a_clean_path_is_never_lossy_and_counts_never_overflow(
            steps in proptest::collection::vec((0_u64..1 << 50, 0_u64..400_000), 1..60),
        ) {
            let mut estimate = LossEstimate::new();
            let (mut sent, mut now) = (0_u64, Duration::ZERO);
            for (packets, millis) in steps {
                sent = sent.saturating_add(packets);
                now += Duration::from_millis(millis);
                estimate.handle_counts(sent, 0, now);
                prop_assert!(!estimate.is_lossy());
                prop_assert!(estimate.sent <= FADES_OVER_PACKETS * PACKET);
            }
        }

        #[test]
        fn whatever_the_counts_say_the_rate_is_no_more_than_all(
            steps in proptest::collection::vec((any::<u64>(), any::<u64>(), 0_u64..400_000), 1..60),
        ) {
            let mut estimate = LossEstimate::new();
            let mut now = Duration::ZERO;
            for (sent, lost, millis) in steps {
                now += Duration::from_millis(millis);
                estimate.handle_counts(sent, lost, now);
                prop_assert!(estimate.lost <= estimate.sent);
                prop_assert!(estimate.carry_over().sent <= CARRIED_PACKETS * PACKET);
            }
        }
    }
}
