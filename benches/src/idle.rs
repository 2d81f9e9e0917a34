//! Sessions that do nothing: what each costs the server's memory.
//!
//! The clients speak the protocol over bare connections, many to an endpoint, so that this process fits too.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bytes::BytesMut;
use fulmar_protocol::{DeviceId, Extensions, Frame, FrameDecoder, Hello, SoftwareName, Token};
use indicatif::{ProgressBar, ProgressStyle};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use serde::Serialize;

use crate::{
    error::BenchError,
    floors::client_config,
    world::{World, user},
};

#[derive(Serialize)]
pub(crate) struct Idle {
    workload: &'static str,
    sessions: usize,
    rss_per_session_bytes: u64,
    rss_before_bytes: u64,
    rss_after_bytes: u64,
}

/// Keeps one session open.
struct Session {
    _connection: Connection,
    _control: (SendStream, RecvStream),
}

pub(crate) async fn run(sessions: usize) -> Result<Idle, BenchError> {
    let world = World::start().await?;
    let endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
    let mut config = client_config(&world.authority())?;
    let mut transport = quinn::TransportConfig::default();
    transport.keep_alive_interval(Some(Duration::from_secs(25)));
    config.transport_config(std::sync::Arc::new(transport));
    // Whatever a first session makes once for all of them is not counted.
    let mut open = vec![connect(&world, &endpoint, &config, sessions).await?];
    let before = world.server.resident_bytes()?;
    let progress = ProgressBar::new(u64::try_from(sessions).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} sessions {eta}") {
        progress.set_style(style);
    }
    for number in 0..sessions {
        open.push(connect(&world, &endpoint, &config, number).await?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    // Leave time for what a handshake needed to be given back.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = world.server.resident_bytes()?;
    let count = u64::try_from(sessions.max(1)).unwrap_or(u64::MAX);
    Ok(Idle {
        workload: "idle",
        sessions,
        rss_per_session_bytes: after.saturating_sub(before) / count,
        rss_before_bytes: before,
        rss_after_bytes: after,
    })
}

async fn connect(
    world: &World,
    endpoint: &Endpoint,
    config: &quinn::ClientConfig,
    number: usize,
) -> Result<Session, BenchError> {
    let user = user(number)?;
    let connection = endpoint
        .connect_with(config.clone(), world.server.server, "localhost")
        .map_err(BenchError::quic)?
        .await
        .map_err(BenchError::quic)?;
    let (mut send, mut receive) = connection.open_bi().await.map_err(BenchError::quic)?;
    let mut device = [0; 16];
    let digits = u64::try_from(number).unwrap_or(u64::MAX).to_be_bytes();
    device.iter_mut().zip(digits).for_each(|(octet, digit)| *octet = digit);
    let mut buffer = BytesMut::new();
    Frame::Hello(Hello {
        token: Token::new(world.token(&user)?),
        device_id: DeviceId::new(device),
        backlog_entries_max: 0,
        client: SoftwareName::new("fulmar-bench"),
        extensions: Extensions::NONE,
        user_id: None,
    })
    .encode(&mut buffer);
    send.write_all(&buffer).await.map_err(BenchError::quic)?;
    let mut decoder = FrameDecoder::new();
    loop {
        match decoder.next_frame().map_err(BenchError::quic)? {
            Some(Frame::Welcome(_)) => break,
            Some(other) => return Err(BenchError::Wrong(format!("not a Welcome: {other:?}"))),
            None => match receive.read_chunk(4096, true).await.map_err(BenchError::quic)? {
                Some(chunk) => decoder.push(chunk.bytes),
                None => return Err(BenchError::ServerGone),
            },
        }
    }
    Ok(Session { _connection: connection, _control: (send, receive) })
}
