//! The server is killed and started again, and all its clients come back at once: the time from when it listens until
//! half and all of them have a session.
//!
//! The clients are the real library, with its back-off. Each has something under way when the server dies, so that
//! it notices. Floor: as many raw handshakes at once.

use std::time::Duration;

use clap::Args;
use fulmar_client::{Client, Events, Status};
use futures_util::{StreamExt, future::BoxFuture, stream};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant, time::timeout};

use super::CONNECTING_AT_ONCE;
use crate::{
    error::BenchError,
    figures::Figures,
    floors::raw_client::Raw,
    place::Place,
    rounds::{Floors, Measured, Workload, watched},
    system::{Running, System, fulmar::FulmarServer},
    usage::Usage,
};

/// A client without a session is asked again after this.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(5);
/// Longer than any back-off.
const BACK_WITHIN: Duration = Duration::from_secs(180);

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Clients, each with a connection of its own.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    clients: u32,
}

impl Options {
    fn clients(&self) -> usize {
        usize::try_from(self.clients).unwrap_or(usize::MAX)
    }

    async fn storm(&self, server: &mut FulmarServer, place: &Place) -> Result<Figures, BenchError> {
        let connecting = stream::iter(0..self.clients()).map(|user| server.client(user));
        let clients: Vec<Result<(Client, Events), BenchError>> =
            connecting.buffer_unordered(CONNECTING_AT_ONCE).collect().await;
        let clients = clients.into_iter().collect::<Result<Vec<_>, _>>()?;
        server.kill().await?;
        let mut returning = JoinSet::new();
        for (client, _) in &clients {
            returning.spawn(came_back(client.clone()));
        }
        server.restart(place).await?;
        let (listens, before) = (Instant::now(), Usage::of(&server.processes())?);
        let mut back: Vec<Duration> = Vec::new();
        let all = async {
            while let Some(at) = returning.join_next().await {
                back.push(at??.saturating_duration_since(listens));
            }
            Ok::<_, BenchError>(())
        };
        let all = watched(server.processes(), timeout(BACK_WITHIN, all).map_late());
        all.await?;
        let spent = Usage::of(&server.processes())?.processor_us_since(&before);
        let mut figures = times(back, self.clients());
        figures.set("server_cpu_us_per_session", spent / f64::from(self.clients));
        Ok(figures)
    }

    async fn handshakes(&self, raw: &Raw) -> Result<Figures, BenchError> {
        let config = raw.client(false)?;
        let started = Instant::now();
        let connecting = stream::iter(0..self.clients()).map(|_| async {
            let connection = raw.connect(&config).await?;
            Ok::<_, BenchError>((connection, started.elapsed()))
        });
        let mut connecting = connecting.buffer_unordered(self.clients());
        let (mut connected, mut taken) = (Vec::new(), Vec::new());
        while let Some(made) = connecting.next().await {
            let (connection, after) = made?;
            connected.push(connection);
            taken.push(after);
        }
        Ok(times(taken, self.clients()))
    }
}

/// Turns a time that ran out into a failure.
trait MapLate<T> {
    fn map_late(self) -> impl Future<Output = Result<T, BenchError>> + Send;
}

impl<T, F> MapLate<T> for F
where
    F: Future<Output = Result<Result<T, BenchError>, tokio::time::error::Elapsed>> + Send,
{
    async fn map_late(self) -> Result<T, BenchError> {
        self.await.map_err(|_| {
            BenchError::Wrong(format!("some clients were not back after {} s", BACK_WITHIN.as_secs()))
        })?
    }
}

/// When a client whose server died had a sign of life from the next one. It is asked for from the death on: a client
/// with nothing under way would not notice. An answer is due over a session; when that ends, the next one is asked.
async fn came_back(client: Client) -> Result<Instant, BenchError> {
    loop {
        if client.ping().await.is_ok() {
            return Ok(Instant::now());
        }
        if let Status::Ended { reason, .. } = &*client.status().borrow() {
            return Err(BenchError::Wrong(format!("a client did not come back: {reason}")));
        }
        tokio::time::sleep(ASKED_AGAIN_AFTER).await;
    }
}

fn times(mut back: Vec<Duration>, clients: usize) -> Figures {
    back.sort_unstable();
    let after = |nth: usize| back.get(nth).map_or(0.0, |after| after.as_secs_f64() * 1_000.0);
    let mut figures = Figures::default();
    figures.set("half_back_ms", after(clients.div_ceil(2).saturating_sub(1)));
    figures.set("all_back_ms", after(clients.saturating_sub(1)));
    figures
}

impl Workload for Options {
    fn name(&self) -> &'static str {
        "storm"
    }

    fn arguments(&self) -> Value {
        json!({"clients": self.clients})
    }

    fn run<'a>(&'a self, _system: &'a dyn System, _seed: u64) -> BoxFuture<'a, Result<Measured, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            let mut server = FulmarServer::start(&place).await?;
            let figures = self.storm(&mut server, &place).await?;
            Ok(Measured::of(&server, figures))
        })
    }

    fn floors(&self) -> &'static [&'static str] {
        &["raw_handshakes"]
    }

    fn floor<'a>(&'a self, _name: &'static str, _seed: u64) -> BoxFuture<'a, Result<Figures, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            let raw = Raw::start(&place).await?;
            watched(vec![raw.process.id()], self.handshakes(&raw)).await
        })
    }

    fn add_ratios(&self, figures: &mut Figures, floors: &Floors) {
        let floor = floors.get("raw_handshakes");
        let ratio = |name| floor.and_then(|floor| figures.ratio(name, floor, name));
        let (half, all) = (ratio("half_back_ms"), ratio("all_back_ms"));
        figures.set_some("ratio_raw_half", half);
        figures.set_some("ratio_raw", all);
    }

    fn takes_peers(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_the_client_that_makes_it_half_and_all_is_the_last() {
        let figures = times([40, 10, 30, 20].map(Duration::from_millis).to_vec(), 4);
        assert_eq!((figures.get("half_back_ms"), figures.get("all_back_ms")), (Some(20.0), Some(40.0)));
        let figures = times([10, 30, 20].map(Duration::from_millis).to_vec(), 3);
        assert_eq!((figures.get("half_back_ms"), figures.get("all_back_ms")), (Some(20.0), Some(30.0)));
    }
}
