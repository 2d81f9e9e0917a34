//! Fulmar's protocol over bare connections, many to a socket: devices that are there, and no more of a client than
//! that takes. They say Hello, take what comes on their lanes, and confirm it as the client library does.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use fulmar_protocol::{
    BatchNumber, Confirm, Content, ConversationId, CursorUpdate, DeviceId, Extensions, Frame, FrameDecoder,
    Hello, Seq, SoftwareName, Token,
};
use parking_lot::Mutex;
use quinn::{Connection, RecvStream, SendStream};
use std::collections::BTreeMap;
use tokio::sync::Notify;

use super::{Heard, Task, fulmar::user_id};
use crate::{error::BenchError, floors::quic::CHUNK_BYTES_MAX};

/// As the client library: cursors wait this long for company.
const CONFIRM_DELAY: Duration = Duration::from_millis(50);

/// A session: dropping it ends the connection.
pub(crate) struct WireSession {
    connection: Connection,
    control: (SendStream, RecvStream),
}

impl WireSession {
    /// Says Hello and waits for Welcome.
    pub(crate) async fn begin(
        connection: Connection,
        user: usize,
        token: String,
    ) -> Result<Self, BenchError> {
        let (mut send, mut receive) = connection.open_bi().await.map_err(BenchError::quic)?;
        let mut buffer = BytesMut::new();
        Frame::Hello(Hello {
            token: Token::new(token),
            device_id: device(user),
            backlog_entries_max: 1_000,
            client: SoftwareName::new("fulmar-bench"),
            extensions: Extensions::NONE,
            user_id: Some(user_id(user)?),
        })
        .encode(&mut buffer);
        send.write_all(&buffer).await.map_err(BenchError::quic)?;
        let mut decoder = FrameDecoder::new();
        match next(&mut decoder, &mut receive).await? {
            Some(Frame::Welcome(_)) => Ok(Self { connection, control: (send, receive) }),
            Some(other) => Err(BenchError::Wrong(format!("the server said {other:?} in place of Welcome"))),
            None => Err(BenchError::ServerGone),
        }
    }

    /// Ends it, and tells the server.
    pub(crate) fn close(self) {
        fulmar_transport::close(&self.connection, 0_u32.into(), b"");
    }

    /// Counts what arrives, and confirms it.
    pub(crate) fn listen(self, heard: Heard) -> [Task; 3] {
        let Self { connection, control: (send, mut answers) } = self;
        let confirming = Arc::new(Confirming::default());
        let lanes = tokio::spawn(accept_lanes(connection, heard, Arc::clone(&confirming)));
        let answers = tokio::spawn(async move {
            while let Ok(Some(_)) = answers.read_chunk(CHUNK_BYTES_MAX, true).await {}
        });
        [Task(lanes), Task(answers), Task(tokio::spawn(confirm(send, confirming)))]
    }
}

/// How far each conversation is to be confirmed.
#[derive(Default)]
struct Confirming {
    cursors: Mutex<BTreeMap<ConversationId, Seq>>,
    news: Notify,
}

async fn accept_lanes(connection: Connection, heard: Heard, confirming: Arc<Confirming>) {
    let mut lanes = tokio::task::JoinSet::new();
    while let Ok(lane) = connection.accept_uni().await {
        lanes.spawn(read_lane(lane, heard.clone(), Arc::clone(&confirming)));
        while lanes.try_join_next().is_some() {}
    }
}

async fn read_lane(
    mut lane: RecvStream,
    heard: Heard,
    confirming: Arc<Confirming>,
) -> Result<(), BenchError> {
    let mut decoder = FrameDecoder::new();
    let mut conversation = None;
    while let Some(frame) = next(&mut decoder, &mut lane).await? {
        let last = match frame {
            Frame::LaneOpen(open) => {
                conversation = Some(open.conversation_id);
                continue;
            }
            Frame::Entry(entry) => {
                // A group's beginning and its new members are entries, too.
                if matches!(Content::decode(&entry.content), Ok(Content::Message(_))) {
                    heard.one();
                }
                entry.seq
            }
            Frame::Hole(hole) => hole.range.last(),
            _ => continue,
        };
        if let Some(conversation) = conversation {
            confirming.cursors.lock().insert(conversation, last);
            confirming.news.notify_one();
        }
    }
    Ok(())
}

async fn confirm(mut control: SendStream, confirming: Arc<Confirming>) {
    let mut batch = BatchNumber::FIRST;
    loop {
        confirming.news.notified().await;
        tokio::time::sleep(CONFIRM_DELAY).await;
        let cursors = std::mem::take(&mut *confirming.cursors.lock());
        let cursors = cursors.into_iter();
        let cursors =
            cursors.map(|(conversation_id, seq)| CursorUpdate { conversation_id, seq, skipped: Vec::new() });
        let mut buffer = BytesMut::new();
        Frame::Confirm(Confirm { batch, cursors: cursors.collect(), reads: Vec::new() }).encode(&mut buffer);
        if control.write_all(&buffer).await.is_err() {
            return;
        }
        batch = batch.next();
    }
}

async fn next(decoder: &mut FrameDecoder, stream: &mut RecvStream) -> Result<Option<Frame>, BenchError> {
    loop {
        if let Some(frame) = decoder.next_frame().map_err(BenchError::quic)? {
            return Ok(Some(frame));
        }
        match stream.read_chunk(CHUNK_BYTES_MAX, true).await.map_err(BenchError::quic)? {
            Some(chunk) => decoder.push(chunk.bytes),
            None => return Ok(None),
        }
    }
}

/// Each user has one.
fn device(user: usize) -> DeviceId {
    let mut device = [0; 16];
    let digits = u64::try_from(user).unwrap_or(u64::MAX).to_be_bytes();
    device.iter_mut().zip(digits).for_each(|(octet, digit)| *octet = digit);
    DeviceId::new(device)
}
