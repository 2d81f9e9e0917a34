//! Each property of a link, measured over many packets against its parameter. Shares of 100,000 packets are
//! checked to five standard deviations, so that another seed would pass as well.

use std::time::Duration;

use fulmar_network_model::{
    Burst, DropCause, Fate, HEADER_BYTES, JITTER_MULTIPLE_MAX, Link, LinkOptions, MtuStep, Rate, Reordering,
    Share, Window,
};

use super::ms;

const PACKETS: u32 = 100_000;
const SEED: u64 = 7;

/// The fates of so many packets of 100 bytes, one every `gap`.
fn fates(options: LinkOptions, gap: Duration, packets: u32) -> Vec<Fate> {
    let mut link = Link::new(options, SEED);
    (0..packets).map(|number| link.offer(gap * number, 100)).collect()
}

fn count(fates: &[Fate], wanted: impl Fn(&Fate) -> bool) -> f64 {
    f64::from(u32::try_from(fates.iter().filter(|fate| wanted(fate)).count()).unwrap())
}

/// Checks a share of so many independent packets to five standard deviations.
fn assert_share(measured: f64, packets: u32, expected: f64) {
    let share = measured / f64::from(packets);
    let tolerance = 5.0 * (expected * (1.0 - expected) / f64::from(packets)).sqrt();
    assert!((share - expected).abs() <= tolerance, "{share} is not {expected} ± {tolerance}");
}

fn arrival(fate: Fate) -> Duration {
    fate.arrivals().next().expect("it arrives")
}

#[test]
fn a_clean_link_adds_its_delay_and_nothing_else() {
    let fates = fates(LinkOptions::with_delay(ms(25)), ms(1), 1_000);
    for (number, fate) in (0..).zip(fates) {
        assert_eq!(fate, Fate::Arrives(ms(number) + ms(25)));
    }
}

#[test]
fn jitter_has_its_mean_and_its_bound() {
    let options = LinkOptions { jitter: ms(10), ..LinkOptions::with_delay(ms(50)) };
    // So far apart that no packet waits for the one before it.
    let fates = fates(options, ms(1_000), PACKETS);
    let extra = |(number, fate): (u32, &Fate)| arrival(*fate) - ms(1_000) * number - ms(50);
    let extras: Vec<Duration> = (0..).zip(&fates).map(extra).collect();
    let mean = extras.iter().sum::<Duration>() / PACKETS;
    // The mean of 100,000 exponential draws is good to 0.3 %; five times that.
    assert!(mean.abs_diff(ms(10)) < Duration::from_micros(160), "{mean:?}");
    assert!(extras.iter().all(|extra| *extra <= ms(10) * JITTER_MULTIPLE_MAX));
    assert!(extras.iter().any(|extra| *extra > ms(50)), "the tail is there");
}

#[test]
fn jitter_alone_does_not_reorder() {
    let options = LinkOptions { jitter: ms(20), ..LinkOptions::with_delay(ms(50)) };
    let fates = fates(options, ms(1), PACKETS);
    assert!(fates.windows(2).all(|pair| arrival(pair[0]) <= arrival(pair[1])));
}

#[test]
fn a_rate_spaces_packets_by_their_bits() {
    let options = LinkOptions { rate: Some(Rate::kilobits(8_000, 1_000_000)), ..LinkOptions::CLEAN };
    let mut link = Link::new(options, SEED);
    let payload = 1_000 - usize::try_from(HEADER_BYTES).unwrap();
    for number in 1..=500 {
        assert_eq!(link.offer(Duration::ZERO, payload), Fate::Arrives(ms(number)), "one millisecond each");
    }
    assert_eq!(link.queued_bytes(Duration::ZERO), 500_000);
    assert_eq!(link.queued_bytes(ms(400)), 100_000);
    assert_eq!(link.offer(ms(600), payload), Fate::Arrives(ms(601)), "an idle link saves nothing up");
}

