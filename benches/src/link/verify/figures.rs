//! The figures of a stream of packets, and what they should be.
//!
//! What they should be is what the model makes of the very same packets, sent at the same moments: its mean over many
//! seeds is what is asked, and its spread over them is what chance allows.

use std::time::Duration;

use fulmar_network_model::{Link, LinkOptions};
use serde::Serialize;

use super::stream::{Passage, Stream};

/// Seeds that the model is tried with.
const SEEDS: u64 = 32;
/// How many standard deviations chance may take a measured figure away: one in 16,000 goes beyond.
const DEVIATIONS: f64 = 4.0;

/// A figure: its name with its unit, and what the emulator may add to what chance allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    /// In the figure's unit.
    slack: f64,
    /// As a share of what is asked, on top.
    slack_share: f64,
    of: fn(&[Passage], Stream) -> Option<f64>,
}

/// Those of a stream with room on the link.
pub(super) const PACED: &[Figure] = &[
    Figure { name: "delay_p50_ms", slack: 1.0, slack_share: 0.0, of: |passages, _| quantile(passages, 0.5) },
    Figure { name: "jitter_p95_ms", slack: 1.0, slack_share: 0.05, of: |passages, _| jitter(passages) },
    Figure {
        name: "loss_percent",
        slack: 0.1,
        slack_share: 0.0,
        of: |passages, _| Some(loss_percent(passages)),
    },
    Figure {
        name: "burst_packets",
        slack: 0.05,
        slack_share: 0.0,
        of: |passages, _| burst_packets(passages),
    },
];

/// Those of a stream that is more than the link carries.
pub(super) const FLOOD: &[Figure] =
    &[Figure { name: "rate_kbit_per_s", slack: 0.0, slack_share: 0.02, of: rate_kilobits }];

/// A figure, and whether it is what it should be.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    #[serde(skip)]
    pub(super) name: &'static str,
    pub(super) asked: f64,
    pub(super) measured: f64,
    pub(super) tolerance: f64,
    pub(super) within: bool,
}

impl Verdict {
    pub(super) fn new(name: &'static str, asked: f64, measured: f64, tolerance: f64) -> Self {
        Self { name, asked, measured, tolerance, within: (measured - asked).abs() <= tolerance }
    }
}

/// Compares what was measured with what the model makes of it. A figure that there is not, as no packet is lost, is left
/// out; one that there should be counts as zero.
pub(super) fn compare(
    figures: &[Figure],
    measured: &[Passage],
    stream: Stream,
    options: &LinkOptions,
) -> Vec<Verdict> {
    let tries: Vec<Vec<Passage>> =
        (1..=SEEDS).map(|seed| through_model(Link::new(*options, seed), measured, stream)).collect();
    let verdict = |figure: &Figure| {
        let asked: Vec<f64> = tries.iter().filter_map(|passages| (figure.of)(passages, stream)).collect();
        let found = (figure.of)(measured, stream);
        if asked.is_empty() && found.is_none() {
            return None;
        }
        let (mean, deviation) = mean_and_deviation(&asked);
        let tolerance = DEVIATIONS * deviation + figure.slack + figure.slack_share * mean;
        Some(Verdict::new(figure.name, mean, found.unwrap_or(0.0), tolerance))
    };
    figures.iter().filter_map(verdict).collect()
}

/// What a link makes of packets sent at the same moments.
pub(super) fn through_model(mut link: Link, measured: &[Passage], stream: Stream) -> Vec<Passage> {
    let pass = |passage: &Passage| {
        let fate = link.offer(passage.sent, stream.payload_bytes());
        Passage { sent: passage.sent, arrived: fate.arrivals().next() }
    };
    measured.iter().map(pass).collect()
}

/// How many microseconds later than by the model packets came, ascending; and how many packets had another fate.
pub(super) fn added(measured: &[Passage], expected: &[Passage]) -> (Vec<f64>, usize) {
    let mut added = Vec::new();
    let mut otherwise = 0;
    for (measured, expected) in measured.iter().zip(expected) {
        match (measured.arrived, expected.arrived) {
            (Some(measured), Some(expected)) => {
                added.push((measured.as_secs_f64() - expected.as_secs_f64()) * 1e6);
            }
            (None, None) => {}
            _ => otherwise += 1,
        }
    }
    added.sort_by(f64::total_cmp);
    (added, otherwise)
}

/// The value below which this share of ascending values is.
pub(super) fn rank(ascending: &[f64], share: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = (last as f64 * share).round() as usize;
    ascending.get(index).copied()
}

fn delays_ms(passages: &[Passage]) -> Vec<f64> {
    let delay = |passage: &Passage| Some((passage.arrived?.as_secs_f64() - passage.sent.as_secs_f64()) * 1e3);
    let mut delays: Vec<f64> = passages.iter().filter_map(delay).collect();
    delays.sort_by(f64::total_cmp);
    delays
}

fn quantile(passages: &[Passage], share: f64) -> Option<f64> {
    rank(&delays_ms(passages), share)
}

/// How much more the slowest twentieth take than half of the packets.
fn jitter(passages: &[Passage]) -> Option<f64> {
    let delays = delays_ms(passages);
    Some(rank(&delays, 0.95)? - rank(&delays, 0.5)?)
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

fn loss_percent(passages: &[Passage]) -> f64 {
    let lost = passages.iter().filter(|passage| passage.arrived.is_none()).count();
    100.0 * count(lost) / count(passages.len().max(1))
}

/// How many packets are lost together, on average.
fn burst_packets(passages: &[Passage]) -> Option<f64> {
    let runs = passages.chunk_by(|one, next| one.arrived.is_none() == next.arrived.is_none());
    let bursts: Vec<usize> = runs
        .filter(|run| run.iter().all(|passage| passage.arrived.is_none()))
        .map(<[Passage]>::len)
        .collect();
    (!bursts.is_empty()).then(|| count(bursts.iter().sum()) / count(bursts.len()))
}

/// What came in the middle of the time in which anything came.
fn rate_kilobits(passages: &[Passage], stream: Stream) -> Option<f64> {
    let mut arrivals: Vec<Duration> = passages.iter().filter_map(|passage| passage.arrived).collect();
    arrivals.sort_unstable();
    let (first, last) = (*arrivals.first()?, *arrivals.last()?);
    let tenth = last.saturating_sub(first) / 10;
    let (from, until) = (first + tenth, last.saturating_sub(tenth));
    let within = arrivals.into_iter().filter(|at| (from..until).contains(at)).count();
    let seconds = until.saturating_sub(from).as_secs_f64();
    (seconds > 0.0).then(|| count(within) * count(stream.packet_bytes) * 8.0 / 1e3 / seconds)
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let number = count(values.len().max(1));
    let mean = values.iter().sum::<f64>() / number;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / number;
    (mean, variance.sqrt())
}

#[cfg(test)]
#[path = "figures/tests.rs"]
mod tests;
