//! The relay's own process.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::sync::mpsc;

use super::{BATCH_MESSAGES_MAX, LANES_MAX, MEMBERS_MAX, MESSAGE_BYTES_MAX, QUEUE_MESSAGES_MAX};
use crate::{
    credentials::Credentials,
    error::BenchError,
    floors::quic::{self, CHUNK_BYTES_MAX},
};

/// Messages on their way to a device: their conversation, and their octets, each message's behind its length.
type Passed = (u64, Bytes);
/// The devices that are there, by user.
type Devices = Arc<Mutex<HashMap<u32, mpsc::Sender<Passed>>>>;

/// Listens.
pub(crate) fn serve(listen: SocketAddr, credentials: &Credentials) -> Result<Endpoint, BenchError> {
    let endpoint = quic::server(listen, credentials)?;
    let accepting = endpoint.clone();
    let devices = Devices::default();
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            let devices = Arc::clone(&devices);
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    device(connection, devices).await;
                }
            });
        }
    });
    Ok(endpoint)
}

/// The life of a connection: a control stream that says whose it is, then send lanes.
async fn device(connection: Connection, devices: Devices) -> Option<()> {
    fulmar_server::quic_admit(&connection);
    let (mut answer, mut control) = connection.accept_bi().await.ok()?;
    let mut user = [0; 4];
    control.read_exact(&mut user).await.ok()?;
    let user = u32::from_be_bytes(user);
    let (queue, waiting) = mpsc::channel(QUEUE_MESSAGES_MAX);
    devices.lock().insert(user, queue.clone());
    answer.write_all(&[1]).await.ok()?;
    let passing = tokio::spawn(pass_on(connection.clone(), waiting));
    let mut lanes = 0_u32;
    while let Ok((answers, sends)) = connection.accept_bi().await {
        lanes += 1;
        if lanes == 8 {
            fulmar_server::quic_admit_streams(&connection);
        }
        tokio::spawn(send_lane(answers, sends, Arc::clone(&devices)));
    }
    passing.abort();
    let mut devices = devices.lock();
    if devices.get(&user).is_some_and(|current| current.same_channel(&queue)) {
        devices.remove(&user);
    }
    Some(())
}

/// Reads what a device sends in one conversation, and passes it on.
async fn send_lane(mut answers: SendStream, mut sends: RecvStream, devices: Devices) -> Option<()> {
    let mut header = [0; 16];
    sends.read_exact(&mut header).await.ok()?;
    let mut header = header.as_slice();
    let (conversation, sender, members) = (header.get_u64(), header.get_u32(), header.get_u32());
    let mut octets = vec![0; usize::try_from(members.min(MEMBERS_MAX)).ok()? * 4];
    sends.read_exact(&mut octets).await.ok()?;
    let members: Vec<u32> = octets.chunks_exact(4).map(|mut member| member.get_u32()).collect();
    let members: Vec<u32> = members.into_iter().filter(|member| *member != sender).collect();
    let mut buffer = BytesMut::new();
    let mut taken = 0_u64;
    while let Ok(Some(chunk)) = sends.read_chunk(CHUNK_BYTES_MAX, true).await {
        buffer.extend_from_slice(&chunk.bytes);
        let (count, messages) = whole(&mut buffer)?;
        if count == 0 {
            continue;
        }
        let queues: Vec<_> = {
            let devices = devices.lock();
            members.iter().filter_map(|member| devices.get(member).cloned()).collect()
        };
        for queue in queues {
            // A device that has just gone misses it.
            let _ = queue.send((conversation, messages.clone())).await;
        }
        taken += count;
        answers.write_all(&taken.to_be_bytes()).await.ok()?;
    }
    Some(())
}

/// The messages of which all is there, with their lengths before them, and how many they are. Nothing at all where one
/// is too long.
fn whole(buffer: &mut BytesMut) -> Option<(u64, Bytes)> {
    let (mut count, mut end) = (0, 0);
    while let Some(length) = buffer.get(end..).and_then(|rest| rest.first_chunk()) {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok();
        let next = end + 4 + length.filter(|length| *length <= MESSAGE_BYTES_MAX)?;
        if next > buffer.len() {
            break;
        }
        (count, end) = (count + 1, next);
    }
    Some((count, buffer.split_to(end).freeze()))
}

/// Writes what waits for a device, each conversation on a stream of its own.
async fn pass_on(connection: Connection, mut waiting: mpsc::Receiver<Passed>) -> Option<()> {
    let mut lanes: HashMap<u64, SendStream> = HashMap::new();
    let mut oldest = VecDeque::new();
    let mut batch = Vec::with_capacity(BATCH_MESSAGES_MAX);
    while waiting.recv_many(&mut batch, BATCH_MESSAGES_MAX).await > 0 {
        // Of each conversation together, so that it is one write.
        batch.sort_by_key(|(conversation, _)| *conversation);
        for run in batch.chunk_by_mut(|one, other| one.0 == other.0) {
            let conversation = run.first()?.0;
            if !lanes.contains_key(&conversation) {
                if lanes.len() >= LANES_MAX
                    && let Some(mut lane) = oldest.pop_front().and_then(|oldest| lanes.remove(&oldest))
                {
                    lane.finish().ok()?;
                }
                lanes.insert(conversation, connection.open_uni().await.ok()?);
                oldest.push_back(conversation);
            }
            let mut messages: Vec<Bytes> =
                run.iter_mut().map(|(_, message)| std::mem::take(message)).collect();
            lanes.get_mut(&conversation)?.write_all_chunks(&mut messages).await.ok()?;
        }
        batch.clear();
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    #[test]
    fn messages_are_taken_when_all_of_them_is_there() {
        let mut buffer = BytesMut::new();
        assert_eq!(whole(&mut buffer), Some((0, Bytes::new())));
        buffer.put_u32(2);
        buffer.put_u8(b'h');
        assert_eq!(whole(&mut buffer), Some((0, Bytes::new())));
        buffer.put_slice(b"i\0\0\0\x01x\0\0");
        assert_eq!(whole(&mut buffer), Some((2, Bytes::from_static(b"\0\0\0\x02hi\0\0\0\x01x"))));
        assert_eq!(buffer, "\0\0");
    }

    #[test]
    fn a_length_that_no_message_has_ends_the_lane() {
        let mut buffer = BytesMut::new();
        buffer.put_u32(u32::MAX);
        assert_eq!(whole(&mut buffer), None);
    }
}
