//! One message, two who receive it: one at the sender's node, one at another.
//!
//! Both times hold the same commit, so their difference is what the other node costs.

use std::time::Duration;

use fulmar_client::{Event, Events, HistoryPolicy, OutgoingMessage, Seq};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::{Times, World, difference_ms, median};
use crate::error::BenchError;

/// All in milliseconds, from the send.
#[derive(Serialize)]
pub(crate) struct Delivery {
    messages: u32,
    accepted_p50_ms: f64,
    same_node_p50_ms: f64,
    same_node_p99_ms: f64,
    other_node_p50_ms: f64,
    other_node_p99_ms: f64,
    /// Of each message: how much later it came to the other node.
    later_p50_ms: f64,
}

pub(super) async fn run(world: &World, messages: u32) -> Result<Delivery, BenchError> {
    let users = [world.user("sender")?, world.user("near")?, world.user("far")?];
    let [sender, near, far] = &users;
    let (sending, _events) = world.connect(sender, 0).await?;
    let (_near, mut near_events) = world.connect(near, 0).await?;
    let (_far, mut far_events) = world.connect(far, 1).await?;
    let (group, _) = sending.create_group("delivery", &users, HistoryPolicy::All).await?;
    let [mut accepted, mut same, mut other] = [Times::new()?, Times::new()?, Times::new()?];
    let mut later = Vec::new();
    let warm_up = messages / 10 + 1;
    for number in 0..messages + warm_up {
        let started = Instant::now();
        let sent = group.enqueue(OutgoingMessage::text("x".repeat(200))).await?;
        let answered = async {
            let accepted = sent.await?;
            Ok::<_, BenchError>((accepted.seq, Instant::now()))
        };
        let ((seq, answered), near, far) =
            tokio::try_join!(answered, received(&mut near_events), received(&mut far_events))?;
        if (near.0, far.0) != (seq, seq) {
            return Err(BenchError::Wrong(format!("{seq} was sent, {near:?} and {far:?} came")));
        }
        if number >= warm_up {
            accepted.record(answered - started);
            same.record(near.1 - started);
            other.record(far.1 - started);
            later.push(difference_ms(far.1, near.1));
        }
    }
    Ok(Delivery {
        messages,
        accepted_p50_ms: accepted.at(0.5),
        same_node_p50_ms: same.at(0.5),
        same_node_p99_ms: same.at(0.99),
        other_node_p50_ms: other.at(0.5),
        other_node_p99_ms: other.at(0.99),
        later_p50_ms: median(later),
    })
}

/// The next message that comes, and when.
async fn received(events: &mut Events) -> Result<(Seq, Instant), BenchError> {
    loop {
        match timeout(Duration::from_secs(30), events.next()).await {
            Ok(Some(Event::Entry(entry))) if entry.seq != Seq::FIRST => {
                return Ok((entry.seq, Instant::now()));
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return Err(BenchError::Wrong("a message did not arrive".into())),
        }
    }
}
