//! What came out of a trial.

use std::time::Duration;

use super::super::network::Tally;
use super::options::Trial;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its conversation.
    pub conversation: usize,
    /// When the server appended it.
    pub appended: Duration,
    /// How long the app at the device waited for it from then on.
    pub latency: Duration,
}

/// One run of a trial.
#[derive(Clone, Debug)]
pub struct Run {
    /// The messages that count, in the order in which they were handed over.
    pub deliveries: Vec<Delivery>,
    /// Messages that were sent and should have counted, but were not handed over in time.
    pub missing: usize,
    /// What was sent to the device, headers of IP and UDP included, while messages counted.
    pub down: Tally,
    /// What it sent.
    pub up: Tally,
    /// When packets to the device were lost, where the trial says which are.
    pub lost: Vec<Duration>,
    /// Hedges that the server sent, in all.
    pub hedges: u64,
}

/// All runs of a trial.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The mean of one way.
    pub one_way: Duration,
    latencies: Vec<Duration>,
    /// Messages that never came.
    pub missing: usize,
    /// Bytes to the device for each message.
    pub down_bytes: f64,
    /// Bytes from the device for each message.
    pub up_bytes: f64,
    /// Hedges for each message.
    pub hedges: f64,
    /// The runs.
    pub runs: Vec<Run>,
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
fn real(count: u64) -> f64 {
    count as f64
}

impl Figures {
    pub(super) fn of(trial: &Trial, runs: Vec<Run>) -> Self {
        let mut latencies: Vec<_> =
            runs.iter().flat_map(|run| &run.deliveries).map(|delivery| delivery.latency).collect();
        latencies.sort_unstable();
        let messages = real(u64::try_from(latencies.len()).unwrap_or(u64::MAX)).max(1.0);
        let each = |of: fn(&Run) -> u64| real(runs.iter().map(of).sum()) / messages;
        Self {
            one_way: trial.one_way(),
            missing: runs.iter().map(|run| run.missing).sum(),
            down_bytes: each(|run| run.down.bytes),
            up_bytes: each(|run| run.up.bytes),
            hedges: each(|run| run.hedges),
            latencies,
            runs,
        }
    }

    /// How many messages counted.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.latencies.len()
    }

    /// The latency that so many in a thousand do not pass.
    #[must_use]
    pub fn quantile(&self, per_thousand: usize) -> Duration {
        let rank = (self.latencies.len() * per_thousand).div_ceil(1_000).max(1);
        self.latencies.get(rank - 1).copied().unwrap_or_default()
    }

    /// The same in multiples of the one-way delay.
    #[must_use]
    pub fn multiple(&self, per_thousand: usize) -> f64 {
        self.quantile(per_thousand).as_secs_f64() / self.one_way.as_secs_f64()
    }

    /// Bytes for each message, both ways.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.down_bytes + self.up_bytes
    }
}
