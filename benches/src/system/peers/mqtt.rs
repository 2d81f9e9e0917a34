//! Clients of MQTT brokers: MQTT 5, QoS 1, a persistent session for each user's device, one topic for each
//! conversation.
//!
//! A message is accepted with the broker's PUBACK. The library acknowledges what it has handed out by itself, as most
//! apps let it.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions, Packet, PublishOptions, QoS,
    SessionMode, SubscribeFilter, TlsConfiguration, Transport,
};
use rustls::ClientConfig;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    connection::{Connector, INFLIGHT_MAX, Reconnecting, SESSION_MAX},
    quic::QuicConnector,
};
use crate::{
    error::BenchError,
    place::SERVER_NAME,
    system::{ARRIVALS_MAX, Acknowledgement, Arrival, ConversationHandle, Sender, Session},
};

/// Requests that wait for the library's loop.
const REQUESTS_MAX: usize = 1_000;
/// Requests that the library writes before it flushes.
const REQUEST_BATCH: usize = 100;
const PACKET_BYTES_MAX: u32 = 1 << 20;
const KEEP_ALIVE_S: u16 = 30;
/// Filters in one SUBSCRIBE.
const FILTERS_MAX: usize = 100;

/// What each user's device keeps when its session is dropped, and goes on with when it comes back: messages that were
/// not answered and what the broker must not see twice. On a phone it would be on disk.
#[derive(Default)]
pub(super) struct Devices(Mutex<HashMap<usize, Arc<tokio::sync::Mutex<Option<Device>>>>>);

/// A device's library, connected or not.
struct Device {
    client: AsyncClient,
    events: EventLoop,
    network_changed: NetworkChanged,
}

/// Tells a connection that the device has another address.
type NetworkChanged = Arc<dyn Fn() + Send + Sync>;

impl Device {
    /// A new one, over TLS.
    fn new(user: usize, connector: Connector, tls: Arc<ClientConfig>) -> Self {
        let mut options = options(user);
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
        let connecting = connector.clone();
        options.set_socket_connector(move |_, _: NetworkOptions| {
            let connecting = connecting.clone();
            async move { connecting.connect().await }
        });
        Self::with(options, Arc::new(move || connector.cut()))
    }

    /// A new one over QUIC: one stream for everything, as the broker has it.
    fn over_quic(user: usize, connector: QuicConnector) -> Self {
        let mut options = options(user);
        // The stream is secured by QUIC.
        options.set_transport(Transport::tcp());
        let connecting = connector.clone();
        options.set_socket_connector(move |_, _: NetworkOptions| {
            let connecting = connecting.clone();
            async move { connecting.connect().await }
        });
        Self::with(options, Arc::new(move || connector.rebind()))
    }

    fn with(options: MqttOptions, network_changed: NetworkChanged) -> Self {
        let (client, events) = AsyncClient::builder(options).capacity(REQUESTS_MAX).build();
        Self { client, events, network_changed }
    }
}

fn options(user: usize) -> MqttOptions {
    let mut options = MqttOptions::new(format!("user-{user}"), SERVER_NAME);
    options
        .set_session_mode(SessionMode::Persistent)
        .set_keep_alive(KEEP_ALIVE_S)
        .set_max_packet_size(Some(PACKET_BYTES_MAX))
        .set_receive_maximum(Some(INFLIGHT_MAX))
        .set_outgoing_inflight_upper_limit(INFLIGHT_MAX)
        .set_max_request_batch(REQUEST_BATCH);
    options
}

impl Devices {
    /// Connects a user's device over TLS, and subscribes it to its conversations.
    pub(super) async fn connect(
        &self,
        user: usize,
        conversations: &[ConversationHandle],
        server: SocketAddr,
        tls: &Arc<ClientConfig>,
    ) -> Result<Session, BenchError> {
        let make = || Ok(Device::new(user, Connector::new(server), Arc::clone(tls)));
        Box::pin(self.open(user, conversations, make)).await
    }

    /// The same over QUIC.
    pub(super) async fn connect_quic(
        &self,
        user: usize,
        conversations: &[ConversationHandle],
        server: SocketAddr,
        tls: &ClientConfig,
    ) -> Result<Session, BenchError> {
        let make = || Ok(Device::over_quic(user, QuicConnector::new(server, tls.clone())?));
        Box::pin(self.open(user, conversations, make)).await
    }

