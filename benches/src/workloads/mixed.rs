//! A busy evening: messages and read marks, and beside them presence and typing. What is asked is whether messages
//! suffer from the presence load.
//!
//! Everybody writes to a neighbour and reads what comes from the other one, and everybody has one group on the screen
//! that all are members of, so that each change of presence goes to all. Two halves, one with presence and typing
//! and one without, take turns at being first. Floor: the raw relay with the messages alone.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use clap::Args;
use fulmar_client::{
    Client, Content, Conversation, Event, Events, HistoryPolicy, OutgoingMessage, PresenceState,
};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::WARM_UP;
use crate::{
    error::BenchError,
    figures::{Figures, as_f64},
    floors::raw_client::now,
    open_loop::{self, Schedule},
    place::Place,
    rounds::{Floors, Measured, Workload, watched},
    system::{
        ARRIVALS_MAX, Acknowledgement, Arrival, ConversationHandle, Heard, Running, Sender, System, Task,
        fulmar::{FulmarServer, user_id},
        relay::Relay,
    },
};

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Users, each with a device; all are members of the group on everybody's screen. In larger groups nobody is told
    /// of presence.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(3..=64))]
    users: u32,
    /// Messages that each user writes a second.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    /// Changes of presence by each user in ten seconds, and as many of typing.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    presence: u32,
    /// How long each half is, after two seconds of warming up.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Bytes of each message's body.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(16..=65_536))]
    bytes: u32,
}

impl Options {
    fn users(&self) -> usize {
        usize::try_from(self.users).unwrap_or(usize::MAX)
    }

    fn schedule(&self, seed: u64) -> Schedule {
        Schedule {
            per_second: self.rate.into(),
            time: WARM_UP + Duration::from_secs(self.seconds),
            warm_up: WARM_UP,
            bytes: usize::try_from(self.bytes).unwrap_or(usize::MAX),
            seed,
            stall: None,
        }
    }

    /// One half of the evening, among users of its own.
    async fn half(&self, server: &FulmarServer, seed: u64, loud: bool) -> Result<Figures, BenchError> {
        let first = if loud { self.users() } else { 0 };
        let everybody: Vec<usize> = (first..first + self.users()).collect();
        let told = Heard::default();
        let mut clients = Vec::new();
        for user in &everybody {
            clients.push(server.client(*user).await?);
        }
        let members = everybody.iter().map(|user| user_id(*user)).collect::<Result<Vec<_>, _>>()?;
        let founder = clients.first().ok_or(BenchError::ServerGone)?;
        let (group, _) = founder.0.create_group("evening", &members, HistoryPolicy::All).await?;
        let (mut flows, mut arrivals, mut going_on) = (Vec::new(), Vec::new(), Vec::new());
        for (nth, (client, events)) in clients.into_iter().enumerate() {
            let evening = client.conversation(group.id());
            client.watch(&[group.id()]).await?;
            // Nobody sees those who have not written, nor before having written.
            evening.send(OutgoingMessage::text("good evening")).await?;
            let user = first + nth;
            let neighbour = first + (nth + 1) % self.users();
            let handle = server.conversation(&[user, neighbour]).await?;
            let conversation = client.direct(&user_id(neighbour)?)?;
            let (arrived, arriving) = mpsc::channel(ARRIVALS_MAX);
            going_on.push(Task(tokio::spawn(read(client.clone(), events, arrived, told.clone()))));
            if loud && self.presence > 0 {
                let every = Duration::from_secs(10) / self.presence;
                let offset = every.mul_f64(as_f64(u64::try_from(nth).unwrap_or(0)) / f64::from(self.users));
                going_on.push(Task(tokio::spawn(come_and_go(client, evening, every, offset))));
            }
            flows.push((Arc::new(Writer(conversation)) as Arc<dyn Sender>, handle));
            arrivals.push(arriving);
        }
        let (_, mut figures) = open_loop::run(server, flows, arrivals, self.schedule(seed)).await?;
        let seconds = self.schedule(seed).time.as_secs_f64();
        figures.set("presence_and_typing_told_per_s", as_f64(told.count()) / seconds);
        Ok(figures)
    }

