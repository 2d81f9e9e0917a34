//! Many senders in many conversations, as fast as they may: accepted messages a second, all of them delivered too.
//!
//! Floors: the raw relay under the same load, and the embedded store alone with as many writers as there are
//! messages unanswered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{ARRIVES_WITHIN, Window};
use crate::{
    error::BenchError,
    figures::{Figures, as_f64},
    floors::store,
    place::Place,
    rounds::{Floors, Measured, Workload, watched},
    system::{ConversationHandle, Heard, Running, Sender, Session, System, relay::Relay},
    usage::Usage,
};

/// Before anything is counted.
const RAMP: Duration = Duration::from_secs(1);
/// Writers of the store alone, at most.
const STORE_WRITERS_MAX: usize = 256;

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Users, each with a connection of their own; all of them send and receive.
    #[arg(long, default_value_t = 64)]
    senders: usize,
    /// Direct conversations between them. One sender and one conversation is "one pipelined pair".
    #[arg(long, default_value_t = 1_000)]
    conversations: usize,
    /// How long to measure, after a second of warming up.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Bytes of each message's body.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    bytes: u32,
    /// Sends that each conversation has unanswered.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    window: u32,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicU64,
    stop: AtomicBool,
}

impl Options {
    /// Refuses what cannot be done, before anything is started.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let users = self.users();
        let most = users * (users - 1) / 2;
        if self.senders == 0 || self.conversations == 0 || self.conversations > most {
            return Err(BenchError::Wrong(format!(
                "{users} users have at least 1 and at most {most} direct conversations: \
                 ask for --conversations within that, or for more --senders"
            )));
        }
        Ok(())
    }

    fn users(&self) -> usize {
        self.senders.max(2)
    }

    fn window(&self) -> usize {
        usize::try_from(self.window).unwrap_or(usize::MAX)
    }

    fn body_bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }

    async fn load(&self, running: &dyn Running) -> Result<Figures, BenchError> {
        let users = self.users();
        let pairs =
            (1..users).flat_map(|distance| (0..users).map(move |from| (from, (from + distance) % users)));
        let mut conversations = Vec::new();
        for (from, to) in pairs.take(self.conversations) {
            conversations.push((from, running.conversation(&[from, to]).await?));
        }
        let (counts, heard) = (Arc::new(Counts::default()), Heard::default());
        let mut senders: Vec<Arc<dyn Sender>> = Vec::new();
        let mut receiving = JoinSet::new();
        for user in 0..users {
            let Session { sender, mut arrivals } = running.connect(user).await?;
            senders.push(Arc::from(sender));
            let heard = heard.clone();
            receiving.spawn(async move {
                while arrivals.recv().await.is_some() {
                    heard.one();
                }
            });
        }
        let mut sending = JoinSet::new();
        let body = Bytes::from(vec![b'x'; self.body_bytes()]);
        for (from, conversation) in conversations {
            let sender = senders.get(from).ok_or(BenchError::ServerGone)?;
            sending.spawn(send(
                Arc::clone(sender),
                conversation,
                body.clone(),
                self.window(),
                Arc::clone(&counts),
            ));
        }
        let measuring = self.measure(running, &counts, &heard);
        let failing = async {
            match sending.join_next().await {
                Some(ended) => ended?.and(Err(BenchError::wrong("a sender ended before its time"))),
                None => Err(BenchError::wrong("there is no sender")),
            }
        };
        let figures = tokio::select! {
            figures = measuring => figures?,
            failed = failing => failed?,
        };
        counts.stop.store(true, Ordering::Relaxed);
        let ending = async {
            while let Some(ended) = sending.join_next().await {
                ended??;
            }
            Ok(figures)
        };
        let late = |_| BenchError::wrong("what was sent last was never answered");
        timeout(ARRIVES_WITHIN, ending).await.map_err(late)?
    }

    async fn measure(
        &self,
        running: &dyn Running,
        counts: &Counts,
        heard: &Heard,
    ) -> Result<Figures, BenchError> {
        tokio::time::sleep(RAMP).await;
        let state = || (counts.accepted.load(Ordering::Relaxed), heard.count());
        let (before, usage_before, started) = (state(), Usage::of(&running.processes())?, Instant::now());
        tokio::time::sleep(Duration::from_secs(self.seconds)).await;
        let (after, usage, seconds) =
            (state(), Usage::of(&running.processes())?, started.elapsed().as_secs_f64());
        let (accepted, delivered) = (after.0 - before.0, after.1 - before.1);
        let mut figures = Figures::default();
        figures.set("messages_per_s", as_f64(accepted) / seconds);
        figures.set("deliveries_per_s", as_f64(delivered) / seconds);
        usage.per_message(&usage_before, accepted, delivered, &mut figures);
        Ok(figures)
    }
}

/// Keeps a window of sends unanswered until told to stop.
async fn send(
    sender: Arc<dyn Sender>,
    conversation: ConversationHandle,
    body: Bytes,
    window: usize,
    counts: Arc<Counts>,
) -> Result<(), BenchError> {
    let mut open = Window::of(window);
    while !counts.stop.load(Ordering::Relaxed) {
        let counts = Arc::clone(&counts);
        let acknowledged = sender.send(&conversation, body.clone()).await?;
        let counted = async move {
            acknowledged.await?;
            counts.accepted.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        open.push(Box::pin(counted)).await?;
    }
    open.finish().await
}

impl Workload for Options {
    fn name(&self) -> &'static str {
        "throughput"
    }

    fn arguments(&self) -> Value {
        json!({
            "senders": self.senders,
            "conversations": self.conversations,
            "seconds": self.seconds,
            "bytes": self.bytes,
            "window": self.window,
        })
    }

    fn run<'a>(&'a self, system: &'a dyn System, _seed: u64) -> BoxFuture<'a, Result<Measured, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            let running = system.start(&place).await?;
            let figures = watched(running.processes(), self.load(&*running)).await?;
            Ok(Measured::of(&*running, figures))
        })
    }

    fn floors(&self) -> &'static [&'static str] {
        &["relay", "store"]
    }

    fn floor<'a>(&'a self, name: &'static str, _seed: u64) -> BoxFuture<'a, Result<Figures, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            if name == "relay" {
                let running = Relay.start(&place).await?;
                return watched(running.processes(), self.load(&*running)).await;
            }
            let writers = (self.conversations * self.window()).min(STORE_WRITERS_MAX);
            let time = Duration::from_secs(self.seconds.min(3));
            let mut figures = Figures::default();
            let rate = store::appends_per_s(place.folder(), writers, time, self.body_bytes()).await?;
            figures.set("messages_per_s", rate);
            Ok(figures)
        })
    }

    fn add_ratios(&self, figures: &mut Figures, floors: &Floors) {
        for (ratio, floor) in [("ratio_relay", "relay"), ("ratio_store", "store")] {
            let floor =
                floors.get(floor).and_then(|floor| figures.ratio("messages_per_s", floor, "messages_per_s"));
            figures.set_some(ratio, floor);
        }
    }
}
