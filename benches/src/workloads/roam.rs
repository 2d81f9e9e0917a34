//! As `lossy`, by somebody on the move: every device gets another address every ten seconds. Client libraries that
//! can be told of it are told.

use std::{sync::Arc, time::Duration};

use clap::Args;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::lossy;
use crate::{
    error::BenchError,
    figures::Figures,
    network::Network,
    rounds::{Floors, Measured, Workload},
    system::{Sender, System, relay::Relay},
};

#[derive(Debug, Clone, Args)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    load: lossy::Options,
    /// Seconds between two changes of the address.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
}

impl Options {
    /// The network to open before anything else.
    pub(crate) fn profile(&self) -> &str {
        self.load.profile()
    }

    /// What is done, once the network is there.
    pub(crate) fn on(self, network: Arc<Network>) -> Load {
        Load { load: self.load.on(network), every: Duration::from_secs(self.every) }
    }
}

/// The load, and where it is.
pub(crate) struct Load {
    load: lossy::Load,
    every: Duration,
}

impl Load {
    async fn move_on(&self, everybody: Vec<Arc<dyn Sender>>) {
        loop {
            tokio::time::sleep(self.every).await;
            self.load.network().change_address();
            for sender in &everybody {
                sender.network_changed();
            }
        }
    }

    async fn roam(&self, system: &dyn System, seed: u64) -> Result<Measured, BenchError> {
        self.load.run_with(system, seed, |everybody| self.move_on(everybody)).await
    }
}

impl Workload for Load {
    fn name(&self) -> &'static str {
        "roam"
    }

    fn arguments(&self) -> Value {
        let mut arguments = self.load.options().described();
        if let Some(arguments) = arguments.as_object_mut() {
            arguments.insert("every_s".to_owned(), self.every.as_secs().into());
        }
        arguments
    }

    fn run<'a>(&'a self, system: &'a dyn System, seed: u64) -> BoxFuture<'a, Result<Measured, BenchError>> {
        Box::pin(self.roam(system, seed))
    }

    fn floors(&self) -> &'static [&'static str] {
        &["relay"]
    }

    fn floor<'a>(&'a self, _name: &'static str, seed: u64) -> BoxFuture<'a, Result<Figures, BenchError>> {
        Box::pin(async move { Ok(self.roam(&Relay, seed).await?.into_figures()) })
    }

    fn add_ratios(&self, figures: &mut Figures, floors: &Floors) {
        lossy::add_ratios(figures, floors);
    }
}
