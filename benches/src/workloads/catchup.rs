//! A device comes back after a week: the time until it has everything that was sent meanwhile.
//!
//! Floors: a raw server that pushes the same octets on as many streams, and the embedded store's bare range reads.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant, time::timeout};

use super::{ARRIVES_WITHIN, Window};
use crate::{
    error::BenchError,
    figures::{Figures, as_f64},
    floors::{raw_client::Raw, raw_server::Push, store},
    place::Place,
    rounds::{Floors, Measured, Workload, watched},
    system::{Running, System},
    usage::Usage,
};

/// Sends that each sender has unanswered while the device is away.
const WINDOW: usize = 32;
/// For a server to see that the device has gone.
const GONE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Messages that wait, in all conversations together.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    messages: u32,
    /// Conversations that they are in.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    conversations: u32,
    /// Bytes of each message's body.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    bytes: u32,
}

impl Options {
    /// Refuses what cannot be done, before anything is started.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let most = fulmar_protocol::limits::BACKLOG_ENTRIES_MAX;
        let each = usize::try_from(self.each()).unwrap_or(usize::MAX);
        if each == 0 || each > most {
            return Err(BenchError::Wrong(format!(
                "{each} messages in each conversation: a device that was away gets 1 to {most} of each; \
                 ask for other --messages or --conversations"
            )));
        }
        Ok(())
    }

    fn each(&self) -> u32 {
        self.messages / self.conversations
    }

    fn total(&self) -> u64 {
        u64::from(self.each()) * u64::from(self.conversations)
    }

    /// User 0 is away while each of the others sends in a conversation of the two.
    async fn fill(&self, running: &dyn Running) -> Result<(), BenchError> {
        running.may_come_back(0)?;
        let mut conversations = Vec::new();
        for user in 1..=usize::try_from(self.conversations).unwrap_or(usize::MAX) {
            conversations.push((user, running.conversation(&[user, 0]).await?));
        }
        drop(running.connect(0).await?);
        tokio::time::sleep(GONE).await;
        let body = Bytes::from(vec![b'x'; usize::try_from(self.bytes).unwrap_or(usize::MAX)]);
        let mut sending = JoinSet::new();
        for (user, conversation) in conversations {
            let session = running.connect(user).await?;
            let (body, messages) = (body.clone(), self.each());
            sending.spawn(async move {
                let mut open = Window::of(WINDOW);
                for _ in 0..messages {
                    open.push(session.sender.send(&conversation, body.clone()).await?).await?;
                }
                open.finish().await
            });
        }
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        Ok(())
    }

    async fn come_back(&self, running: &dyn Running) -> Result<Figures, BenchError> {
        self.fill(running).await?;
        let (before, started) = (Usage::of(&running.processes())?, Instant::now());
        let mut session = running.connect(0).await?;
        for came in 0..self.total() {
            let arrival = timeout(ARRIVES_WITHIN, session.arrivals.recv()).await;
            if !matches!(arrival, Ok(Some(_))) {
                return Err(BenchError::Wrong(format!(
                    "only {came} of {} messages came to the device that was away",
                    self.total()
                )));
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let mut figures = self.figures(seconds);
        let usage = Usage::of(&running.processes())?;
        usage.per_message(&before, self.total(), self.total(), &mut figures);
        Ok(figures)
    }

    fn figures(&self, seconds: f64) -> Figures {
        let mut figures = Figures::default();
        figures.set("messages", as_f64(self.total()));
        figures.set("catchup_ms", seconds * 1_000.0);
        figures.set("messages_per_s", as_f64(self.total()) / seconds);
        figures
    }

    async fn pushed(&self, place: &Place) -> Result<Figures, BenchError> {
        let raw = Raw::start(place).await?;
        let push = Push { streams: self.conversations, messages: self.each(), bytes: self.bytes };
        let receiving = async {
            let started = Instant::now();
            let came = raw.pushed(push).await?;
            let seconds = started.elapsed().as_secs_f64();
            if came != self.total() {
                return Err(BenchError::Wrong(format!("only {came} messages were pushed")));
            }
            Ok(self.figures(seconds))
        };
        watched(vec![raw.process.id()], receiving).await
    }
}

impl Workload for Options {
    fn name(&self) -> &'static str {
        "catchup"
    }

    fn arguments(&self) -> Value {
        json!({"messages": self.messages, "conversations": self.conversations, "bytes": self.bytes})
    }

    fn run<'a>(&'a self, system: &'a dyn System, _seed: u64) -> BoxFuture<'a, Result<Measured, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            let running = system.start(&place).await?;
            let figures = watched(running.processes(), self.come_back(&*running)).await?;
            Ok(Measured::of(&*running, figures))
        })
    }

    fn floors(&self) -> &'static [&'static str] {
        &["push", "store_reads"]
    }

    fn floor<'a>(&'a self, name: &'static str, _seed: u64) -> BoxFuture<'a, Result<Figures, BenchError>> {
        Box::pin(async move {
            let place = Place::loopback()?;
            if name == "push" {
                return self.pushed(&place).await;
            }
            let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
            let (conversations, bytes) = (size(self.conversations), size(self.bytes));
            let reads = store::reads_per_s(place.folder(), conversations, self.each().into(), bytes).await?;
            let mut figures = Figures::default();
            figures.set("messages_per_s", reads);
            Ok(figures)
        })
    }

    fn add_ratios(&self, figures: &mut Figures, floors: &Floors) {
        for (ratio, floor) in [("ratio_push", "push"), ("ratio_store", "store_reads")] {
            let floor =
                floors.get(floor).and_then(|floor| figures.ratio("messages_per_s", floor, "messages_per_s"));
            figures.set_some(ratio, floor);
        }
    }
}
