//! A user's device: publishes with the answer awaited, and a durable consumer that acknowledges each message. (To
//! acknowledge all up to one would be cheaper, and would lose what was on its way to a connection that broke.)
//!
//! The library does not publish again what was under way when a connection broke, so this does, with the same id, by
//! which the server drops what it has already. What others sent after it may then stand before it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
    context::PublishErrorKind,
    message::PublishMessage,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Connection, STREAM, wrong};
use crate::{
    error::BenchError,
    system::{ARRIVALS_MAX, Acknowledgement, Arrival, ConversationHandle, Sender, Session},
};

/// Messages that a consumer asks for at once.
const BATCH: usize = 1_000;
/// Messages that the server hands out before it must hear so.
const UNACKNOWLEDGED_MAX: i64 = 10_000;
/// How long taking leave may take.
const LEAVING_MAX: Duration = Duration::from_secs(2);
/// How often a message is published before its sender gives up.
const ATTEMPTS_MAX: usize = 12;

pub(super) async fn open(
    user: usize,
    conversations: &[ConversationHandle],
    connection: Connection,
) -> Result<Session, BenchError> {
    let Connection { jetstream, closed } = connection;
    let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
    let mut reading = None;
    if !conversations.is_empty() {
        let name = format!("user-{user}");
        let config = pull::Config {
            durable_name: Some(name),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            max_ack_pending: UNACKNOWLEDGED_MAX,
            filter_subjects: conversations.iter().map(|one| subjects(one, user)).collect(),
            ..pull::Config::default()
        };
        let consumer = jetstream.create_consumer_on_stream(config, STREAM).await.map_err(wrong)?;
        let messages = consumer.stream().max_messages_per_batch(BATCH).messages().await.map_err(wrong)?;
        let stop = closed.child_token();
        tokio::spawn(read(jetstream.clone(), messages, user, arrived, stop.clone()));
        reading = Some(stop.drop_guard());
    }
    let id = jetstream.client().new_inbox();
    let sender = Publisher { jetstream, user, id, count: AtomicU64::new(0), closed, _reading: reading };
    Ok(Session { sender: Box::new(sender), arrivals })
}

/// What a user wants to hear of a conversation. Of two, only the other; of more, all, for a server compares each
/// filter with each other.
fn subjects(conversation: &ConversationHandle, user: usize) -> String {
    match conversation.members.as_slice() {
        [one, other] => format!("{}.{}", conversation.name, if *one == user { other } else { one }),
        _ => format!("{}.*", conversation.name),
    }
}

/// Reads until the connection is lost for good, or the session is dropped; then it takes leave, as an app does that
/// goes to sleep. What the server hands to a connection that is gone, it hands out again after half a minute.
async fn read(
    jetstream: jetstream::Context,
    mut messages: pull::Stream,
    user: usize,
    arrived: mpsc::Sender<Arrival>,
    stop: CancellationToken,
) {
    let own = format!(".{user}");
    while let Some(Some(message)) = stop.run_until_cancelled(messages.next()).await {
        // What nobody takes any more is not told as read.
        if stop.is_cancelled() {
            break;
        }
        // The library asks again after an error, such as a heartbeat that a slow link held up.
        let Ok(message) = message else { continue };
        if !message.subject.ends_with(&own) {
            let arrival = Arrival { at: Instant::now().into_std(), body: message.payload.clone() };
            // Who does not want to know goes on sending.
            if stop.run_until_cancelled(arrived.send(arrival)).await.is_none() {
                break;
            }
        }
        // Lost with the connection, the message comes again.
        let _ = message.ack().await;
    }
    drop(messages);
    // Without a connection there is nobody to take leave of.
    let _ = timeout(LEAVING_MAX, jetstream.client().drain()).await;
}

struct Publisher {
    jetstream: jetstream::Context,
    user: usize,
    /// Of this connection; a message's own begins with it.
    id: String,
    count: AtomicU64,
    closed: CancellationToken,
    _reading: Option<DropGuard>,
}

impl Sender for Publisher {
    fn send<'a>(
        &'a self,
        to: &'a ConversationHandle,
        body: Bytes,
    ) -> BoxFuture<'a, Result<Acknowledgement, BenchError>> {
        Box::pin(async move {
            let subject: Arc<str> = format!("{}.{}", to.name, self.user).into();
            let id = format!("{}.{}", self.id, self.count.fetch_add(1, Ordering::Relaxed));
            let message = PublishMessage::build().payload(body).message_id(id);
            let published = self.jetstream.send_publish(subject.to_string(), message.clone());
            let published = self.closed.run_until_cancelled(published).await;
            let answer = published.ok_or(BenchError::ServerGone)?.map_err(wrong)?;
            let (jetstream, closed) = (self.jetstream.clone(), self.closed.clone());
            let accepted: Acknowledgement = Box::pin(async move {
                let accepting = accepted(jetstream, subject, message, answer);
                closed.run_until_cancelled(accepting).await.unwrap_or(Err(BenchError::ServerGone))
            });
            Ok(accepted)
        })
    }

    fn network_changed(&self) {
        let client = self.jetstream.client();
        // Without a connection there is nothing to tell.
        tokio::spawn(async move { client.force_reconnect().await.ok() });
    }
}

async fn accepted(
    jetstream: jetstream::Context,
    subject: Arc<str>,
    message: PublishMessage,
    mut answer: jetstream::context::PublishAckFuture,
) -> Result<(), BenchError> {
    for _ in 1..ATTEMPTS_MAX {
        match answer.await {
            Ok(_) => return Ok(()),
            Err(error)
                if matches!(error.kind(), PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe) => {}
            Err(error) => return Err(wrong(error)),
        }
        answer = jetstream.send_publish(subject.to_string(), message.clone()).await.map_err(wrong)?;
    }
    answer.await.map(|_| ()).map_err(wrong)
}