#[test]
fn a_full_queue_drops_what_comes_last() {
    let options = LinkOptions { rate: Some(Rate::kilobits(8_000, 64_500)), ..LinkOptions::CLEAN };
    let mut link = Link::new(options, SEED);
    let payload = 1_000 - usize::try_from(HEADER_BYTES).unwrap();
    let fates: Vec<Fate> = (0..200).map(|_| link.offer(Duration::ZERO, payload)).collect();
    let (kept, dropped) = fates.split_at(64);
    assert!(kept.iter().all(|fate| matches!(fate, Fate::Arrives(_))));
    assert!(dropped.iter().all(|fate| *fate == Fate::Dropped(DropCause::QueueFull)));
    assert_eq!(link.offer(ms(1), payload), Fate::Arrives(ms(65)), "there is room again for one");
}

#[test]
fn independent_loss_has_its_share_and_no_memory() {
    let options = LinkOptions { loss: Share::of(0.035), ..LinkOptions::CLEAN };
    let fates = fates(options, ms(1), PACKETS);
    let lost = |fate: &Fate| *fate == Fate::Dropped(DropCause::Loss);
    assert_share(count(&fates, lost), PACKETS, 0.035);
    let pairs = fates.windows(2).filter(|pair| lost(&pair[0]) && lost(&pair[1])).count();
    assert_share(f64::from(u32::try_from(pairs).unwrap()), PACKETS, 0.035 * 0.035);
}

const BURST: Burst = Burst {
    good_to_bad: Share::of(0.02),
    bad_to_good: Share::of(0.25),
    loss_good: Share::NONE,
    loss_bad: Share::ALL,
    memory: Duration::from_secs(1),
};

#[test]
fn bursts_have_their_share_and_their_length() {
    let fates = fates(LinkOptions { burst: Some(BURST), ..LinkOptions::CLEAN }, ms(1), PACKETS);
    let lost: Vec<bool> = fates.iter().map(|fate| *fate == Fate::Dropped(DropCause::Burst)).collect();
    let total = f64::from(u32::try_from(lost.iter().filter(|lost| **lost).count()).unwrap());
    let begun = f64::from(u32::try_from(lost.windows(2).filter(|pair| !pair[0] && pair[1]).count()).unwrap());
    let share = total / f64::from(PACKETS);
    // About 1,850 bursts: 2.3 % is one standard deviation of the mean of either; 10 % is more than four.
    assert!((share / BURST.loss().get() - 1.0).abs() < 0.1, "{share} is not {:?}", BURST.loss());
    let length = total / begun;
    assert!((length / 4.0 - 1.0).abs() < 0.1, "{length} packets a burst");
}

#[test]
fn a_burst_is_forgotten_in_a_pause() {
    let fates = fates(LinkOptions { burst: Some(BURST), ..LinkOptions::CLEAN }, ms(1_000), PACKETS);
    let lost = |fate: &Fate| *fate == Fate::Dropped(DropCause::Burst);
    let loss = BURST.loss().get();
    assert_share(count(&fates, lost), PACKETS, loss);
    let pairs = fates.windows(2).filter(|pair| lost(&pair[0]) && lost(&pair[1])).count();
    // As often as chance alone has it.
    assert!(
        (f64::from(u32::try_from(pairs).unwrap()) / f64::from(PACKETS) / (loss * loss) - 1.0).abs() < 0.2
    );
}

#[test]
fn a_bad_state_loses_its_part_and_a_good_one_its_own() {
    let burst = Burst { loss_good: Share::of(0.035), loss_bad: Share::of(0.4), ..BURST };
    let options = LinkOptions { burst: Some(burst), ..LinkOptions::CLEAN };
    let lost = count(&fates(options, ms(1), PACKETS), |fate| matches!(fate, Fate::Dropped(_)));
    let share = lost / f64::from(PACKETS);
    assert!((share / options.mean_loss().get() - 1.0).abs() < 0.1, "{share}");
}

