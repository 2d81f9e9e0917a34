//! A user's device: publishes with the answer awaited, and a durable consumer that tells the server how far it has
//! read.
//!
//! The library does not publish again what was under way when a connection broke, so this does, with the same id, by
//! which the server drops what it has already. What others sent after it may then stand before it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
    context::PublishErrorKind,
    message::PublishMessage,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Connection, STREAM, wrong};
use crate::{
    error::BenchError,
    system::{ARRIVALS_MAX, Acknowledgement, Arrival, ConversationHandle, Sender, Session},
};

/// Messages that a consumer asks for at once.
const BATCH: usize = 1_000;
/// Messages after which it tells how far it has read, sooner when no more are waiting.
const ACKNOWLEDGED_AT_ONCE: usize = 64;
/// Messages that the server hands out before it must hear so.
const UNACKNOWLEDGED_MAX: i64 = 10_000;
/// How often a message is published before its sender gives up.
const ATTEMPTS_MAX: usize = 12;

pub(super) async fn open(
    user: usize,
    conversations: &[ConversationHandle],
    connection: Connection,
) -> Result<Session, BenchError> {
    let Connection { jetstream, closed } = connection;
    let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
    let mut running = None;
    if !conversations.is_empty() {
        let name = format!("user-{user}");
        let config = pull::Config {
            durable_name: Some(name),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::All,
            max_ack_pending: UNACKNOWLEDGED_MAX,
            filter_subjects: conversations.iter().map(|one| subjects(one, user)).collect(),
            ..pull::Config::default()
        };
        let consumer = jetstream.create_consumer_on_stream(config, STREAM).await.map_err(wrong)?;
        let messages = consumer.stream().max_messages_per_batch(BATCH).messages().await.map_err(wrong)?;
        let reading = read(messages, user, arrived, closed.clone());
        running = Some(AbortOnDropHandle::new(tokio::spawn(reading)));
    }
    let id = jetstream.client().new_inbox();
    let sender = Publisher { jetstream, user, id, count: AtomicU64::new(0), closed, _running: running };
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

/// Reads until the connection is lost for good.
async fn read(
    messages: pull::Stream,
    user: usize,
    arrived: mpsc::Sender<Arrival>,
    closed: CancellationToken,
) {
    let own = format!(".{user}");
    let mut messages = messages.ready_chunks(ACKNOWLEDGED_AT_ONCE);
    while let Some(Some(some)) = closed.run_until_cancelled(messages.next()).await {
        let at = Instant::now().into_std();
        let mut last = None;
        // The library asks again after an error, such as a heartbeat that a slow link held up.
        for message in some.into_iter().flatten() {
            if !message.subject.ends_with(&own) {
                // Who does not want to know goes on sending.
                let _ = arrived.send(Arrival { at, body: message.payload.clone() }).await;
            }
            last = Some(message);
        }
        if let Some(last) = last {
            // Lost with the connection, it is told again with the next.
            let _ = last.ack().await;
        }
    }
}

struct Publisher {
    jetstream: jetstream::Context,
    user: usize,
    /// Of this connection; a message's own begins with it.
    id: String,
    count: AtomicU64,
    closed: CancellationToken,
    _running: Option<AbortOnDropHandle<()>>,
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
