//! A raw QUIC server: echoes, or pushes. Each stream begins with an octet that says which.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use quinn::{Connection, Endpoint, RecvStream, SendStream};

use super::quic::{self, CHUNK_BYTES_MAX};
use crate::{credentials::Credentials, error::BenchError};

/// Whatever follows comes back.
pub(super) const ECHO: u8 = b'e';
/// What follows is a [`Push`].
pub(super) const PUSH: u8 = b'p';

/// So many streams, each with so many messages of so many octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Push {
    pub(crate) streams: u32,
    pub(crate) messages: u32,
    pub(crate) bytes: u32,
}

impl Push {
    pub(super) fn encode(self) -> [u8; 12] {
        let mut octets = [0; 12];
        let fields = [self.streams, self.messages, self.bytes].map(u32::to_be_bytes);
        octets.iter_mut().zip(fields.as_flattened()).for_each(|(octet, field)| *octet = *field);
        octets
    }

    fn decode(octets: [u8; 12]) -> Option<Self> {
        let mut fields = octets.chunks_exact(4).map(|field| Some(u32::from_be_bytes(field.try_into().ok()?)));
        Some(Self { streams: fields.next()??, messages: fields.next()??, bytes: fields.next()?? })
    }
}

/// Listens.
pub(crate) fn serve(listen: SocketAddr, credentials: &Credentials) -> Result<Endpoint, BenchError> {
    let endpoint = quic::server(listen, credentials)?;
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            tokio::spawn(async move {
                // Early data is read before the handshake is complete, as Fulmar does.
                let Ok(connecting) = incoming.accept() else { return };
                match connecting.into_0rtt() {
                    Ok((connection, _)) => connected(connection).await,
                    Err(connecting) => {
                        if let Ok(connection) = connecting.await {
                            connected(connection).await;
                        }
                    }
                }
            });
        }
    });
    Ok(endpoint)
}

async fn connected(connection: Connection) {
    fulmar_server::quic_admit(&connection);
    while let Ok((send, receive)) = connection.accept_bi().await {
        tokio::spawn(stream(connection.clone(), send, receive));
    }
}

async fn stream(connection: Connection, mut send: SendStream, mut receive: RecvStream) -> Option<()> {
    let mut which = [0];
    receive.read_exact(&mut which).await.ok()?;
    if which == [PUSH] {
        let mut octets = [0; 12];
        receive.read_exact(&mut octets).await.ok()?;
        let push = Push::decode(octets)?;
        for _ in 0..push.streams {
            let lane = connection.open_uni().await.ok()?;
            tokio::spawn(pushed(lane, push));
        }
        return Some(());
    }
    while let Ok(Some(chunk)) = receive.read_chunk(CHUNK_BYTES_MAX, true).await {
        send.write_chunk(chunk.bytes).await.ok()?;
    }
    Some(())
}

async fn pushed(mut lane: SendStream, push: Push) -> Option<()> {
    let mut message = BytesMut::new();
    message.put_u32(push.bytes);
    message.put_bytes(b'x', usize::try_from(push.bytes).ok()?);
    let message: Bytes = message.freeze();
    for _ in 0..push.messages {
        lane.write_chunk(message.clone()).await.ok()?;
    }
    lane.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_survives_its_encoding() {
        let push = Push { streams: 50, messages: 200, bytes: 65_536 };
        assert_eq!(Push::decode(push.encode()), Some(push));
    }
}
