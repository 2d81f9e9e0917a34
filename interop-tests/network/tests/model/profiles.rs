//! The named profiles: that each is what its source says.

use std::collections::BTreeSet;
use std::time::Duration;

use fulmar_network_model::{DropCause, Fate, Handovers, Link, LinkOptions, Periodic, Profile, Share};

use super::ms;

#[test]
fn every_profile_is_found_by_its_name() {
    let names: BTreeSet<&str> = Profile::ALL.iter().map(|profile| profile.name).collect();
    let wanted = ["clean", "wifi", "lte", "3g", "edge", "uber-p50", "uber-p95", "train", "lossy-7"];
    assert_eq!(names, wanted.into_iter().collect());
    assert_eq!(names.len(), Profile::ALL.len(), "no name twice");
    for profile in Profile::ALL {
        assert_eq!(Profile::by_name(&profile.to_string()), Some(profile));
        assert!(!profile.source.contains("  "), "{profile}: {}", profile.source);
    }
    assert_eq!(Profile::by_name("dial-up"), None);
}

#[test]
fn every_profile_has_the_round_trip_and_the_loss_that_it_states() {
    // Round trip in milliseconds, loss each way as a share.
    let stated = [
        ("clean", 50, 0.0),
        ("wifi", 28, 0.001),
        ("lte", 70, 0.005),
        ("3g", 300, 0.01),
        ("edge", 840, 0.02),
        ("uber-p50", 350, 0.035),
        ("uber-p95", 725, 0.057),
        ("train", 100, 0.015),
        ("lossy-7", 100, 0.07),
    ];
    for (name, round_trip, loss) in stated {
        let profile = Profile::by_name(name).unwrap();
        assert_eq!(profile.round_trip(), ms(round_trip), "{name}");
        for link in [profile.up, profile.down] {
            assert!((link.mean_loss().get() - loss).abs() < 0.001, "{name}: {:?}", link.mean_loss());
        }
    }
}

#[test]
fn every_profile_behaves_as_stated() {
    const PACKETS: u32 = 100_000;
    for profile in Profile::ALL {
        for options in [profile.up, profile.down] {
            // Handovers and tunnels have tests of their own. Slow enough for the slowest rate and short enough
            // for bursts to be remembered.
            let options = LinkOptions { tunnels: None, handovers: None, ..options };
            let mut link = Link::new(options, 11);
            let fates: Vec<(Duration, Fate)> =
                (0..PACKETS).map(|number| (ms(200) * number, link.offer(ms(200) * number, 100))).collect();
            let arrived = fates.iter().filter(|(_, fate)| fate.arrivals().count() > 0).count();
            let lost = 1.0 - f64::from(u32::try_from(arrived).unwrap()) / f64::from(PACKETS);
            let expected = options.mean_loss().get();
            // Bursts make the deviation larger than that of independent packets: a tenth, and a little more for
            // those who lose next to nothing.
            assert!((lost - expected).abs() < expected / 10.0 + 0.0005, "{profile}: {lost}, not {expected}");
            let took: Duration =
                fates.iter().filter_map(|(sent, fate)| Some(fate.arrivals().next()? - *sent)).sum();
            let mean = took / u32::try_from(arrived).unwrap();
            let expected = options.delay + options.jitter;
            // The bits of 128 bytes take up to 5.2 ms on the slowest.
            assert!(
                mean >= expected - ms(2) && mean < expected + ms(7),
                "{profile}: {mean:?}, not {expected:?}"
            );
        }
    }
}

const HANDOVERS: Handovers = Handovers {
    outage: Periodic {
        first: Duration::from_secs(6),
        period: Duration::from_secs(12),
        length: Duration::from_millis(400),
    },
    delay_step_max: Duration::from_millis(60),
};

#[test]
fn a_handover_is_a_short_outage_and_another_delay() {
    let options = LinkOptions { handovers: Some(HANDOVERS), ..LinkOptions::with_delay(ms(40)) };
    let mut link = Link::new(options, 3);
    let mut delays = Vec::new();
    for cell in 0..1_000u32 {
        let begins = Duration::from_secs(6) + Duration::from_secs(12) * cell;
        assert_eq!(link.offer(begins, 100), Fate::Dropped(DropCause::Blackout));
        assert_eq!(link.offer(begins + ms(399), 100), Fate::Dropped(DropCause::Blackout));
        let delay_at = |link: &mut Link, at| link.offer(at, 100).arrivals().next().unwrap() - at;
        let early = delay_at(&mut link, begins + ms(400));
        let late = delay_at(&mut link, begins + ms(11_999));
        assert_eq!(early, late, "a cell keeps its delay");
        delays.push(early - ms(40));
    }
    assert!(delays.iter().all(|delay| *delay <= ms(60)));
    let mean = delays.iter().sum::<Duration>() / 1_000;
    // Even from 0 to 60 ms: 30 ms, with a standard deviation of 0.55 ms over 1,000.
    assert!(mean.abs_diff(ms(30)) < ms(3), "{mean:?}");
}

#[test]
fn both_directions_go_dark_together() {
    let train = Profile::TRAIN;
    let (up, down) =
        (LinkOptions { phase: ms(12_345), ..train.up }, LinkOptions { phase: ms(12_345), ..train.down });
    let mut dark = 0;
    for at in (0..3_600_000).step_by(100) {
        assert_eq!(up.is_dark(ms(at)), down.is_dark(ms(at)));
        dark += u32::from(up.is_dark(ms(at)));
    }
    // An hour: 20 tunnels of 15 s, and 300 handovers of 0.4 s, one or two of which are in a tunnel each.
    let seconds = dark / 10;
    assert!((400..=422).contains(&seconds), "{seconds} s");
}

#[test]
fn a_share_is_between_nothing_and_all() {
    assert_eq!(Share::of(-0.1), Share::NONE);
    assert_eq!(Share::of(f64::NAN), Share::NONE);
    assert_eq!(Share::of(1.1), Share::ALL);
}
