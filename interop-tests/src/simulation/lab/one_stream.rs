//! The way of those who have one stream: the same messages, length-prefixed, on a single QUIC stream to the
//! device, with the transport settings of Fulmar. No sessions, confirmations or answers beside them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use fulmar_client::quic_transport as device_transport;
use fulmar_client::{Content, OutgoingMessage};
use fulmar_protocol::{ClientSeq, DeviceId, DeviceTag, Entry, Frame, Ordinal, Seq};
use fulmar_server::quic_transport as server_transport;
use parking_lot::Mutex;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, RecvStream, ServerConfig, TokioRuntime};
use tokio::time::{Instant, sleep_until};

use fulmar_network_model::Profile;

use super::super::credentials::WorldCredentials;
use super::super::device::Device;
use super::super::network::{Host, Network};
use super::super::time::BEGINNING;
use super::super::world::{SERVER_ADDRESS, SERVER_PORT};
use super::figures::{Delivery, Run};
use super::lanes::{body, writer};
use super::meter::Meter;
use super::options::{SETTLING, STRAGGLING, Trial};

const ALPN: &[u8] = b"one-stream";

/// Runs the trial.
pub(super) async fn deliver(trial: &Trial, seed: u64) -> Run {
    let origin = Instant::now();
    let network = Network::new(seed);
    let server = network.host(SERVER_ADDRESS.into(), &Profile::SERVER);
    let device = network.host(Device::address(1, 0), &trial.profile);
    device.nat(true);
    let meter = Meter::on(&device, trial, seed);
    let handed: Arc<Mutex<Vec<Delivery>>> = Arc::default();
    let (sender, receiver) = (server_endpoint(&server, trial, seed), device_endpoint(&device, trial, seed));
    let schedule = trial.schedule(seed);
    let counts_from = SETTLING + trial.warm_up;
    let sent = schedule.iter().filter(|(at, _)| *at >= counts_from).count();
    let reading = tokio::spawn(read(receiver, origin, counts_from, Arc::clone(&handed)));
    let writing = tokio::spawn(write(sender, origin, schedule, entry_bytes(trial)));
    sleep_until(origin + counts_from).await;
    let before = meter.read();
    sleep_until(origin + counts_from + trial.length).await;
    let after = meter.read();
    for _ in 0..STRAGGLING.as_secs() {
        if handed.lock().len() >= sent {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    reading.abort();
    writing.abort();
    let deliveries = std::mem::take(&mut *handed.lock());
    Run {
        missing: sent.saturating_sub(deliveries.len()),
        deliveries,
        down: after.down.since(before.down),
        up: after.up.since(before.up),
        lost: after.lost,
        hedges: 0,
    }
}

/// As long as the frame that Fulmar writes for such a message.
fn entry_bytes(trial: &Trial) -> usize {
    let content =
        Content::try_from(OutgoingMessage::text(body(0, true, trial.body_bytes))).expect("a content");
    let entry = Entry {
        seq: Seq::new(100),
        ordinal: Ordinal::new(100),
        at: BEGINNING,
        sender: writer(0),
        device_tag: DeviceTag::of(&DeviceId::new([7; 16])),
        client_seq: ClientSeq::new(100),
        content: content.encode(),
    };
    Frame::Entry(entry).to_bytes().len()
}

async fn write(endpoint: Endpoint, origin: Instant, schedule: Vec<(Duration, usize)>, bytes: usize) {
    let incoming = endpoint.accept().await.expect("an endpoint");
    let connection = incoming.await.expect("a connection");
    let mut stream = connection.open_uni().await.expect("a stream");
    for (at, conversation) in schedule {
        sleep_until(origin + at).await;
        let mut message = BytesMut::with_capacity(bytes);
        message.put_u16(u16::try_from(bytes).expect("a small message"));
        message.put_u16(u16::try_from(conversation).expect("few conversations"));
        message.put_u64(u64::try_from(origin.elapsed().as_nanos()).expect("a short run"));
        message.resize(bytes, 0);
        stream.write_all(&message).await.expect("a connection");
    }
    // Until the run is over.
    connection.closed().await;
}

async fn read(endpoint: Endpoint, origin: Instant, counts_from: Duration, handed: Arc<Mutex<Vec<Delivery>>>) {
    let server = SocketAddr::from((SERVER_ADDRESS, SERVER_PORT));
    let connecting = endpoint.connect(server, &SERVER_ADDRESS.to_string()).expect("an endpoint");
    let connection = connecting.await.expect("a connection");
    let mut stream = connection.accept_uni().await.expect("a stream");
    while let Some((conversation, appended)) = read_message(&mut stream).await {
        if appended >= counts_from {
            let latency = origin.elapsed().saturating_sub(appended);
            handed.lock().push(Delivery { conversation, appended, latency });
        }
    }
}

async fn read_message(stream: &mut RecvStream) -> Option<(usize, Duration)> {
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.ok()?;
    let (length, rest) = head.split_first_chunk::<2>()?;
    let (conversation, nanos) = rest.split_first_chunk::<2>()?;
    let nanos = u64::from_be_bytes(*nanos.first_chunk()?);
    let mut rest = vec![0; usize::from(u16::from_be_bytes(*length)) - head.len()];
    stream.read_exact(&mut rest).await.ok()?;
    drop(Bytes::from(rest));
    Some((usize::from(u16::from_be_bytes(*conversation)), Duration::from_nanos(nanos)))
}

fn seeded(seed: u64, end: u8) -> EndpointConfig {
    let mut octets = [end; 32];
    octets[..8].copy_from_slice(&seed.to_be_bytes());
    let mut config = EndpointConfig::default();
    config.rng_seed(Some(octets));
    config
}

fn server_endpoint(host: &Host, trial: &Trial, seed: u64) -> Endpoint {
    let mut tls = WorldCredentials::get().server_tls();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let tls = QuicServerConfig::try_from(tls).expect("TLS 1.3");
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    let mut transport = server_transport();
    (trial.settings.server)(&mut transport);
    config.transport_config(Arc::new(transport));
    let socket = host.bind(SERVER_PORT).expect("the port");
    Endpoint::new_with_abstract_socket(seeded(seed, 1), Some(config), socket, Arc::new(TokioRuntime))
        .expect("an endpoint")
}

fn device_endpoint(host: &Host, trial: &Trial, seed: u64) -> Endpoint {
    let mut tls = WorldCredentials::get().device_tls();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("TLS 1.3")));
    let mut transport = device_transport();
    (trial.settings.device)(&mut transport);
    config.transport_config(Arc::new(transport));
    let socket = host.bind(0).expect("a port");
    let mut endpoint =
        Endpoint::new_with_abstract_socket(seeded(seed, 2), None, socket, Arc::new(TokioRuntime))
            .expect("an endpoint");
    endpoint.set_default_client_config(config);
    endpoint
}
