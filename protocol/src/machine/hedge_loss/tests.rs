//! Promises of [`LossEstimate`]: what a thin flow shows, what fades, and that no count overflows.

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

// FUL-HEDGE-4
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
