//! A device with 16 conversations on a bad network: two messages a second come to it in each, and what is counted is
//! when they are there.
//!
//! All clients are behind the link, the senders too, so a message crosses it twice. Floor: the raw relay behind the
//! same link.

use std::{sync::Arc, time::Duration};

use clap::Args;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::WARM_UP;
use crate::{
    error::BenchError,
    figures::Figures,
    network::Network,
    open_loop::{self, Schedule},
    rounds::{Floors, Measured, Workload, watched},
    system::{Running, Sender, System, relay::Relay},
};

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The emulated network between server and clients; none: loopback.
    #[arg(long, value_name = "NAME")]
    profile: String,
    /// Conversations of the device.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    conversations: u32,
    /// Messages a second in each.
    #[arg(long, default_value_t = 2.0, value_parser = rate)]
    rate: f64,
    /// For how long, after two seconds of warming up.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Bytes of each message's body.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(16..=65_536))]
    bytes: u32,
    /// Stop the server for so many milliseconds in the middle of each run of Fulmar.
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..=20_000))]
    stall: Option<u64>,
}

/// A rate that makes sense.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().map_err(|_| "a number".to_owned())?;
    if (0.01..=10_000.0).contains(&rate) { Ok(rate) } else { Err("0.01 to 10,000".to_owned()) }
}

impl Options {
    /// The network to open before anything else.
    pub(crate) fn profile(&self) -> &str {
        &self.profile
    }

    /// What is done, once the network is there.
    pub(crate) fn on(self, network: Arc<Network>) -> Load {
        Load { options: self, network }
    }

    fn schedule(&self, seed: u64) -> Schedule {
        Schedule {
            per_second: self.rate,
            time: WARM_UP + Duration::from_secs(self.seconds),
            warm_up: WARM_UP,
            bytes: usize::try_from(self.bytes).unwrap_or(usize::MAX),
            seed,
            stall: self.stall.map(Duration::from_millis),
        }
    }

    pub(super) fn described(&self) -> Value {
        json!({
            "profile": self.profile,
            "conversations": self.conversations,
            "rate_per_s": self.rate,
            "seconds": self.seconds,
            "bytes": self.bytes,
            "stall_ms": self.stall,
        })
    }
}

/// The load, and where it is.
#[derive(Clone)]
pub(crate) struct Load {
    options: Options,
    network: Arc<Network>,
}

impl Load {
    /// User 0 receives from each of the others. `meanwhile` is given everybody, and goes on until all has come.
    async fn receive<F>(
        &self,
        running: &dyn Running,
        seed: u64,
        meanwhile: impl FnOnce(Vec<Arc<dyn Sender>>) -> F,
    ) -> Result<Figures, BenchError>
    where
        F: Future<Output = ()>,
    {
        let mut conversations = Vec::new();
        for user in 1..=usize::try_from(self.options.conversations).unwrap_or(usize::MAX) {
            conversations.push((user, running.conversation(&[user, 0]).await?));
        }
        let receiver = running.connect(0).await?;
        let mut everybody: Vec<Arc<dyn Sender>> = vec![Arc::from(receiver.sender)];
        let mut flows = Vec::new();
        for (user, conversation) in conversations {
            let sender: Arc<dyn Sender> = Arc::from(running.connect(user).await?.sender);
            everybody.push(Arc::clone(&sender));
            flows.push((sender, conversation));
        }
        let load = open_loop::run(running, flows, vec![receiver.arrivals], self.options.schedule(seed));
        let meanwhile = meanwhile(everybody);
        let (_, figures) = tokio::select! {
            figures = load => figures?,
            () = meanwhile => return Err(BenchError::wrong("what goes on beside the load ended before it")),
        };
        Ok(figures)
    }

    /// A run of a system, with something that goes on beside it.
    pub(super) async fn run_with<F>(
        &self,
        system: &dyn System,
        seed: u64,
        meanwhile: impl FnOnce(Vec<Arc<dyn Sender>>) -> F,
    ) -> Result<Measured, BenchError>
    where
        F: Future<Output = ()>,
    {
        let place = self.network.place()?;
        let running = system.start(&place).await?;
        let figures = watched(running.processes(), self.receive(&*running, seed, meanwhile)).await?;
        Ok(Measured::of(&*running, figures))
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }
}

/// Ratios to the raw relay behind the same link.
pub(super) fn add_ratios(figures: &mut Figures, floors: &Floors) {
    let floor = floors.get("relay");
    for (ratio, name) in [("ratio_p50", "p50_us"), ("ratio_p99", "p99_us"), ("ratio_p999", "p999_us")] {
        let against = floor.and_then(|floor| figures.ratio(name, floor, name));
        figures.set_some(ratio, against);
    }
}

/// Holds whoever is there until the load is through.
async fn nothing(_everybody: Vec<Arc<dyn Sender>>) {
    std::future::pending().await
}

impl Workload for Load {
    fn name(&self) -> &'static str {
        "lossy"
    }

    fn arguments(&self) -> Value {
        self.options.described()
    }

    fn run<'a>(&'a self, system: &'a dyn System, seed: u64) -> BoxFuture<'a, Result<Measured, BenchError>> {
        Box::pin(self.run_with(system, seed, nothing))
    }

    fn floors(&self) -> &'static [&'static str] {
        &["relay"]
    }

    fn floor<'a>(&'a self, _name: &'static str, seed: u64) -> BoxFuture<'a, Result<Figures, BenchError>> {
        let mut without_stall = self.clone();
        without_stall.options.stall = None;
        Box::pin(async move { Ok(without_stall.run_with(&Relay, seed, nothing).await?.into_figures()) })
    }

    fn add_ratios(&self, figures: &mut Figures, floors: &Floors) {
        add_ratios(figures, floors);
    }
}
