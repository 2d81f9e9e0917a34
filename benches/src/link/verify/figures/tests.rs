//! That a figure is what its name says, and that an emulator which does something else is found out.

use fulmar_network_model::{Profile, Share};

use super::*;

const STREAM: Stream = Stream {
    packet_bytes: 100,
    interval: Duration::from_millis(2),
    packets: 5_000,
    options: LinkOptions::CLEAN,
};

/// Packets every two milliseconds with these delays in milliseconds.
fn passages(delays: &[Option<u64>]) -> Vec<Passage> {
    let passage = |(number, delay): (u64, &Option<u64>)| {
        let sent = Duration::from_millis(2 * number);
        Passage { sent, arrived: delay.map(|delay| sent + Duration::from_millis(delay)) }
    };
    (0..).zip(delays).map(passage).collect()
}

fn schedule() -> Vec<Passage> {
    passages(&vec![None; STREAM.packets])
}

/// What a link of these options does, as if an emulator had done it.
fn emulated(options: LinkOptions) -> Vec<Passage> {
    through_model(Link::new(options, 1_000), &schedule(), STREAM)
}

#[test]
fn figures_are_those_of_the_packets() {
    let mut delays = vec![Some(10); 97];
    delays.extend([Some(30); 6]);
    delays.extend([None, None, None, Some(10), None, Some(10)]);
    let passages = passages(&delays);
    assert_eq!(quantile(&passages, 0.5).map(f64::round), Some(10.0));
    assert_eq!(jitter(&passages).map(f64::round), Some(20.0));
    assert!((loss_percent(&passages) - 100.0 * 4.0 / 109.0).abs() < 1e-9);
    assert_eq!(burst_packets(&passages), Some(2.0));
    // A packet of 800 bits every two milliseconds.
    let steady = vec![Some(10); 1_000];
    let rate = rate_kilobits(&self::passages(&steady), STREAM).unwrap();
    assert!((rate - 400.0).abs() < 1.0, "{rate}");
}

#[test]
fn what_nothing_was_lost_of_has_no_bursts() {
    assert_eq!(burst_packets(&passages(&[Some(1), Some(1)])), None);
    assert_eq!(quantile(&passages(&[None]), 0.5), None);
}

#[test]
fn a_link_that_does_what_was_asked_is_within_tolerance() {
    for profile in Profile::ALL {
        for verdict in compare(PACED, &emulated(profile.up), STREAM, &profile.up) {
            assert!(verdict.within, "{profile}: {verdict:?}");
        }
    }
}

#[test]
fn a_link_that_does_something_else_is_found_out() {
    let asked = Profile::UBER_P50.up;
    let ms = Duration::from_millis;
    let lossy = asked.loss.get();
    for (name, done) in [
        ("delay_p50_ms", LinkOptions { delay: asked.delay + ms(3), ..asked }),
        ("jitter_p95_ms", LinkOptions { jitter: asked.jitter * 2, ..asked }),
        ("loss_percent", LinkOptions { loss: Share::of(lossy * 1.5), ..asked }),
        ("burst_packets", LinkOptions { loss: Share::NONE, burst: Profile::UBER_P95.up.burst, ..asked }),
    ] {
        let verdicts = compare(PACED, &emulated(done), STREAM, &asked);
        let verdict = verdicts.iter().find(|verdict| verdict.name == name).unwrap();
        assert!(!verdict.within, "{verdict:?}");
    }
}

#[test]
fn loss_where_none_was_asked_is_found_out() {
    let done = LinkOptions { loss: Share::of(0.01), ..LinkOptions::CLEAN };
    let verdicts = compare(PACED, &emulated(done), STREAM, &LinkOptions::CLEAN);
    let out: Vec<&str> =
        verdicts.iter().filter(|verdict| !verdict.within).map(|verdict| verdict.name).collect();
    assert_eq!(out, ["loss_percent", "burst_packets"]);
}

#[test]
fn what_was_added_is_counted_from_what_the_model_says() {
    let expected = passages(&[Some(10), Some(10), None, None]);
    let measured = passages(&[Some(13), Some(11), None, Some(10)]);
    let (added, otherwise) = added(&measured, &expected);
    assert_eq!(added.iter().map(|us| us.round()).collect::<Vec<_>>(), [1_000.0, 3_000.0]);
    assert_eq!(otherwise, 1);
    assert_eq!(rank(&added, 1.0), added.last().copied());
}
