//! Clients of the raw server: an echo that looks like a session, bare connections, and the receiver of a push.

use std::{path::Path, time::Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use quinn::{ClientConfig, Connection, RecvStream, SendStream};
use tokio::{sync::Mutex, sync::mpsc};

use super::{
    quic::{Endpoints, Trust},
    raw_server::{ECHO, PUSH, Push},
};
use crate::{
    credentials::Credentials,
    error::BenchError,
    place::Place,
    server_process::{Kind, ServerProcess},
    system::{ARRIVALS_MAX, Acknowledgement, Arrival, ConversationHandle, Sender, Session, Task},
};

/// The raw server in a process of its own.
pub(crate) struct Raw {
    pub(crate) process: ServerProcess,
    trust: Trust,
    endpoints: Endpoints,
}

impl Raw {
    pub(crate) async fn start(place: &Place) -> Result<Self, BenchError> {
        let credentials = Credentials::create(place.folder(), place.address())?;
        let process = ServerProcess::start(place, Kind::Raw, 0).await?;
        let endpoints = Endpoints::to(process.address());
        Ok(Self { process, trust: trust(&credentials.authority())?, endpoints })
    }

    /// Settings of one more client: with tickets of its own, or never with any.
    pub(crate) fn client(&self, tickets: bool) -> Result<ClientConfig, BenchError> {
        self.trust.client(tickets)
    }

    /// A connection with one stream, on which an octet went there and back: the least that a session could be.
    pub(crate) async fn connect(&self, config: &ClientConfig) -> Result<RawConnection, BenchError> {
        let connection = self.endpoints.connect(config)?.await.map_err(BenchError::quic)?;
        RawConnection::begin(connection).await
    }

    /// The same with its first octets in early data; and whether they were taken as such.
    pub(crate) async fn resume(&self, config: &ClientConfig) -> Result<(RawConnection, bool), BenchError> {
        let (connection, accepted) = match self.endpoints.connect(config)?.into_0rtt() {
            Ok(early) => early,
            Err(connecting) => {
                let connection = connecting.await.map_err(BenchError::quic)?;
                return Ok((RawConnection::begin(connection).await?, false));
            }
        };
        match RawConnection::begin(connection.clone()).await {
            Ok(raw) => Ok((raw, accepted.await)),
            // Refused early data ends its streams, and the connection goes on.
            Err(_) => Ok((RawConnection::begin(connection).await?, false)),
        }
    }

    /// A session whose messages come back to itself.
    pub(crate) async fn echo(&self, bytes: usize) -> Result<Session, BenchError> {
        let RawConnection { connection, send, mut receive } = self.connect(&self.client(false)?).await?;
        let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let reading = tokio::spawn(async move {
            let mut body = vec![0; bytes];
            while receive.read_exact(&mut body).await.is_ok() {
                let arrival = Arrival { at: now(), body: Bytes::copy_from_slice(&body) };
                if arrived.send(arrival).await.is_err() {
                    return;
                }
            }
        });
        let sender = EchoSender { _connection: connection, send: Mutex::new(send), _reading: Task(reading) };
        Ok(Session { sender: Box::new(sender), arrivals })
    }

    /// Has messages pushed, and reads them all. Gives how many came.
    pub(crate) async fn pushed(&self, push: Push) -> Result<u64, BenchError> {
        let mut raw = self.connect(&self.client(false)?).await?;
        let (mut send, _receive) = raw.connection.open_bi().await.map_err(BenchError::quic)?;
        let mut order = vec![PUSH];
        order.extend(push.encode());
        send.write_all(&order).await.map_err(BenchError::quic)?;
        raw.send.finish().map_err(BenchError::quic)?;
        let mut reading = tokio::task::JoinSet::new();
        for _ in 0..push.streams {
            let lane = raw.connection.accept_uni().await.map_err(BenchError::quic)?;
            reading.spawn(read_messages(lane, push));
        }
        let mut came = 0;
        while let Some(lane) = reading.join_next().await {
            came += lane??;
        }
        Ok(came)
    }
}

async fn read_messages(mut lane: RecvStream, push: Push) -> Result<u64, BenchError> {
    let mut message = vec![0; usize::try_from(push.bytes).unwrap_or(0) + 4];
    let mut came = 0;
    for _ in 0..push.messages {
        lane.read_exact(&mut message).await.map_err(BenchError::quic)?;
        came += 1;
    }
    Ok(came)
}

fn trust(authority: &Path) -> Result<Trust, BenchError> {
    Trust::in_authority(authority)
}

/// See [`Raw::connect`].
pub(crate) struct RawConnection {
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
}

impl RawConnection {
    async fn begin(connection: Connection) -> Result<Self, BenchError> {
        let (mut send, mut receive) = connection.open_bi().await.map_err(BenchError::quic)?;
        send.write_all(&[ECHO, b'x']).await.map_err(BenchError::quic)?;
        receive.read_exact(&mut [0]).await.map_err(BenchError::quic)?;
        Ok(Self { connection, send, receive })
    }

    /// Ends it, and tells the server.
    pub(crate) fn close(self) {
        fulmar_transport::close(&self.connection, 0_u32.into(), b"");
    }
}

struct EchoSender {
    _connection: Connection,
    send: Mutex<SendStream>,
    _reading: Task,
}

impl Sender for EchoSender {
    fn send<'a>(
        &'a self,
        _to: &'a ConversationHandle,
        body: Bytes,
    ) -> BoxFuture<'a, Result<Acknowledgement, BenchError>> {
        Box::pin(async move {
            self.send.lock().await.write_chunk(body).await.map_err(BenchError::quic)?;
            Ok(Box::pin(async { Ok(()) }) as Acknowledgement)
        })
    }
}

/// The time of an arrival.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