    async fn open(
        &self,
        user: usize,
        conversations: &[ConversationHandle],
        make: impl FnOnce() -> Result<Device, BenchError>,
    ) -> Result<Session, BenchError> {
        let slow = |_| BenchError::Wrong("MQTT: the broker did not let a device in".into());
        let kept = Arc::clone(self.0.lock().entry(user).or_default());
        // Its former session may be about to end.
        let mut kept = timeout(SESSION_MAX, kept.lock_owned()).await.map_err(slow)?;
        let Device { client, mut events, network_changed } = match kept.take() {
            Some(device) => device,
            None => make()?,
        };
        let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let (ended, mut end) = mpsc::channel(1);
        let (stop, closed) = (CancellationToken::new(), CancellationToken::new());
        let sender = Mqtt {
            client: client.clone(),
            network_changed: Arc::clone(&network_changed),
            closed: closed.clone(),
            _stop: stop.clone().drop_guard(),
        };
        tokio::spawn(async move {
            let error = stop.run_until_cancelled(run(&mut events, arrived)).await;
            closed.cancel();
            match error {
                // Nobody may be waiting any more.
                Some(error) => drop(ended.try_send(error)),
                None => {
                    events.clean();
                    *kept = Some(Device { client, events, network_changed });
                }
            }
        });
        let subscribing = timeout(SESSION_MAX, subscribe(&sender.client, conversations));
        tokio::select! {
            subscribed = subscribing => subscribed.map_err(slow)??,
            error = end.recv() => return Err(error.unwrap_or(BenchError::ServerGone)),
        }
        Ok(Session { sender: Box::new(sender), arrivals })
    }
}

async fn subscribe(client: &AsyncClient, conversations: &[ConversationHandle]) -> Result<(), BenchError> {
    let filters: Vec<_> = conversations
        .iter()
        .map(|one| {
            let mut filter = SubscribeFilter::new(one.name.clone(), QoS::AtLeastOnce);
            filter.nolocal = true;
            filter
        })
        .collect();
    for some in filters.chunks(FILTERS_MAX) {
        let subscribed = client.subscribe_many_tracked(some.to_vec()).await.map_err(wrong)?;
        subscribed.wait_completion_async().await.map_err(wrong)?;
    }
    Ok(())
}

/// Runs the library's loop until the connection is lost for good.
async fn run(events: &mut EventLoop, arrived: mpsc::Sender<Arrival>) -> BenchError {
    let mut reconnecting = Reconnecting::default();
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let arrival = Arrival { at: Instant::now().into_std(), body: publish.payload };
                // Who does not want to know goes on sending.
                let _ = arrived.send(arrival).await;
            }
            Ok(Event::Incoming(Packet::ConnAck(_))) => reconnecting.restored(),
            Ok(_) => {}
            Err(ConnectionError::RequestsDone) => return BenchError::ServerGone,
            Err(error) => {
                let refused = matches!(&error, ConnectionError::Io(error)
                    if error.kind() == io::ErrorKind::ConnectionRefused);
                match reconnecting.failed(refused) {
                    Some(pause) => sleep(pause).await,
                    None => return BenchError::Wrong(format!("the broker is gone: {error}")),
                }
            }
        }
    }
}

struct Mqtt {
    client: AsyncClient,
    network_changed: NetworkChanged,
    /// Cancelled when the library's loop has ended: what waits in its queue then is never answered.
    closed: CancellationToken,
    _stop: DropGuard,
}

impl Sender for Mqtt {
    fn send<'a>(
        &'a self,
        to: &'a ConversationHandle,
        body: Bytes,
    ) -> BoxFuture<'a, Result<Acknowledgement, BenchError>> {
        Box::pin(async move {
            let options = PublishOptions::new(QoS::AtLeastOnce);
            let sending = self.client.publish_tracked(to.name.as_str(), body, options);
            let sent = self.closed.run_until_cancelled(sending).await;
            let sent = sent.ok_or(BenchError::ServerGone)?.map_err(wrong)?;
            let closed = self.closed.clone();
            let accepted: Acknowledgement = Box::pin(async move {
                let answered = closed.run_until_cancelled(sent.wait_completion_async()).await;
                answered.ok_or(BenchError::ServerGone)?.map_err(wrong)
            });
            Ok(accepted)
        })
    }

    fn network_changed(&self) {
        (self.network_changed)();
    }
}

fn wrong(error: impl std::fmt::Display) -> BenchError {
    BenchError::Wrong(format!("MQTT: {error}"))
}
