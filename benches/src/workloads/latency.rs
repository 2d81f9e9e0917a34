//! One pair, unloaded: from when a message is due to the other's event.
//!
//! Floors: the same messages over a raw echo, and one `fdatasync` for each. A durable message needs both, so the
//! ratios are against their sum.

use std::time::Duration;

use clap::Args;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::{
    error::BenchError,
    figures::Figures,
    floors::{disk, raw_client::Raw},
    open_loop::{self, Schedule},
    place::Place,
    rounds::{Floors, Measured, Workload, watched},
    system::{ConversationHandle, Running, System},
};

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Messages, as many echoes, as many syncs.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    messages: u32,
    /// Messages a second. At more than the server can do in one at a time it is not unloaded any more.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Bytes of each message's body.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(16..=65_536))]
    bytes: u32,
    /// Stop the server for so many milliseconds in the middle of each run: shows that latency counts from when a
    /// message was due.
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=20_000))]
    stall: Option<u64>,
}

impl Options {
    /// A tenth more, which warms up.
    fn schedule(&self, seed: u64) -> Schedule {
        let rate = f64::from(self.rate);
        let time = Duration::from_secs_f64(f64::from(self.messages) / rate);
        let warm_up = time / 10;
        Schedule {
            per_second: rate,
            time: time + warm_up,
            warm_up,
            bytes: self.body_bytes(),
            seed,
            stall: self.stall.map(Duration::from_millis),
        }
    }

    fn body_bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }

    async fn pair(&self, running: &dyn Running, seed: u64) -> Result<Figures, BenchError> {
        let conversation = running.conversation(&[0, 1]).await?;
        let (sender, receiver) = (running.connect(0).await?, running.connect(1).await?);
        let flows = vec![(Arc::from(sender.sender), conversation)];
        let (_, figures) =
            open_loop::run(running, flows, vec![receiver.arrivals], self.schedule(seed)).await?;
        drop(receiver.sender);
        Ok(figures)
    }

    async fn echo(&self, seed: u64) -> Result<Figures, BenchError> {
        let place = Place::loopback()?;
        let raw = Raw::start(&place).await?;
        let session = raw.echo(self.body_bytes()).await?;
        let to = ConversationHandle { number: 0, name: "echo".to_owned(), members: vec![0] };
        let flows = vec![(Arc::from(session.sender), to)];
        let schedule = Schedule { stall: None, ..self.schedule(seed) };
        let echoed = open_loop::run_on(vec![raw.process.id()], flows, vec![session.arrivals], schedule);
        Ok(watched(vec![raw.process.id()], echoed).await?.1)
    }

    async fn sync(&self) -> Result<Figures, BenchError> {
        let place = Place::loopback()?;
        let times = disk::syncs(place.folder(), self.messages, self.body_bytes()).await?;
        let mut figures = Figures::default();
        figures.set_times(&times, ["p50_us", "p99_us", "p999_us"]);
        figures.set_curve("percentiles_us", &times);
        Ok(figures)
    }
}

impl Workload for Options {
    fn name(&self) -> &'static str {
        "latency"
    }

    fn arguments(&self) -> Value {
        json!({"messages": self.messages, "rate_per_s": self.rate, "bytes": self.bytes, "stall_ms": self.stall})
    }

    fn run<'a>(&'a self, system: &'a dyn System, seed: u64) -> BoxFuture<'a, Result<Measured, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            let running = system.start(&place).await?;
            let figures = watched(running.processes(), self.pair(&*running, seed)).await?;
            Ok(Measured::of(&*running, figures))
        })
    }

    fn floors(&self) -> &'static [&'static str] {
        &["echo", "fdatasync"]
    }

    fn floor<'a>(&'a self, name: &'static str, seed: u64) -> BoxFuture<'a, Result<Figures, BenchError>> {
        Box::pin(async move { if name == "echo" { self.echo(seed).await } else { self.sync().await } })
    }

    fn add_ratios(&self, figures: &mut Figures, floors: &Floors) {
        for (ratio, quantile) in [("ratio_p50", "p50_us"), ("ratio_p99", "p99_us")] {
            let floor: f64 = floors.values().filter_map(|floor| floor.get(quantile)).sum();
            let against = figures.get(quantile).filter(|_| floor > 0.0).map(|us| us / floor);
            figures.set_some(ratio, against);
        }
    }
}
