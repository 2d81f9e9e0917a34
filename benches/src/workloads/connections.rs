//! Authenticated sessions that do nothing: resident memory, kernel memory and processor time of the server for each.
//!
//! Floor: raw QUIC connections with equal settings, each with one open stream, as a session has its control stream.
//! Kernel memory is the server's sockets alone: see [`crate::usage::kernel_bytes`].

use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, future::BoxFuture, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::CONNECTING_AT_ONCE;
use crate::{
    error::BenchError,
    figures::{Figures, as_f64},
    floors::raw_client::Raw,
    place::Place,
    rounds::{Floors, Measured, Workload, watched},
    system::System,
    usage::{Usage, kernel_bytes, resident_bytes},
};

/// Sessions that are not counted: whatever the first ones make once for all of them.
const FIRST: usize = 32;
/// What a handshake needed is given back within this.
const SETTLING: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// How many sessions; several with commas between are steps one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000],
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sessions: Vec<u32>,
    /// How long the idle sessions are watched, for the processor time that they take.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
}

impl Options {
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.sessions.iter().map(|sessions| Step { sessions: *sessions, seconds: self.seconds }).collect()
    }
}

/// So many sessions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    sessions: u32,
    seconds: u64,
}

impl Step {
    /// Connects them all, waits, and looks at what the processes have.
    async fn hold<'r, T: Send>(
        &self,
        processes: &[u32],
        connect: impl Fn(usize) -> BoxFuture<'r, Result<T, BenchError>>,
    ) -> Result<Figures, BenchError> {
        let sessions = usize::try_from(self.sessions).unwrap_or(usize::MAX);
        let mut held = Vec::new();
        for first in 0..FIRST {
            held.push(connect(first).await?);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (before, kernel_before) = (resident_bytes(processes)?, kernel_bytes(processes));
        let (spent, started) = (Usage::of(processes)?, Instant::now());
        let connecting = stream::iter(FIRST..FIRST + sessions).map(&connect);
        let mut connecting = connecting.buffer_unordered(CONNECTING_AT_ONCE);
        while let Some(connected) = connecting.next().await {
            held.push(connected?);
        }
        drop(connecting);
        let (connected, connecting_seconds) = (Usage::of(processes)?, started.elapsed().as_secs_f64());
        tokio::time::sleep(SETTLING).await;
        let (idle, watched_from) = (Usage::of(processes)?, Instant::now());
        tokio::time::sleep(Duration::from_secs(self.seconds)).await;
        let idle_us = Usage::of(processes)?.processor_us_since(&idle);
        let (after, kernel_after) = (resident_bytes(processes)?, kernel_bytes(processes));
        let each = |total: f64| total / f64::from(self.sessions);
        let mut figures = Figures::default();
        figures.set("sessions", f64::from(self.sessions));
        figures.set("rss_before_bytes", as_f64(before));
        figures.set("rss_after_bytes", as_f64(after));
        figures.set("rss_per_session_bytes", each(as_f64(after.saturating_sub(before))));
        let kernel = kernel_before.zip(kernel_after).map(|(before, after)| after.saturating_sub(before));
        figures.set_some("kernel_per_session_bytes", kernel.map(|bytes| each(as_f64(bytes))));
        figures.set("server_cpu_us_per_connect", each(connected.processor_us_since(&spent)));
        figures.set("connects_per_s", f64::from(self.sessions) / connecting_seconds);
        let idle_seconds = watched_from.elapsed().as_secs_f64();
        figures.set("server_cpu_us_per_session_second", each(idle_us) / idle_seconds);
        drop(held);
        Ok(figures)
    }
}

impl Workload for Step {
    fn name(&self) -> &'static str {
        "connections"
    }

    fn arguments(&self) -> Value {
        json!({"sessions": self.sessions, "seconds": self.seconds})
    }

    fn run<'a>(&'a self, system: &'a dyn System, _seed: u64) -> BoxFuture<'a, Result<Measured, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            let running = system.start(&place).await?;
            let processes = running.processes();
            let holding = self.hold(&processes, |user| running.hold(user));
            let figures = watched(processes.clone(), holding).await?;
            Ok(Measured::of(&*running, figures))
        })
    }

    fn floors(&self) -> &'static [&'static str] {
        &["raw_connections"]
    }

    fn floor<'a>(&'a self, _name: &'static str, _seed: u64) -> BoxFuture<'a, Result<Figures, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            let raw = Raw::start(&place).await?;
            let (processes, config) = (vec![raw.process.id()], raw.client(false)?);
            let holding = self.hold(&processes, |_| Box::pin(raw.connect(&config)));
            watched(processes.clone(), holding).await
        })
    }

    fn add_ratios(&self, figures: &mut Figures, floors: &Floors) {
        let floor = floors.get("raw_connections");
        let ratio = |name| floor.and_then(|floor| figures.ratio(name, floor, name));
        let (memory, idle) = (ratio("rss_per_session_bytes"), ratio("server_cpu_us_per_session_second"));
        figures.set_some("ratio_raw", memory);
        figures.set_some("ratio_raw_idle_cpu", idle);
    }
}
