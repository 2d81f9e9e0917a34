//! The scripted server, and what tests share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fulmar_client::{Client, ClientBuilder, Event, Events, OutgoingMessage, UserId};
use fulmar_protocol::{
    ALPN, Accepted, ClientSeq, Confirmed, Content, ConversationId, DeviceTag, Entry, Epoch, Explanation,
    Extensions, Frame, FrameDecoder, Hello, LaneOpen, Ordinal, OwnEntry, Pong, Refused, Send, SendOpen, Seq,
    SessionNumber, SoftwareName, TimestampMs, Title, Welcome,
};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::tickets::Tickets;

/// No wait in a test is longer: past it, the promise is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

/// The conversation of alice, who is the client, with bob.
pub(crate) fn with_bob() -> ConversationId {
    ConversationId::direct(&user("alice"), &user("bob"))
}

pub(crate) fn text(text: &str) -> OutgoingMessage {
    OutgoingMessage::text(text)
}

pub(crate) fn text_of(content: &Bytes) -> String {
    match Content::decode(content).unwrap() {
        Content::Message(message) => String::from_utf8(message.body.to_vec()).unwrap(),
        other => panic!("{other:?} is not a message"),
    }
}

/// A server that does what its test says.
pub(crate) struct Server {
    endpoint: Endpoint,
    pub(crate) ca_pem: String,
    tickets: Arc<Tickets>,
}

impl Server {
    /// A server that takes no early data.
    pub(crate) fn start() -> Self {
        Self::start_with(0)
    }

    /// A server that takes early data.
    pub(crate) fn with_early_data() -> Self {
        Self::start_with(u32::MAX)
    }

    fn start_with(early_data_bytes_max: u32) -> Self {
        let key = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        let private = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private.into())
            .unwrap();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.max_early_data_size = early_data_bytes_max;
        let tickets = Arc::new(Tickets::new());
        tls.session_storage = Arc::<Tickets>::clone(&tickets);
        let tls = QuicServerConfig::try_from(tls).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
        Self { endpoint, ca_pem: key.cert.pem(), tickets }
    }

    /// Early data is refused from now on, as after the loss of the tickets.
    pub(crate) fn forget_tickets(&self) {
        self.tickets.forget();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    pub(crate) fn client(&self) -> ClientBuilder {
        Client::builder().server(self.address().to_string()).trust_ca_pem(&self.ca_pem).token("a token")
    }

    /// Takes a connection up to its Hello.
    pub(crate) async fn greeted(&self) -> Peer {
        let accept = async {
            let connection = loop {
                if let Ok(connection) = self.endpoint.accept().await.unwrap().await {
                    break connection;
                }
            };
            let (control, frames) = connection.accept_bi().await.unwrap();
            let mut frames = Frames::new(frames);
            let Some(Frame::Hello(hello)) = frames.next().await else { panic!("no Hello") };
            Peer { connection, control, frames, hello }
        };
        soon("a connection", accept).await
    }

    /// Takes a connection and opens a session on it.
    pub(crate) async fn session(&self) -> Peer {
        let mut peer = self.greeted().await;
        peer.welcome(1).await;
        peer
    }

    /// A client with an open session, and the server's end of it.
    pub(crate) async fn connected(&self) -> (Client, Events, Peer) {
        self.connect(self.client()).await
    }

    pub(crate) async fn connect(&self, builder: ClientBuilder) -> (Client, Events, Peer) {
        let (client, peer) = tokio::join!(builder.connect(), self.session());
        let (client, events) = client.unwrap();
        (client, events, peer)
    }
}

/// The server's end of a session.
pub(crate) struct Peer {
    pub(crate) connection: Connection,
    pub(crate) control: SendStream,
    pub(crate) frames: Frames,
    pub(crate) hello: Hello,
}

impl Peer {
    pub(crate) async fn welcome(&mut self, epoch: u64) {
        self.control(&welcome(epoch, 3_600_000)).await;
    }

