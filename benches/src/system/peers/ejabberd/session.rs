//! A user's device on XMPP: a resilient stream over TLS, resumed when the connection was lost.
//!
//! A message is accepted when the server acknowledges it by stream management (`<a/>`): it has taken it over. Bodies
//! are text in XMPP; one that cannot be is sent in base64.

use std::{borrow::Cow, io, net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture};
use parking_lot::Mutex;
use rustls::{ClientConfig, pki_types::ServerName};
use sasl::common::ChannelBinding;
use tokio::{
    io::BufStream,
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tokio_xmpp::{
    Stanza,
    connect::ServerConnector,
    jid::Jid,
    minidom::Element,
    parsers::{
        message::{Lang, Message},
        presence::Presence,
    },
    stanzastream::{Event, StanzaStage, StanzaStream, StanzaToken, StreamEvent},
    xmlstream::{PendingFeaturesRecv, StreamHeader, Timeouts, initiate_stream},
};

use super::{PASSWORD, ROOMS, administration::name};
use crate::{
    error::BenchError,
    place::SERVER_NAME,
    system::{
        ARRIVALS_MAX, Acknowledgement, Arrival, ConversationHandle, Sender, Session,
        peers::connection::{Connector, Reconnecting, SESSION_MAX},
    },
};

/// Stanzas that wait for the library, either way.
const QUEUE_MAX: usize = 1_000;
const TIMEOUTS: Timeouts =
    Timeouts { read_timeout: Duration::from_secs(60), response_timeout: Duration::from_secs(30) };

/// A stanza, and where its token goes.
type Command = (Box<Stanza>, oneshot::Sender<StanzaToken>);

pub(super) async fn open(
    user: usize,
    server: SocketAddr,
    tls: Arc<ClientConfig>,
) -> Result<Session, BenchError> {
    let address = format!("{}@{SERVER_NAME}/device", name(user));
    let address = Jid::new(&address).map_err(|error| BenchError::Wrong(error.to_string()))?;
    let closed = CancellationToken::new();
    let connector = Connector::new(server);
    let reaching = Reaching {
        connector: connector.clone(),
        tls: TlsConnector::from(tls),
        reconnecting: Arc::default(),
        closed: closed.clone(),
    };
    let reconnecting = Arc::clone(&reaching.reconnecting);
    let mut stream = StanzaStream::new_c2s(reaching, address, PASSWORD.into(), TIMEOUTS, QUEUE_MAX);
    let ready = closed.run_until_cancelled(timeout(SESSION_MAX, established(&mut stream)));
    match ready.await {
        Some(Ok(true)) => {}
        Some(Ok(false) | Err(_)) => return Err(BenchError::Wrong("ejabberd did not let a user in".into())),
        None => return Err(BenchError::ServerGone),
    }
    let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
    let (commands, queue) = mpsc::channel(QUEUE_MAX);
    let device =
        Device { stream, own: format!("/{}", name(user)), arrived, closed: closed.clone(), reconnecting };
    let running = AbortOnDropHandle::new(tokio::spawn(device.run(queue)));
    let sender = Xmpp { commands, user, connector, closed, _running: running };
    Ok(Session { sender: Box::new(sender), arrivals })
}

/// Waits until the stream is there, and says that the device is.
async fn established(stream: &mut StanzaStream) -> bool {
    while let Some(event) = stream.next().await {
        if matches!(event, Event::Stream(StreamEvent::Reset { .. })) {
            let mut token = stream.send(Box::new(Presence::available().into())).await;
            return token.wait_for(StanzaStage::Acked).await.is_some();
        }
    }
    false
}

/// Owns the stream: the library's two halves must not be polled by different tasks.
struct Device {
    stream: StanzaStream,
    /// How the sender of an own message ends in a room.
    own: String,
    arrived: mpsc::Sender<Arrival>,
    closed: CancellationToken,
    reconnecting: Arc<Mutex<Reconnecting>>,
}

impl Device {
    async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                () = self.closed.cancelled() => return,
                event = self.stream.next() => match event {
                    Some(Event::Stanza(Stanza::Message(message))) => self.received(&message).await,
                    Some(Event::Stream(StreamEvent::Reset { .. })) => {
                        // A new session: the server has given up the old one.
                        self.reconnecting.lock().restored();
                        self.stream.send(Box::new(Presence::available().into())).await;
                    }
                    Some(Event::Stream(StreamEvent::Resumed)) => self.reconnecting.lock().restored(),
                    Some(_) => {}
                    None => {
                        self.closed.cancel();
                        return;
                    }
                },
                command = queue.recv() => {
                    let Some((stanza, token)) = command else { return };
                    // Who waits for it may have gone.
                    let _ = token.send(self.stream.send(stanza).await);
                }
            }
        }
    }

    async fn received(&self, message: &Message) {
        let at = Instant::now().into_std();
        let Some(body) = body_of(message, &self.own).and_then(|body| decoded(&body)) else { return };
        // Who does not want to know goes on sending.
        let _ = self.arrived.send(Arrival { at, body }).await;
    }
}