    async fn evening(&self, server: &FulmarServer, seed: u64) -> Result<Figures, BenchError> {
        let quiet_first = seed.is_multiple_of(2);
        let one = self.half(server, seed, !quiet_first).await?;
        let other = self.half(server, seed, quiet_first).await?;
        let (mut figures, quiet): (Figures, Figures) = if quiet_first { (other, one) } else { (one, other) };
        if self.presence > 0 && figures.get("presence_and_typing_told_per_s") == Some(0.0) {
            return Err(BenchError::wrong("nobody was told of presence: there was no presence load"));
        }
        for (name, of_quiet) in [
            ("p50_us", "p50_quiet_us"),
            ("p99_us", "p99_quiet_us"),
            ("p999_us", "p999_quiet_us"),
            ("server_cpu_us_per_message", "server_cpu_us_per_message_quiet"),
        ] {
            figures.set_some(of_quiet, quiet.get(name));
        }
        figures.take_curve("percentiles_quiet_us", &quiet, "percentiles_us");
        let moved = figures.ratio("p99_us", &quiet, "p99_us");
        figures.set_some("ratio_p99_quiet", moved);
        Ok(figures)
    }

    /// The messages alone.
    async fn messages(&self, running: &dyn Running, seed: u64) -> Result<Figures, BenchError> {
        let (mut flows, mut arrivals) = (Vec::new(), Vec::new());
        for user in 0..self.users() {
            let conversation = running.conversation(&[user, (user + 1) % self.users()]).await?;
            let session = running.connect(user).await?;
            flows.push((Arc::from(session.sender), conversation));
            arrivals.push(session.arrivals);
        }
        Ok(open_loop::run(running, flows, arrivals, self.schedule(seed)).await?.1)
    }
}

/// Reads what comes: every message is marked as read.
async fn read(client: Client, mut events: Events, arrived: mpsc::Sender<Arrival>, told: Heard) {
    while let Some(event) = events.next().await {
        match event {
            Event::Entry(entry) if !entry.is_own => {
                let at = now();
                drop(client.conversation(entry.conversation).mark_read(entry.seq));
                if let Some(Content::Message(message)) = entry.content
                    && arrived.send(Arrival { at, body: message.body }).await.is_err()
                {
                    return;
                }
            }
            Event::Presence { .. } | Event::Typing { .. } => told.one(),
            _ => {}
        }
    }
}

/// Is away, and is there and types, by turns.
async fn come_and_go(client: Client, evening: Conversation, every: Duration, offset: Duration) {
    tokio::time::sleep(offset).await;
    loop {
        for state in [PresenceState::Away, PresenceState::Online] {
            let typing = evening.typing(state == PresenceState::Online).await;
            if typing.and(client.set_presence(state).await).is_err() {
                return;
            }
            tokio::time::sleep(every).await;
        }
    }
}

/// Writes to the neighbour.
struct Writer(Conversation);

impl Sender for Writer {
    fn send<'a>(
        &'a self,
        _to: &'a ConversationHandle,
        body: Bytes,
    ) -> BoxFuture<'a, Result<Acknowledgement, BenchError>> {
        Box::pin(async move {
            let sending = self.0.enqueue(OutgoingMessage::new("text/plain", body)).await?;
            Ok(Box::pin(async { Ok(sending.await.map(drop)?) }) as Acknowledgement)
        })
    }
}

impl Workload for Options {
    fn name(&self) -> &'static str {
        "mixed"
    }

    fn arguments(&self) -> Value {
        json!({
            "users": self.users,
            "rate_per_s": self.rate,
            "presence_per_10_s": self.presence,
            "seconds": self.seconds,
            "bytes": self.bytes,
        })
    }

    fn run<'a>(&'a self, _system: &'a dyn System, seed: u64) -> BoxFuture<'a, Result<Measured, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            let server = FulmarServer::start(&place).await?;
            let figures = watched(server.processes(), self.evening(&server, seed)).await?;
            Ok(Measured::of(&server, figures))
        })
    }

    fn floors(&self) -> &'static [&'static str] {
        &["relay"]
    }

    fn floor<'a>(&'a self, _name: &'static str, seed: u64) -> BoxFuture<'a, Result<Figures, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            let running = Relay.start(&place).await?;
            watched(running.processes(), self.messages(&*running, seed)).await
        })
    }

    fn add_ratios(&self, figures: &mut Figures, floors: &Floors) {
        let floor = floors.get("relay");
        for (ratio, name) in [("ratio_relay_p50", "p50_us"), ("ratio_relay_p99", "p99_us")] {
            let against = floor.and_then(|floor| figures.ratio(name, floor, name));
            figures.set_some(ratio, against);
        }
    }

    fn takes_peers(&self) -> bool {
        false
    }
}