    pub(crate) async fn control(&mut self, frame: &Frame) {
        self.control.write_all(&frame.to_bytes()).await.unwrap();
    }

    /// The next frame that the client sends on the control stream.
    pub(crate) async fn next_control(&mut self) -> Frame {
        soon("a frame on the control stream", self.frames.next()).await.expect("the control stream ended")
    }

    /// Lets the client ping and answers: what was sent before has arrived then.
    pub(crate) async fn pong(&mut self, client: &Client) {
        let answer = async {
            loop {
                if let Frame::Ping(ping) = self.next_control().await {
                    return self.control(&Frame::Pong(Pong { nonce: ping.nonce })).await;
                }
            }
        };
        tokio::join!(client.ping(), answer).0.unwrap();
    }

    /// Takes the next Confirm and answers it.
    pub(crate) async fn confirm(&mut self) -> fulmar_protocol::Confirm {
        loop {
            if let Frame::Confirm(confirm) = self.next_control().await {
                self.control(&Frame::Confirmed(Confirmed { batch: confirm.batch })).await;
                return confirm;
            }
        }
    }

    /// The next stream that the client opens, with its first frame.
    pub(crate) async fn next_stream(&self) -> (Frame, SendStream, Frames) {
        let next = async {
            let (answers, stream) = self.connection.accept_bi().await.unwrap();
            let mut frames = Frames::new(stream);
            (frames.next().await.expect("an empty stream"), answers, frames)
        };
        soon("a stream", next).await
    }

    pub(crate) async fn send_lane(&self) -> SendLane {
        match self.next_stream().await {
            (Frame::SendOpen(open), answers, frames) => SendLane { open, answers, frames },
            (other, ..) => panic!("{other:?} does not open a send lane"),
        }
    }

    /// Opens a log lane.
    pub(crate) async fn lane(&self, open: LaneOpen) -> LogLane {
        let mut lane = LogLane { stream: self.connection.open_uni().await.unwrap() };
        lane.write(&Frame::LaneOpen(open)).await;
        lane
    }

    /// Waits until the client has closed the connection, and answers with its code.
    pub(crate) async fn closed_with(&self) -> u32 {
        match soon("the end of the connection", self.connection.closed()).await {
            quinn::ConnectionError::ApplicationClosed(close) => {
                u32::try_from(close.error_code.into_inner()).unwrap()
            }
            other => panic!("the connection ended by {other}"),
        }
    }
}

pub(crate) fn welcome(epoch: u64, expires_in_ms: u64) -> Frame {
    welcome_with(epoch, expires_in_ms, Extensions::NONE)
}

pub(crate) fn welcome_with(epoch: u64, expires_in_ms: u64, extensions: Extensions) -> Frame {
    let now = 1_800_000_000_000;
    Frame::Welcome(Welcome {
        user_id: user("alice"),
        session: SessionNumber::new(1),
        epoch: Epoch::new(epoch),
        expires_at: TimestampMs::new(now + expires_in_ms),
        server_time: TimestampMs::new(now),
        backlog_entries_max: 1_000,
        body_bytes_max: 65_536,
        group_members_max: 256,
        server: SoftwareName::new("scripted/1"),
        extensions,
    })
}

/// The server's end of a send lane.
pub(crate) struct SendLane {
    pub(crate) open: SendOpen,
    pub(crate) answers: SendStream,
    pub(crate) frames: Frames,
}

impl SendLane {
    pub(crate) async fn next(&mut self) -> Send {
        match soon("a send", self.frames.next()).await {
            Some(Frame::Send(send)) => send,
            other => panic!("{other:?} is no send"),
        }
    }

    /// Takes a send and accepts it as `seq`.
    pub(crate) async fn accept(&mut self, seq: u64) -> Send {
        let send = self.next().await;
        self.write(&accepted(send.client_seq, seq)).await;
        send
    }

    pub(crate) async fn refuse(&mut self, refused: Refused) {
        self.write(&Frame::Refused(refused)).await;
    }

    pub(crate) async fn write(&mut self, frame: &Frame) {
        self.answers.write_all(&frame.to_bytes()).await.unwrap();
    }
}

