//! Sessions that come and go: full ones and such whose Hello is early data (0-RTT), a second.
//!
//! Floor: raw QUIC handshakes with equal TLS, after which one octet goes there and back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use futures_util::future::{BoxFuture, try_join_all};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    error::BenchError,
    figures::{Figures, as_f64},
    floors::raw_client::Raw,
    place::Place,
    rounds::{Floors, Measured, Workload, watched},
    system::{Running, System, fulmar::FulmarServer},
    usage::Usage,
};

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Clients that connect, each again and again.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// How long each kind of session is made.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
}

/// How many sessions of each kind one portion of work made.
#[derive(Clone, Copy)]
struct Rate {
    per_s: f64,
    cpu_us: f64,
    early: u64,
}

impl Options {
    /// Has every client connect again and again. What `connect` gives says whether early data was taken.
    async fn rate<'r>(
        &self,
        processes: &[u32],
        connect: impl Fn(usize) -> BoxFuture<'r, Result<bool, BenchError>>,
    ) -> Result<Rate, BenchError> {
        let (made, early) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
        let (before, started) = (Usage::of(processes)?, Instant::now());
        let ends = started + Duration::from_secs(self.seconds);
        let clients = (0..usize::try_from(self.clients).unwrap_or(usize::MAX)).map(|client| {
            let (made, early, connect) = (&made, &early, &connect);
            async move {
                while Instant::now() < ends {
                    if connect(client).await? {
                        early.fetch_add(1, Ordering::Relaxed);
                    }
                    made.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, BenchError>(())
            }
        });
        try_join_all(clients).await?;
        let (made, seconds) = (made.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
        let spent = Usage::of(processes)?.processor_us_since(&before);
        let early = early.load(Ordering::Relaxed);
        Ok(Rate { per_s: as_f64(made) / seconds, cpu_us: spent / as_f64(made.max(1)), early })
    }

    fn figures(full: Rate, resumed: Rate) -> Result<Figures, BenchError> {
        if resumed.early == 0 {
            return Err(BenchError::wrong(
                "no early data was accepted: there are no resumed sessions to count",
            ));
        }
        let mut figures = Figures::default();
        figures.set("full_per_s", full.per_s);
        figures.set("resumed_per_s", resumed.per_s);
        figures.set("server_cpu_us_per_full", full.cpu_us);
        figures.set("server_cpu_us_per_resumed", resumed.cpu_us);
        Ok(figures)
    }

    async fn sessions(&self, server: &FulmarServer) -> Result<Figures, BenchError> {
        let clients = 0..usize::try_from(self.clients).unwrap_or(usize::MAX);
        let tokens = clients.clone().map(|user| server.token(user)).collect::<Result<Vec<_>, _>>()?;
        let token = |user: usize| tokens.get(user).cloned().unwrap_or_default();
        let stranger = server.bare_client(false)?;
        let processes = server.processes();
        let full = self.rate(&processes, |user| {
            let (stranger, token) = (&stranger, token(user));
            Box::pin(async move {
                server.enter(stranger, user, token).await?.close();
                Ok(false)
            })
        });
        let full = full.await?;
        let known = clients.map(|_| server.bare_client(true)).collect::<Result<Vec<_>, _>>()?;
        let resumed = self.rate(&processes, |user| {
            let (known, token) = (known.get(user), token(user));
            Box::pin(async move {
                let known = known.ok_or(BenchError::ServerGone)?;
                let (session, early) = server.enter_early(known, user, token).await?;
                session.close();
                Ok(early)
            })
        });
        Self::figures(full, resumed.await?)
    }

    async fn handshakes(&self, raw: &Raw) -> Result<Figures, BenchError> {
        let processes = [raw.process.id()];
        let stranger = raw.client(false)?;
        let full = self.rate(&processes, |_| {
            Box::pin(async {
                raw.connect(&stranger).await?.close();
                Ok(false)
            })
        });
        let full = full.await?;
        let known = (0..self.clients).map(|_| raw.client(true)).collect::<Result<Vec<_>, _>>()?;
        let resumed = self.rate(&processes, |client| {
            let known = known.get(client);
            Box::pin(async move {
                let (connection, early) = raw.resume(known.ok_or(BenchError::ServerGone)?).await?;
                connection.close();
                Ok(early)
            })
        });
        Self::figures(full, resumed.await?)
    }
}

impl Workload for Options {
    fn name(&self) -> &'static str {
        "connect"
    }

    fn arguments(&self) -> Value {
        json!({"clients": self.clients, "seconds": self.seconds})
    }

    fn run<'a>(&'a self, _system: &'a dyn System, _seed: u64) -> BoxFuture<'a, Result<Measured, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            let server = FulmarServer::start(&place).await?;
            let figures = watched(server.processes(), self.sessions(&server)).await?;
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
        let (full, resumed) = (ratio("full_per_s"), ratio("resumed_per_s"));
        figures.set_some("ratio_raw", full);
        figures.set_some("ratio_raw_resumed", resumed);
    }

    fn takes_peers(&self) -> bool {
        false
    }
}
