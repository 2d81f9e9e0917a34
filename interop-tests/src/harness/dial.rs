//! From a socket to a connection, and from a connection to a session.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fulmar_protocol::{DeviceId, Extensions, Frame, Hello, SoftwareName, Token, limits};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connecting, Connection, Endpoint, EndpointConfig, TokioRuntime, TransportConfig, VarInt,
    ZeroRttAccepted,
};

use super::cable::Cable;
use super::ends::varint;
use super::{ConnectionEnd, StreamEnd, WireClient, WireStream, within};

/// How a client is set.
#[derive(Clone, Copy, Debug)]
pub struct DialOptions {
    /// What the server may send on all streams without being read.
    pub receive_window: u32,
    /// And on one.
    pub stream_receive_window: u32,
    /// How many log lanes it may have open.
    pub lanes_max: u32,
    /// Backlog asked for in `Hello`.
    pub backlog_entries_max: u32,
    /// Extensions named in `Hello`.
    pub extensions: Extensions,
}

impl Default for DialOptions {
    fn default() -> Self {
        Self {
            receive_window: 8 * 1024 * 1024,
            stream_receive_window: 1024 * 1024,
            lanes_max: u32::try_from(limits::UNIDIRECTIONAL_STREAMS_MAX).unwrap(),
            backlog_entries_max: u32::try_from(limits::BACKLOG_ENTRIES_MAX).unwrap(),
            extensions: Extensions::NONE,
        }
    }
}

/// A connection on which nothing was said yet.
#[derive(Debug)]
pub struct Dialled {
    pub(super) connection: Connection,
    pub(super) cable: Arc<Cable>,
    pub(super) options: DialOptions,
}

impl Dialled {
    pub(super) async fn connect(
        server: SocketAddr,
        tls: Arc<rustls::ClientConfig>,
        options: DialOptions,
    ) -> Result<Self, ConnectionEnd> {
        let (connecting, cable) = begin(server, &tls, options);
        let connection = within("the handshake", connecting).await?;
        Ok(Self { connection, cable, options })
    }

    /// Uses a ticket: what is sent from now on is early data until the handshake is complete. The future tells
    /// then whether the server took it.
    pub(super) fn connect_early(
        server: SocketAddr,
        tls: &Arc<rustls::ClientConfig>,
        options: DialOptions,
    ) -> (Self, ZeroRttAccepted) {
        let (connecting, cable) = begin(server, tls, options);
        let Ok((connection, accepted)) = connecting.into_0rtt() else { panic!("there is no ticket") };
        (Self { connection, cable, options }, accepted)
    }

    /// The connection as QUIC sees it.
    pub fn quic(&self) -> &Connection {
        &self.connection
    }

    /// Opens a bidirectional stream, as raw as the connection.
    pub async fn open_stream(&self) -> WireStream {
        let (send, receive) =
            within("a stream", self.connection.open_bi()).await.expect("the connection is open");
        WireStream::bidirectional(send, receive)
    }

    /// How the connection ends, however long that takes.
    pub async fn closed_at_last(&self) -> ConnectionEnd {
        self.connection.closed().await.into()
    }

    /// How the connection ends, which it has to do now.
    pub async fn closed(&self) -> ConnectionEnd {
        within("the end of the connection", self.connection.closed()).await.into()
    }

    /// Closes it with a code.
    pub fn close(&self, code: fulmar_protocol::ErrorCode) {
        fulmar_transport::close(&self.connection, varint(code), b"");
    }

    /// Sends a datagram of any bytes.
    pub fn send_datagram(&self, bytes: Vec<u8>) {
        self.connection.send_datagram(bytes.into()).expect("datagrams are possible");
    }

    /// A `Hello` for this token and device.
    pub fn hello(&self, token: &str, device_id: DeviceId) -> Frame {
        Frame::Hello(Hello {
            token: Token::new(token),
            device_id,
            backlog_entries_max: self.options.backlog_entries_max,
            client: SoftwareName::new("wire-client/1"),
            extensions: self.options.extensions,
            user_id: None,
        })
    }

    /// Says `Hello` and waits for `Welcome`.
    pub async fn enter(self, token: &str, device_id: DeviceId) -> Result<WireClient, ConnectionEnd> {
        let (send, receive) = within("a stream", self.connection.open_bi()).await?;
        let mut control = WireStream::bidirectional(send, receive);
        let hello = self.hello(token, device_id);
        control.write_bytes(hello.to_bytes()).await;
        self.welcomed(control, device_id).await
    }

    /// Waits for `Welcome` on a control stream on which `Hello` was said.
    pub async fn welcomed(
        self,
        mut control: WireStream,
        device_id: DeviceId,
    ) -> Result<WireClient, ConnectionEnd> {
        match within("Welcome", control.next()).await {
            Ok(Frame::Welcome(welcome)) => Ok(WireClient::new(self, control, welcome, device_id)),
            Ok(other) => panic!("Welcome comes first, not {other:?}"),
            Err(StreamEnd::Lost(end)) => Err(end),
            Err(other) => panic!("the control stream ended: {other:?}"),
        }
    }
}

fn begin(server: SocketAddr, tls: &rustls::ClientConfig, options: DialOptions) -> (Connecting, Arc<Cable>) {
    let cable = Cable::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a UDP socket");
    let socket = Arc::clone(&cable) as Arc<dyn quinn::AsyncUdpSocket>;
    let runtime = Arc::new(TokioRuntime);
    let endpoint =
        Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, socket, runtime).unwrap();
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(options.lanes_max))
        .receive_window(VarInt::from_u32(options.receive_window))
        .stream_receive_window(VarInt::from_u32(options.stream_receive_window))
        .max_idle_timeout(Some(Duration::from_secs(120).try_into().unwrap()))
        .keep_alive_interval(Some(Duration::from_secs(10)));
    let crypto = QuicClientConfig::try_from(tls.clone()).expect("TLS 1.3");
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    (endpoint.connect_with(config, server, "localhost").unwrap(), cable)
}
