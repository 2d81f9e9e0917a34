//! `fulmar-bench link --verify`: whether a link does what its profile says, measured through its own devices, and what
//! it costs.
//!
//! Both directions at once, first with a stream that leaves room on the link (delay, jitter, loss, bursts), then with
//! more than it carries (rate). What is measured is compared with what the model makes of the same packets: over many
//! seeds, which says what was asked and what chance allows, and with the link's own seed, which says packet by packet
//! what the emulator has added. That includes the kernel's part and waking the receiver, and nothing is taken off.

mod figures;
mod output;
mod stream;

use std::{
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use fulmar_network_model::{self as model, JITTER_MULTIPLE_MAX, Profile};
use indicatif::{ProgressBar, ProgressStyle};

use self::{
    figures::{FLOOD, PACED, Verdict, added, compare, rank, through_model},
    output::{DirectionResult, ProfileResult, Results},
    stream::{Passage, Stream, pass},
};
use super::{Link, LinkError, LinkSettings, command::LinkOptions, emulator::Direction, models};
use crate::{arguments::JsonTo, error::BenchError};

/// Bytes of a packet of the stream that leaves room, headers included, and of the one that does not.
const PACED_BYTES: usize = 52;
const FLOOD_BYTES: usize = 1_200;
/// Every so often at most one packet of the first.
const PACED_INTERVAL_MIN: Duration = Duration::from_millis(2);
/// How much of the rate the first takes at most, and the second.
const PACED_SHARE: f64 = 0.5;
const FLOOD_SHARE: f64 = 1.3;
/// The second, where there is no rate.
const FLOOD_INTERVAL: Duration = Duration::from_micros(500);
/// How long nothing is sent before the link is taken to be empty, beside what its profile says.
const EMPTY_AFTER: Duration = Duration::from_millis(500);
/// What the emulator may add: to half of the packets, and to all but a hundredth.
const ADDED_US_P50_MAX: f64 = 500.0;
const ADDED_US_P99_MAX: f64 = 5_000.0;
/// Percent of packets that may have another fate than by the model: those at the edge of an outage.
const OTHERWISE_PERCENT_MAX: f64 = 0.1;

/// Measures the profile that is asked for, or all, and says whether all is as it should be.
pub(super) fn run(options: &LinkOptions, json: Option<&JsonTo>) -> Result<ExitCode, BenchError> {
    let profiles: Vec<Profile> =
        options.profile.map_or_else(|| Profile::ALL.to_vec(), |profile| vec![*profile]);
    let bar = ProgressBar::new(0).with_style(style());
    let mut results = Vec::new();
    for profile in profiles {
        results.push(measure(profile, options, &bar)?);
    }
    bar.finish_and_clear();
    let results = Results { seed: options.seed, seconds: options.seconds.as_secs(), profiles: results };
    output::print(&results, json)?;
    Ok(if results.is_within() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg:>8} {bar:40} {pos}/{len} packets")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn measure(profile: Profile, options: &LinkOptions, bar: &ProgressBar) -> Result<ProfileResult, LinkError> {
    let settings = LinkSettings::default();
    let link = Link::open(&profile, options.seed, &settings)?;
    bar.set_message(profile.name);
    let ways = [profile.up, profile.down];
    let paced =
        ways.map(|way| Stream::lasting(options.seconds * 3 / 4, paced_interval(&way), PACED_BYTES, way));
    let flood = ways.map(|way| Stream::lasting(options.seconds / 4, flood_interval(&way), FLOOD_BYTES, way));
    let before = link.stats()?;
    let [paced_up, paced_down] = both(&link, paced, ways, bar)?;
    let between = link.stats()?;
    let [flood_up, flood_down] = both(&link, flood, ways, bar)?;
    let after = link.stats()?;
    let [twin_up, twin_down] = models(&profile, options.seed, &settings);
    let way = |options, twin, paced: (&[Passage], Stream), flood: (&[Passage], Stream)| {
        let mut verdicts = compare(PACED, paced.0, paced.1, &options);
        verdicts.extend(compare(FLOOD, flood.0, flood.1, &options));
        verdicts.extend(cost(paced.0, &through_model(twin, paced.0, paced.1)));
        DirectionResult(verdicts)
    };
    let ([paced_is_up, paced_is_down], [flood_is_up, flood_is_down]) = (paced, flood);
    let packets = |stats: &super::LinkStats| stats.up.offered_packets + stats.down.offered_packets;
    let per_packet = |from: &super::LinkStats, to: &super::LinkStats| {
        let used = to.emulator_processor_us.saturating_sub(from.emulator_processor_us);
        output::per(used, packets(to).saturating_sub(packets(from)))
    };
    Ok(ProfileResult {
        name: profile.name,
        up: way(profile.up, twin_up, (&paced_up, paced_is_up), (&flood_up, flood_is_up)),
        down: way(profile.down, twin_down, (&paced_down, paced_is_down), (&flood_down, flood_is_down)),
        emulator_us_per_packet: per_packet(&before, &between),
        emulator_us_per_packet_busy: per_packet(&between, &after),
        late_us_mean: [after.up.late_us_mean, after.down.late_us_mean],
        kernel_drops: after.up.dropped.kernel + after.down.dropped.kernel,
    })
}

/// One stream each way, at once.
fn both(
    link: &Link,
    streams: [Stream; 2],
    ways: [model::LinkOptions; 2],
    bar: &ProgressBar,
) -> Result<[Vec<Passage>; 2], LinkError> {
    let sent = AtomicUsize::new(0);
    let total = streams.iter().map(|stream| stream.packets).sum::<usize>();
    bar.set_length(total.try_into().unwrap_or(u64::MAX));
    let slowest = ways.iter().map(slowest).max().unwrap_or_default();
    let [up, down] = streams;
    std::thread::scope(|scope| {
        let up = scope.spawn(|| pass(link, Direction::Up, up, slowest, &sent));
        let down = scope.spawn(|| pass(link, Direction::Down, down, slowest, &sent));
        while !(up.is_finished() && down.is_finished()) {
            bar.set_position(sent.load(Ordering::Relaxed).try_into().unwrap_or(u64::MAX));
            std::thread::sleep(Duration::from_millis(200));
        }
        let panicked = || LinkError::Ended("a measuring thread panicked".into());
        Ok([up.join().map_err(|_| panicked())??, down.join().map_err(|_| panicked())??])
    })
}

/// What the emulator has added, packet by packet.
fn cost(measured: &[Passage], expected: &[Passage]) -> Vec<Verdict> {
    let (added, otherwise) = added(measured, expected);
    let otherwise = output::percent(otherwise, measured.len());
    [
        rank(&added, 0.5).map(|us| Verdict::new("added_us_p50", 0.0, us, ADDED_US_P50_MAX)),
        rank(&added, 0.99).map(|us| Verdict::new("added_us_p99", 0.0, us, ADDED_US_P99_MAX)),
        Some(Verdict::new("other_fate_percent", 0.0, otherwise, OTHERWISE_PERCENT_MAX)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn paced_interval(options: &model::LinkOptions) -> Duration {
    interval(options, PACED_BYTES, PACED_SHARE)
        .map_or(PACED_INTERVAL_MIN, |interval| interval.max(PACED_INTERVAL_MIN))
}

fn flood_interval(options: &model::LinkOptions) -> Duration {
    interval(options, FLOOD_BYTES, FLOOD_SHARE).unwrap_or(FLOOD_INTERVAL)
}

/// How far packets of a size are apart that take this share of a link's rate.
fn interval(options: &model::LinkOptions, packet_bytes: usize, share: f64) -> Option<Duration> {
    Some(on_the_link(options, packet_bytes.try_into().ok()?)?.div_f64(share))
}

/// How long bytes take to leave at a link's rate.
fn on_the_link(options: &model::LinkOptions, bytes: u32) -> Option<Duration> {
    let per_second = options.rate?.bits_per_second.get();
    Some(Duration::from_secs(8).saturating_mul(bytes) / u32::try_from(per_second).unwrap_or(u32::MAX))
}

/// How long after the last packet was sent the last one may come.
fn slowest(options: &model::LinkOptions) -> Duration {
    let queue = options.rate.and_then(|rate| on_the_link(options, rate.queue_bytes_max)).unwrap_or_default();
    let cell = options.handovers.map_or(Duration::ZERO, |handovers| handovers.delay_step_max);
    let late = options.reordering.map_or(Duration::ZERO, |reordering| reordering.extra_delay);
    queue + options.delay + options.jitter * JITTER_MULTIPLE_MAX + cell + late + EMPTY_AFTER
}