#[test]
fn reordering_makes_its_share_late() {
    let reordering = Reordering { share: Share::of(0.02), extra_delay: ms(10) };
    let options = LinkOptions { reordering: Some(reordering), ..LinkOptions::with_delay(ms(25)) };
    let fates = fates(options, ms(3), PACKETS);
    let late = |(number, fate): (u32, &Fate)| arrival(*fate) == ms(3) * number + ms(35);
    let late = (0..).zip(&fates).filter(|packet| late(*packet)).count();
    assert_share(f64::from(u32::try_from(late).unwrap()), PACKETS, 0.02);
    let overtaken = fates.windows(2).filter(|pair| arrival(pair[0]) > arrival(pair[1])).count();
    // A late packet is overtaken unless the next is late too.
    assert_share(f64::from(u32::try_from(overtaken).unwrap()), PACKETS, 0.02 * 0.98);
}

#[test]
fn duplication_doubles_its_share() {
    let options = LinkOptions { duplication: Share::of(0.01), ..LinkOptions::with_delay(ms(25)) };
    let fates = fates(options, ms(1), PACKETS);
    assert_share(count(&fates, |fate| fate.arrivals().count() == 2), PACKETS, 0.01);
    assert!(fates.iter().all(|fate| fate.arrivals().count() >= 1));
}

#[test]
fn what_is_larger_than_the_mtu_is_dropped_and_the_mtu_may_shrink() {
    let mut options = LinkOptions { mtu: 1_400, ..LinkOptions::CLEAN };
    options.mtu_steps[0] = Some(MtuStep { from: ms(1_000), mtu: 1_200 });
    let mut link = Link::new(options, SEED);
    assert_eq!(link.offer(ms(0), 1_400), Fate::Arrives(ms(0)));
    assert_eq!(link.offer(ms(0), 1_401), Fate::Dropped(DropCause::Mtu));
    assert_eq!(link.offer(ms(999), 1_400), Fate::Arrives(ms(999)));
    assert_eq!(link.offer(ms(1_000), 1_201), Fate::Dropped(DropCause::Mtu));
    assert_eq!(link.offer(ms(1_000), 1_200), Fate::Arrives(ms(1_000)));
}

#[test]
fn nothing_passes_in_an_outage_or_while_switched_off() {
    let mut options = LinkOptions::with_delay(ms(100));
    options.outages[0] = Some(Window { from: ms(1_000), until: ms(2_000) });
    let mut link = Link::new(options, SEED);
    let dark = Fate::Dropped(DropCause::Blackout);
    assert_eq!(link.offer(ms(999), 100), Fate::Arrives(ms(1_099)), "it has left");
    assert_eq!(link.offer(ms(1_000), 100), dark);
    assert_eq!(link.offer(ms(1_999), 100), dark);
    assert_eq!(link.offer(ms(2_000), 100), Fate::Arrives(ms(2_100)));
    link.switch_off(true);
    assert_eq!(link.offer(ms(2_001), 100), dark);
    link.switch_off(false);
    assert_eq!(link.offer(ms(2_002), 100), Fate::Arrives(ms(2_102)));
}

#[test]
fn what_is_still_queued_when_an_outage_begins_is_lost() {
    let mut options = LinkOptions { rate: Some(Rate::kilobits(8, 10_000)), ..LinkOptions::CLEAN };
    options.outages[0] = Some(Window { from: ms(150), until: ms(250) });
    let mut link = Link::new(options, SEED);
    let payload = 100 - usize::try_from(HEADER_BYTES).unwrap();
    let fates: Vec<Fate> = (0..3).map(|_| link.offer(Duration::ZERO, payload)).collect();
    assert_eq!(fates, [Fate::Arrives(ms(100)), Fate::Dropped(DropCause::Blackout), Fate::Arrives(ms(300))]);
}

#[test]
fn one_seed_has_one_fate_and_another_seed_another() {
    let options = fulmar_network_model::Profile::UBER_P95.up;
    let run = |seed| {
        let mut link = Link::new(options, seed);
        (0..1_000).map(|number| link.offer(ms(10) * number, 300)).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
