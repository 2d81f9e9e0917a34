//! One sends to a group: copies delivered a second to those who are there.
//!
//! Receivers are as lean as each system permits (bare connections that read, count and confirm), so that this process
//! is not what is measured. Floor: the raw relay's broadcast to as many bare receivers.

use bytes::Bytes;
use clap::Args;
use futures_util::{StreamExt, future::BoxFuture, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{CONNECTING_AT_ONCE, Window, heard_all};
use crate::{
    error::BenchError,
    figures::{Figures, as_f64},
    machine::memory_available_bytes,
    place::Place,
    rounds::{Floors, Measured, Workload, watched},
    system::{ConversationHandle, Heard, Held, Running, Sender, Session, System, relay::Relay},
    usage::Usage,
};

/// The largest group that Fulmar permits.
const MEMBERS_MAX: u64 = 10_000;
/// What a member who is there takes of memory at most, at both ends.
const MEMORY_PER_MEMBER_BYTES: u64 = 256 * 1024;
/// Sends that are unanswered.
const UNANSWERED_SENDS: usize = 16;
/// Copies in one run, about.
const COPIES: u64 = 100_000;
/// Messages in one run.
const MESSAGES: std::ops::RangeInclusive<u64> = 10..=2_000;

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Members of the group, the sender beside them; several with commas between are steps one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1_000, 9_999],
        value_parser = clap::value_parser!(u64).range(1..MEMBERS_MAX))]
    members: Vec<u64>,
    /// How many of them are there at most. Unless said otherwise as many as fit into half of the memory.
    #[arg(long)]
    online: Option<u64>,
    /// Bytes of each message's body.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    bytes: u32,
}

impl Options {
    pub(crate) fn steps(&self) -> Vec<Step> {
        let fit = memory_available_bytes() / 2 / MEMORY_PER_MEMBER_BYTES;
        let most = self.online.unwrap_or(fit).max(1);
        let bytes = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let step = |members: &u64| Step { members: *members, online: (*members).min(most), bytes };
        self.members.iter().map(step).collect()
    }
}

/// A group of one size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    members: u64,
    online: u64,
    bytes: usize,
}

impl Step {
    async fn broadcast(&self, running: &dyn Running) -> Result<Figures, BenchError> {
        // User 0 sends.
        let users: Vec<usize> = (0..=usize::try_from(self.members).unwrap_or(usize::MAX)).collect();
        let conversation = running.conversation(&users).await?;
        let heard = Heard::default();
        let online = users.iter().skip(1).take(usize::try_from(self.online).unwrap_or(usize::MAX));
        let connecting: Vec<_> = online.map(|user| running.listen(*user, heard.clone())).collect();
        let there: Vec<Result<Held, BenchError>> =
            stream::iter(connecting).buffer_unordered(CONNECTING_AT_ONCE).collect().await;
        let _there = there.into_iter().collect::<Result<Vec<_>, _>>()?;
        let Session { sender, arrivals: _arrivals } = running.connect(0).await?;
        let messages = (COPIES / self.online).clamp(*MESSAGES.start(), *MESSAGES.end());
        // Opens lanes, and fills caches.
        self.send(&*sender, &conversation, 2).await?;
        heard_all(&heard, 2 * self.online).await?;
        let (before, started) = (Usage::of(&running.processes())?, Instant::now());
        self.send(&*sender, &conversation, messages).await?;
        heard_all(&heard, (2 + messages) * self.online).await?;
        let seconds = started.elapsed().as_secs_f64();
        let usage = Usage::of(&running.processes())?;
        let mut figures = Figures::default();
        figures.set("members", as_f64(self.members));
        figures.set("online", as_f64(self.online));
        figures.set("messages", as_f64(messages));
        figures.set("messages_per_s", as_f64(messages) / seconds);
        figures.set("deliveries_per_s", as_f64(messages * self.online) / seconds);
        usage.per_message(&before, messages, messages * self.online, &mut figures);
        Ok(figures)
    }

    async fn send(
        &self,
        sender: &dyn Sender,
        to: &ConversationHandle,
        messages: u64,
    ) -> Result<(), BenchError> {
        let body = Bytes::from(vec![b'x'; self.bytes]);
        let mut open = Window::of(UNANSWERED_SENDS);
        for _ in 0..messages {
            open.push(sender.send(to, body.clone()).await?).await?;
        }
        open.finish().await
    }
}

impl Workload for Step {
    fn name(&self) -> &'static str {
        "fanout"
    }

    fn arguments(&self) -> Value {
        json!({"members": self.members, "online": self.online, "bytes": self.bytes})
    }

    fn run<'a>(&'a self, system: &'a dyn System, _seed: u64) -> BoxFuture<'a, Result<Measured, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            let running = system.start(&place).await?;
            let figures = watched(running.processes(), self.broadcast(&*running)).await?;
            Ok(Measured::of(&*running, figures))
        })
    }

    fn floors(&self) -> &'static [&'static str] {
        &["broadcast"]
    }

    fn floor<'a>(&'a self, _name: &'static str, seed: u64) -> BoxFuture<'a, Result<Figures, BenchError>> {
        Box::pin(async move { Ok(self.run(&Relay, seed).await?.into_figures()) })
    }

    fn add_ratios(&self, figures: &mut Figures, floors: &Floors) {
        let floor = floors.get("broadcast");
        let ratio = |name| floor.and_then(|floor| figures.ratio(name, floor, name));
        let (rate, cpu) = (ratio("deliveries_per_s"), ratio("server_cpu_us_per_copy"));
        figures.set_some("ratio_broadcast", rate);
        figures.set_some("ratio_broadcast_cpu", cpu);
    }
}