/// The text of a direct message, or of a room's message wrapped for a subscriber; none of an own one.
fn body_of<'a>(message: &'a Message, own: &str) -> Option<Cow<'a, str>> {
    if let Some(body) = message.bodies.values().next() {
        return Some(Cow::Borrowed(body));
    }
    let event = message.payloads.iter().find(|payload| payload.name() == "event")?;
    let child = |element: &'a Element, name| element.children().find(|child| child.name() == name);
    let inner = child(child(child(event, "items")?, "item")?, "message")?;
    if inner.attr("from").is_none_or(|from| from.ends_with(own)) {
        return None;
    }
    Some(Cow::Owned(child(inner, "body")?.text()))
}

/// As text where it can be, marked with its first letter.
fn encoded(body: &Bytes) -> String {
    let is_text = |text: &&str| text.chars().all(|one| !one.is_control() || one == '\n' || one == '\t');
    match std::str::from_utf8(body).ok().filter(is_text) {
        Some(text) => format!("t{text}"),
        None => format!("b{}", BASE64_STANDARD.encode(body)),
    }
}

fn decoded(text: &str) -> Option<Bytes> {
    match text.split_at_checked(1)? {
        ("t", text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        ("b", text) => BASE64_STANDARD.decode(text).ok().map(Bytes::from),
        _ => None,
    }
}

struct Xmpp {
    commands: mpsc::Sender<Command>,
    user: usize,
    connector: Connector,
    closed: CancellationToken,
    _running: AbortOnDropHandle<()>,
}

impl Sender for Xmpp {
    fn send<'a>(
        &'a self,
        to: &'a ConversationHandle,
        body: Bytes,
    ) -> BoxFuture<'a, Result<Acknowledgement, BenchError>> {
        Box::pin(async move {
            let message = message(to, self.user, &body)?;
            let (sent, token) = oneshot::channel();
            let command = (Box::new(Stanza::from(message)), sent);
            self.commands.send(command).await.map_err(|_| BenchError::ServerGone)?;
            let closed = self.closed.clone();
            let accepted: Acknowledgement = Box::pin(async move {
                let acknowledged = async {
                    let mut token = token.await.map_err(|_| BenchError::ServerGone)?;
                    match token.wait_for(StanzaStage::Acked).await {
                        Some(state) if state == StanzaStage::Acked => Ok(()),
                        state => Err(BenchError::Wrong(format!("XMPP: a message was not sent: {state:?}"))),
                    }
                };
                closed.run_until_cancelled(acknowledged).await.unwrap_or(Err(BenchError::ServerGone))
            });
            Ok(accepted)
        })
    }

    fn network_changed(&self) {
        self.connector.cut();
    }
}

/// To the other of two, or to the room.
fn message(to: &ConversationHandle, user: usize, body: &Bytes) -> Result<Message, BenchError> {
    let address = |address: String| Jid::new(&address).map_err(|error| BenchError::Wrong(error.to_string()));
    let message = match to.members.as_slice() {
        [one, other] => {
            let other = if *one == user { other } else { one };
            Message::chat(address(format!("{}@{SERVER_NAME}", name(*other)))?)
        }
        _ => Message::groupchat(address(format!("{}@{ROOMS}", to.name))?),
    };
    Ok(message.with_body(Lang::new(), encoded(body)))
}

/// Makes the library's connections, until the server counts as gone.
#[derive(Clone)]
struct Reaching {
    connector: Connector,
    tls: TlsConnector,
    reconnecting: Arc<Mutex<Reconnecting>>,
    closed: CancellationToken,
}

impl std::fmt::Debug for Reaching {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.connector.fmt(formatter)
    }
}

impl ServerConnector for Reaching {
    type Stream = BufStream<TlsStream<TcpStream>>;

    async fn connect(
        &self,
        jid: &Jid,
        namespace: &'static str,
        timeouts: Timeouts,
    ) -> Result<(PendingFeaturesRecv<Self::Stream>, ChannelBinding), tokio_xmpp::Error> {
        let stream = BufStream::new(self.secured().await);
        let from = jid.to_bare();
        let header = StreamHeader {
            to: Some(Cow::Borrowed(jid.domain().as_str())),
            from: Some(Cow::Borrowed(from.as_str())),
            id: None,
        };
        Ok((initiate_stream(stream, namespace, header, timeouts).await?, ChannelBinding::None))
    }
}

impl Reaching {
    /// Never ends when the server is gone: the library would try for ever, and the session is closed by then.
    async fn secured(&self) -> TlsStream<TcpStream> {
        loop {
            let error = match self.once().await {
                Ok(stream) => return stream,
                Err(error) => error,
            };
            let refused = error.kind() == io::ErrorKind::ConnectionRefused;
            let pause = self.reconnecting.lock().failed(refused);
            match pause {
                Some(pause) => sleep(pause).await,
                None => {
                    self.closed.cancel();
                    std::future::pending().await
                }
            }
        }
    }

    async fn once(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.connector.connect().await?;
        let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
        self.tls.connect(name, stream).await
    }
}

#[cfg(test)]
mod tests {
    use super::{decoded, encoded};

    #[test]
    fn any_bytes_survive_as_a_body() {
        for body in [&b""[..], b"<hello> & more", "gr\u{fc}\u{df}e".as_bytes(), &[0, 1, 255], b"a\rb"] {
            let body = bytes::Bytes::copy_from_slice(body);
            assert_eq!(decoded(&encoded(&body)), Some(body));
        }
    }
}