pub(crate) fn accepted(client_seq: ClientSeq, seq: u64) -> Frame {
    Frame::Accepted(Accepted { client_seq, seq: Seq::new(seq), at: TimestampMs::new(1_800_000_000_000) })
}

pub(crate) fn refused(client_seq: ClientSeq, code: fulmar_protocol::ErrorCode) -> Refused {
    let message = Explanation::new("scripted");
    Refused { client_seq, code, message, retry_after: None, expected_client_seq: None }
}

/// The server's end of a log lane.
pub(crate) struct LogLane {
    pub(crate) stream: SendStream,
}

impl LogLane {
    pub(crate) async fn write(&mut self, frame: &Frame) {
        self.stream.write_all(&frame.to_bytes()).await.unwrap();
    }

    pub(crate) async fn entries(&mut self, seqs: impl IntoIterator<Item = u64>) {
        let mut bytes = BytesMut::new();
        for seq in seqs {
            Frame::Entry(entry(seq)).encode(&mut bytes);
        }
        self.stream.write_all(&bytes).await.unwrap();
    }

    pub(crate) async fn finish(mut self) {
        self.stream.finish().unwrap();
        let _ = soon("the end of a lane", self.stream.stopped()).await;
    }
}

/// A lane that starts after `had` entries, of a log that ends with `head`.
pub(crate) fn lane_open(had: u64, head: u64) -> LaneOpen {
    LaneOpen {
        conversation_id: with_bob(),
        peer: Some(user("bob")),
        title: Title::default(),
        role: None,
        next_seq: Seq::new(had + 1),
        head_seq: Seq::new(head),
        head_ordinal: Ordinal::new(head),
        read_seq: Seq::ZERO,
        read_ordinal: Ordinal::new(0),
        next_client_seq: ClientSeq::FIRST,
        marks: Vec::new(),
    }
}

/// An entry of bob's. Its text is its seq.
pub(crate) fn entry(seq: u64) -> Entry {
    Entry {
        seq: Seq::new(seq),
        ordinal: Ordinal::new(seq),
        at: TimestampMs::new(1_800_000_000_000 + seq),
        sender: user("bob"),
        device_tag: DeviceTag::new([7; 8]),
        client_seq: ClientSeq::new(seq),
        content: Content::try_from(text(&seq.to_string())).unwrap().encode(),
    }
}

pub(crate) fn own_entry(seq: u64, client_seq: ClientSeq) -> Frame {
    let (seq, ordinal) = (Seq::new(seq), Ordinal::new(seq));
    Frame::OwnEntry(OwnEntry { seq, ordinal, at: TimestampMs::new(1), client_seq })
}

/// Frames from a stream.
pub(crate) struct Frames {
    stream: RecvStream,
    decoder: FrameDecoder,
}

impl Frames {
    fn new(stream: RecvStream) -> Self {
        Self { stream, decoder: FrameDecoder::new() }
    }

    /// Whether the stream began in early data.
    pub(crate) fn is_early(&self) -> bool {
        self.stream.is_0rtt()
    }

    /// The next frame; `None` when the stream or the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next_frame().expect("a frame that does not decode") {
                return Some(frame);
            }
            let chunk = self.stream.read_chunk(65_536, true).await.ok()??;
            self.decoder.push(chunk.bytes);
        }
    }
}

/// The next event for which `pick` answers.
pub(crate) async fn next_event<T>(
    events: &mut Events,
    what: &str,
    mut pick: impl FnMut(Event) -> Option<T>,
) -> T {
    soon(what, async {
        loop {
            let event = events.next().await.expect("no more events");
            if let Some(picked) = pick(event) {
                return picked;
            }
        }
    })
    .await
}

/// The next entry.
pub(crate) async fn next_entry(events: &mut Events) -> fulmar_client::ReceivedEntry {
    next_event(events, "an entry", |event| match event {
        Event::Entry(entry) => Some(entry),
        _ => None,
    })
    .await
}
