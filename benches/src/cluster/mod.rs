//! A cluster that runs already: what it costs that two users are at different nodes.
//!
//! Takes the addresses of the nodes, one each, and the folder whose development key signs tokens that they take.
//! Users, devices and conversations are new at each run and stay in the store: use a prefix of its own.

mod delivery;
mod hot;
mod members;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use fulmar_client::{Client, Events, State, UserId};
use fulmar_server::{Clock, Development, Rng};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::error::BenchError;

/// What is measured, and where.
#[derive(Args)]
pub(crate) struct Options {
    /// A node's address for clients; once for each node, two at least.
    #[arg(long = "server", value_name = "HOST:PORT", required = true)]
    servers: Vec<String>,
    /// The data folder of a development server whose certificates and keys all nodes use.
    #[arg(long)]
    data: PathBuf,
    /// Messages for each figure.
    #[arg(long, default_value_t = 500)]
    messages: u32,
    /// How long the hot conversation is written to.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Members of the groups whose messages are timed. The nodes must permit them: `limits.group_members_max`.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000, 10_000])]
    members: Vec<usize>,
}

#[derive(Serialize)]
pub(crate) struct Cluster {
    workload: &'static str,
    nodes: usize,
    delivery: delivery::Delivery,
    hot: hot::Hot,
    members: Vec<members::Members>,
}

/// The cluster, and who connects to it.
struct World {
    servers: Vec<String>,
    development: Development,
    /// Sets this run's users apart from those of others.
    run: u64,
}

pub(crate) async fn run(options: Options) -> Result<Cluster, BenchError> {
    if options.servers.len() < 2 {
        return Err(BenchError::Wrong("name two nodes at least: --server HOST:PORT, once for each".into()));
    }
    let world = World {
        development: Development::open(&options.data, Clock::system())?,
        run: Rng::from_os()?.number(),
        servers: options.servers,
    };
    let delivery = Box::pin(delivery::run(&world, options.messages)).await?;
    let hot = Box::pin(hot::run(&world, options.seconds)).await?;
    let mut members = Vec::new();
    for count in options.members {
        members.push(Box::pin(members::run(&world, count, options.messages)).await?);
    }
    Ok(Cluster { workload: "cluster", nodes: world.servers.len(), delivery, hot, members })
}

impl World {
    fn user(&self, name: &str) -> Result<UserId, BenchError> {
        let name = format!("{name}-{:016x}", self.run);
        UserId::parse(&name).map_err(|error| BenchError::Wrong(error.to_string()))
    }

    /// A client of a user at one node, and nowhere else.
    async fn connect(&self, user: &UserId, node: usize) -> Result<(Client, Events), BenchError> {
        let server = self.servers.iter().cycle().nth(node).ok_or(BenchError::ServerGone)?;
        let token = self.development.issue_token(user, Duration::from_secs(24 * 3600))?;
        Ok(Client::builder()
            .server(server)
            .trust_ca_file(self.development.authority())
            .token(token)
            .state(State::memory())
            .confirm_automatically(true)
            .connect()
            .await?)
    }
}

/// Times, recorded in nanoseconds up to half a minute.
struct Times(Histogram<u64>);

impl Times {
    fn new() -> Result<Self, BenchError> {
        let histogram = Histogram::new_with_max(30_000_000_000, 3);
        histogram.map(Self).map_err(|error| BenchError::Wrong(error.to_string()))
    }

    fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// In milliseconds.
    fn at(&self, quantile: f64) -> f64 {
        Duration::from_nanos(self.0.value_at_quantile(quantile)).as_secs_f64() * 1_000.0
    }
}

/// The nanoseconds by which one moment was after another; negative when it was before.
fn difference_ms(one: tokio::time::Instant, other: tokio::time::Instant) -> f64 {
    let after = one.saturating_duration_since(other).as_secs_f64();
    let before = other.saturating_duration_since(one).as_secs_f64();
    (after - before) * 1_000.0
}

/// The middle one.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
