//! Messages to a group of so many members, by turns with messages to one user: what the members cost.

use std::time::Duration;

use fulmar_client::{Content, Event, Events, HistoryPolicy, OutgoingMessage};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::{Times, World};
use crate::{error::BenchError, system::fulmar::ADDED_AT_ONCE};

#[derive(Serialize)]
pub(crate) struct Members {
    members: usize,
    messages: u32,
    /// From the send to its answer.
    accepted_p50_ms: f64,
    accepted_p99_ms: f64,
    /// The same to one user.
    direct_accepted_p50_ms: f64,
    /// From the send to a member at another node.
    other_node_p50_ms: f64,
}

pub(super) async fn run(world: &World, members: usize, messages: u32) -> Result<Members, BenchError> {
    let name = |number: usize| world.user(&format!("member-{members}-{number}"));
    let users = (0..members.max(2)).map(name).collect::<Result<Vec<_>, _>>()?;
    let [sender, far, ..] = users.as_slice() else { return Err(BenchError::ServerGone) };
    let (sending, _events) = world.connect(sender, 0).await?;
    let (_far, mut far_events) = world.connect(far, 1).await?;
    let (group, _) = sending.create_group("members", std::slice::from_ref(far), HistoryPolicy::All).await?;
    for added in users.get(2..).unwrap_or_default().chunks(ADDED_AT_ONCE) {
        group.add(added).await?;
    }
    let direct = sending.direct(&world.user(&format!("nobody-{members}"))?)?;
    let [mut accepted, mut to_one, mut other] = [Times::new()?, Times::new()?, Times::new()?];
    let warm_up = messages / 10 + 1;
    for number in 0..messages + warm_up {
        let message = || OutgoingMessage::text("x".repeat(200));
        let started = Instant::now();
        direct.send(message()).await?;
        let answered = started.elapsed();
        if number >= warm_up {
            to_one.record(answered);
        }
        let body = format!("{number:0200}");
        let started = Instant::now();
        let sent = group.enqueue(OutgoingMessage::text(body.clone())).await?;
        let answered = async {
            sent.await?;
            Ok::<_, BenchError>(started.elapsed())
        };
        let received = async {
            until(&mut far_events, &body).await?;
            Ok::<_, BenchError>(started.elapsed())
        };
        let (answered, received) = tokio::try_join!(answered, received)?;
        if number >= warm_up {
            accepted.record(answered);
            other.record(received);
        }
    }
    Ok(Members {
        members: users.len(),
        messages,
        accepted_p50_ms: accepted.at(0.5),
        accepted_p99_ms: accepted.at(0.99),
        direct_accepted_p50_ms: to_one.at(0.5),
        other_node_p50_ms: other.at(0.5),
    })
}

/// Waits for the message that says this.
async fn until(events: &mut Events, body: &str) -> Result<(), BenchError> {
    loop {
        match timeout(Duration::from_secs(30), events.next()).await {
            Ok(Some(Event::Entry(entry))) => {
                if matches!(&entry.content, Some(Content::Message(message)) if message.body == body) {
                    return Ok(());
                }
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return Err(BenchError::Wrong("a message did not arrive".into())),
        }
    }
}
