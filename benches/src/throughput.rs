//! Many senders in many conversations: accepted messages a second, all of them delivered too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fulmar_client::{Conversation, Event, Events, OutgoingMessage};
use serde::Serialize;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    error::BenchError,
    world::{World, user},
};

/// What to do.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) senders: usize,
    pub(crate) conversations: usize,
    pub(crate) seconds: u64,
    pub(crate) bytes: usize,
    pub(crate) window: usize,
}

#[derive(Serialize)]
pub(crate) struct Throughput {
    workload: &'static str,
    senders: usize,
    conversations: usize,
    messages_per_s: f64,
    deliveries_per_s: f64,
    server_cpu_us_per_message: f64,
    seconds: f64,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicU64,
    delivered: AtomicU64,
    stop: AtomicBool,
}

pub(crate) async fn run(load: Load) -> Result<Throughput, BenchError> {
    let users = load.senders.max(2);
    if load.conversations > users * (users - 1) / 2 {
        return Err(BenchError::Wrong(format!(
            "{users} users have at most {} direct conversations: ask for fewer",
            users * (users - 1) / 2
        )));
    }
    let world = World::start().await?;
    let mut clients = Vec::new();
    let counts = Arc::new(Counts::default());
    let mut receiving = JoinSet::new();
    for number in 0..users {
        let (client, events) = world.connect(&user(number)?).await?;
        receiving.spawn(receive(events, Arc::clone(&counts)));
        clients.push(client);
    }
    let mut sending = JoinSet::new();
    let pairs = (1..users).flat_map(|distance| (0..users).map(move |from| (from, (from + distance) % users)));
    for (from, to) in pairs.take(load.conversations) {
        let client = clients.get(from).ok_or(BenchError::ServerGone)?;
        let conversation = client.direct(&user(to)?)?;
        sending.spawn(send(conversation, load, Arc::clone(&counts)));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = figures(&counts);
    let cpu_before = world.server.processor_us()?;
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(load.seconds)).await;
    let seconds = started.elapsed().as_secs_f64();
    let after = figures(&counts);
    let cpu = world.server.processor_us()? - cpu_before;
    counts.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = sending.join_next().await {
        ended.map_err(|error| BenchError::Wrong(error.to_string()))??;
    }
    receiving.shutdown().await;
    let per_second = |before: u64, after: u64| as_f64(after - before) / seconds;
    Ok(Throughput {
        workload: "throughput",
        senders: load.senders,
        conversations: load.conversations,
        messages_per_s: per_second(before.0, after.0),
        deliveries_per_s: per_second(before.1, after.1),
        server_cpu_us_per_message: as_f64(cpu) / as_f64((after.0 - before.0).max(1)),
        seconds,
    })
}

fn figures(counts: &Counts) -> (u64, u64) {
    (counts.accepted.load(Ordering::Relaxed), counts.delivered.load(Ordering::Relaxed))
}

fn as_f64(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

async fn receive(mut events: Events, counts: Arc<Counts>) {
    while let Some(event) = events.next().await {
        if matches!(event, Event::Entry(entry) if !entry.is_own) {
            counts.delivered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Keeps `window` sends unanswered until told to stop.
async fn send(conversation: Conversation, load: Load, counts: Arc<Counts>) -> Result<(), BenchError> {
    let body = bytes::Bytes::from(vec![b'x'; load.bytes]);
    let mut waiting = std::collections::VecDeque::new();
    while !counts.stop.load(Ordering::Relaxed) {
        while waiting.len() < load.window {
            let message = OutgoingMessage::new("text/plain", body.clone());
            waiting.push_back(conversation.enqueue(message).await?);
        }
        if let Some(sending) = waiting.pop_front() {
            sending.await?;
            counts.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }
    for sending in waiting {
        sending.await?;
    }
    Ok(())
}
