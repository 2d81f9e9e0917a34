//! Clients of MQTT brokers: MQTT 5, QoS 1, a persistent session for each user's device, one topic for each
//! conversation.
//!
//! A message is accepted with the broker's PUBACK. The library acknowledges what it has handed out by itself, as most
//! apps let it.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rumqttc::{
    AsyncClient, BrokerSessionResumePolicy, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions,
    Packet, PublishOptions, QoS, SessionMode, SubscribeFilter, TlsConfiguration, Transport,
};
use rustls::ClientConfig;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

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

/// Connects a user's device over TLS, and subscribes it to its conversations.
pub(super) async fn connect(
    user: usize,
    conversations: &[ConversationHandle],
    connector: Connector,
    tls: Arc<ClientConfig>,
) -> Result<Session, BenchError> {
    let mut options = options(user);
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
    let connecting = connector.clone();
    options.set_socket_connector(move |_, _: NetworkOptions| {
        let connecting = connecting.clone();
        async move { connecting.connect().await }
    });
    Box::pin(open(options, conversations, Box::new(move || connector.cut()))).await
}

/// The same over QUIC: one stream for everything, as the broker has it.
pub(super) async fn connect_quic(
    user: usize,
    conversations: &[ConversationHandle],
    connector: QuicConnector,
) -> Result<Session, BenchError> {
    let mut options = options(user);
    // The stream is secured by QUIC.
    options.set_transport(Transport::tcp());
    let connecting = connector.clone();
    options.set_socket_connector(move |_, _: NetworkOptions| {
        let connecting = connecting.clone();
        async move { connecting.connect().await }
    });
    Box::pin(open(options, conversations, Box::new(move || connector.rebind()))).await
}

fn options(user: usize) -> MqttOptions {
    let mut options = MqttOptions::new(format!("user-{user}"), SERVER_NAME);
    options
        .set_session_mode(SessionMode::Persistent)
        .set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly)
        .set_keep_alive(KEEP_ALIVE_S)
        .set_max_packet_size(Some(PACKET_BYTES_MAX))
        .set_receive_maximum(Some(INFLIGHT_MAX))
        .set_outgoing_inflight_upper_limit(INFLIGHT_MAX)
        .set_max_request_batch(REQUEST_BATCH);
    options
}

/// Tells a connection that the device has another address.
type NetworkChanged = Box<dyn Fn() + Send + Sync>;

async fn open(
    options: MqttOptions,
    conversations: &[ConversationHandle],
    network_changed: NetworkChanged,
) -> Result<Session, BenchError> {
    let (client, events) = AsyncClient::builder(options).capacity(REQUESTS_MAX).build();
    let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
    let (ended, mut end) = mpsc::channel(1);
    let closed = CancellationToken::new();
    let closing = closed.clone().drop_guard();
    let running = tokio::spawn(async move {
        let error = run(events, arrived).await;
        drop(closing);
        // Nobody may be waiting any more.
        let _ = ended.try_send(error);
    });
    let sender = Mqtt { client, network_changed, closed, _running: AbortOnDropHandle::new(running) };
    let subscribing = timeout(SESSION_MAX, subscribe(&sender.client, conversations));
    tokio::select! {
        subscribed = subscribing => subscribed.map_err(|_| BenchError::Wrong("the broker did not answer".into()))??,
        error = end.recv() => return Err(error.unwrap_or(BenchError::ServerGone)),
    }
    Ok(Session { sender: Box::new(sender), arrivals })
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
async fn run(mut events: EventLoop, arrived: mpsc::Sender<Arrival>) -> BenchError {
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
    _running: AbortOnDropHandle<()>,
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
