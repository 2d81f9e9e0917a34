//! The relay's clients.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::{mpsc, oneshot};

use super::{BATCH_MESSAGES_MAX, MESSAGE_BYTES_MAX, QUEUE_MESSAGES_MAX};
use crate::{
    error::BenchError,
    floors::{
        quic::{CHUNK_BYTES_MAX, Endpoints},
        raw_client::now,
    },
    system::{
        ARRIVALS_MAX, Acknowledgement, Arrival, ConversationHandle, Heard, Held, Sender, Session, Task,
    },
};

/// What is done with a message that came.
type Taken = Arc<dyn Fn(Bytes) -> BoxFuture<'static, bool> + Send + Sync>;

/// A device that sends and receives.
pub(super) async fn session(
    connection: Connection,
    user: usize,
    endpoints: Endpoints,
) -> Result<Session, BenchError> {
    let control = enter(&connection, user).await?;
    let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
    let taken: Taken = Arc::new(move |body| {
        let (arrived, at) = (arrived.clone(), now());
        async move { arrived.send(Arrival { at, body }).await.is_ok() }.boxed()
    });
    let receiving = Task(tokio::spawn(receive(connection.clone(), taken)));
    let user = u32::try_from(user).map_err(BenchError::wrong)?;
    let sender = RelaySender {
        user,
        connection,
        endpoints,
        _control: control,
        lanes: Mutex::default(),
        _receiving: receiving,
    };
    Ok(Session { sender: Box::new(sender), arrivals })
}

/// A device that counts what it receives.
pub(super) async fn listener(connection: Connection, user: usize, heard: Heard) -> Result<Held, BenchError> {
    let control = enter(&connection, user).await?;
    let taken: Taken = Arc::new(move |_| {
        heard.one();
        std::future::ready(true).boxed()
    });
    Ok(Box::new((control, Task(tokio::spawn(receive(connection, taken))))))
}

async fn enter(connection: &Connection, user: usize) -> Result<(SendStream, RecvStream), BenchError> {
    let user = u32::try_from(user).map_err(BenchError::wrong)?;
    let (mut send, mut receive) = connection.open_bi().await.map_err(BenchError::quic)?;
    send.write_all(&user.to_be_bytes()).await.map_err(BenchError::quic)?;
    receive.read_exact(&mut [0]).await.map_err(BenchError::quic)?;
    Ok((send, receive))
}

async fn receive(connection: Connection, taken: Taken) {
    let mut lanes = tokio::task::JoinSet::new();
    while let Ok(lane) = connection.accept_uni().await {
        lanes.spawn(receive_lane(lane, Arc::clone(&taken)));
        while lanes.try_join_next().is_some() {}
    }
}

async fn receive_lane(mut lane: RecvStream, taken: Taken) -> Option<()> {
    let mut buffer = BytesMut::new();
    while let Ok(Some(chunk)) = lane.read_chunk(CHUNK_BYTES_MAX, true).await {
        buffer.extend_from_slice(&chunk.bytes);
        while let Some(length) = buffer.first_chunk().map(|length| u32::from_be_bytes(*length)) {
            let length = usize::try_from(length).ok().filter(|length| *length <= MESSAGE_BYTES_MAX)?;
            if buffer.len() < 4 + length {
                break;
            }
            let message = buffer.split_to(4 + length).freeze();
            if !taken(message.slice(4..)).await {
                return None;
            }
        }
    }
    Some(())
}

/// Where a message goes to be written, and who waits for its acknowledgement.
type Lane = mpsc::Sender<(Bytes, oneshot::Sender<()>)>;

struct RelaySender {
    user: u32,
    connection: Connection,
    endpoints: Endpoints,
    _control: (SendStream, RecvStream),
    /// By the number of the conversation.
    lanes: Mutex<HashMap<usize, Lane>>,
    _receiving: Task,
}

impl RelaySender {
    fn lane(&self, to: &ConversationHandle) -> Lane {
        let mut lanes = self.lanes.lock();
        let begin = || {
            let (lane, waiting) = mpsc::channel(QUEUE_MESSAGES_MAX);
            tokio::spawn(send_lane(self.connection.clone(), header(self.user, to), waiting));
            lane
        };
        lanes.entry(to.number).or_insert_with(begin).clone()
    }
}

impl Sender for RelaySender {
    fn send<'a>(
        &'a self,
        to: &'a ConversationHandle,
        body: Bytes,
    ) -> BoxFuture<'a, Result<Acknowledgement, BenchError>> {
        Box::pin(async move {
            let (taken, acknowledged) = oneshot::channel();
            self.lane(to).send((body, taken)).await.map_err(|_| BenchError::ServerGone)?;
            Ok(acknowledged.map(|answer| answer.map_err(|_| BenchError::ServerGone)).boxed())
        })
    }

    /// Devices share sockets here: the first one moves them all.
    fn network_changed(&self) {
        if self.user == 0 {
            // A socket that cannot be had leaves its sessions where they are.
            let _ = self.endpoints.rebind();
        }
    }
}

fn header(user: u32, to: &ConversationHandle) -> Bytes {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut header = BytesMut::new();
    header.put_u64(u64::try_from(to.number).unwrap_or(u64::MAX));
    header.put_u32(user);
    header.put_u32(number(to.members.len()));
    to.members.iter().for_each(|member| header.put_u32(number(*member)));
    header.freeze()
}

/// Those whose acknowledgement has not come, the oldest first.
type Unanswered = Arc<Mutex<VecDeque<oneshot::Sender<()>>>>;

async fn send_lane(
    connection: Connection,
    header: Bytes,
    mut waiting: mpsc::Receiver<(Bytes, oneshot::Sender<()>)>,
) -> Option<()> {
    let (mut sends, answers) = connection.open_bi().await.ok()?;
    sends.write_chunk(header).await.ok()?;
    let unanswered = Unanswered::default();
    let _answers = Task(tokio::spawn(read_answers(answers, Arc::clone(&unanswered))));
    let mut batch = Vec::with_capacity(BATCH_MESSAGES_MAX);
    while waiting.recv_many(&mut batch, BATCH_MESSAGES_MAX).await > 0 {
        let mut buffer = BytesMut::new();
        for (body, taken) in batch.drain(..) {
            buffer.put_u32(u32::try_from(body.len()).ok()?);
            buffer.put_slice(&body);
            unanswered.lock().push_back(taken);
        }
        sends.write_chunk(buffer.freeze()).await.ok()?;
    }
    Some(())
}

async fn read_answers(mut answers: RecvStream, unanswered: Unanswered) {
    let (mut answered, mut number) = (0, [0; 8]);
    while answers.read_exact(&mut number).await.is_ok() {
        let taken = u64::from_be_bytes(number);
        while answered < taken {
            if let Some(waiting) = unanswered.lock().pop_front() {
                let _ = waiting.send(());
            }
            answered += 1;
        }
    }
}
