//! One conversation that users at all nodes write to as fast as they may.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fulmar_client::{Conversation, HistoryPolicy, OutgoingMessage};
use serde::Serialize;
use tokio::{task::JoinSet, time::Instant};

use super::World;
use crate::error::BenchError;

/// Sends that each writer has unanswered.
const WINDOW: usize = 16;
const WRITERS_PER_NODE: usize = 2;

#[derive(Serialize)]
pub(crate) struct Hot {
    writers: usize,
    window: usize,
    /// All writers at one node.
    one_node_appends_per_s: f64,
    /// As many writers, spread over all nodes.
    all_nodes_appends_per_s: f64,
}

pub(super) async fn run(world: &World, seconds: u64) -> Result<Hot, BenchError> {
    let writers = WRITERS_PER_NODE * world.servers.len();
    let one = appends(world, "one", seconds, |_| 0).await?;
    let all = appends(world, "all", seconds, |writer| writer).await?;
    Ok(Hot { writers, window: WINDOW, one_node_appends_per_s: one, all_nodes_appends_per_s: all })
}

async fn appends(
    world: &World,
    name: &str,
    seconds: u64,
    node: impl Fn(usize) -> usize,
) -> Result<f64, BenchError> {
    let users =
        (0..WRITERS_PER_NODE * world.servers.len()).map(|number| world.user(&format!("{name}-{number}")));
    let users = users.collect::<Result<Vec<_>, _>>()?;
    let mut clients = Vec::new();
    for (number, user) in users.iter().enumerate() {
        clients.push(world.connect(user, node(number)).await?);
    }
    let founder = clients.first().ok_or(BenchError::ServerGone)?;
    let (group, _) = founder.0.create_group("hot", &users, HistoryPolicy::All).await?;
    let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (mut writing, mut reading) = (JoinSet::new(), JoinSet::new());
    for (client, mut events) in clients {
        reading.spawn(async move { while events.next().await.is_some() {} });
        let conversation = client.conversation(group.id());
        writing.spawn(write(conversation, Arc::clone(&count), Arc::clone(&stop)));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, started) = (count.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (appended, time) = (count.load(Ordering::Relaxed) - before, started.elapsed());
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = writing.join_next().await {
        ended.map_err(|error| BenchError::Wrong(error.to_string()))??;
    }
    reading.shutdown().await;
    Ok(f64::from(u32::try_from(appended).unwrap_or(u32::MAX)) / time.as_secs_f64())
}

async fn write(
    conversation: Conversation,
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Result<(), BenchError> {
    let mut waiting = VecDeque::new();
    while !stop.load(Ordering::Relaxed) {
        while waiting.len() < WINDOW {
            waiting.push_back(conversation.enqueue(OutgoingMessage::text("x".repeat(200))).await?);
        }
        if let Some(sending) = waiting.pop_front() {
            sending.await?;
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
    for sending in waiting {
        sending.await?;
    }
    Ok(())
}
