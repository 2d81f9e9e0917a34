//! A client that comes back: it has tickets, and sends its first flight as early data.

use std::net::SocketAddr;
use std::sync::Arc;

use fulmar_protocol::{
    ClientSeq, Content, ConversationId, DeviceId, Frame, Hello, Send, SendOpen, SoftwareName, Token,
};
use fulmar_protocol::{Extensions, UserId};
use quinn::ZeroRttAccepted;
use rustls::client::Resumption;

use super::entrance::client_tls;
use super::{
    ConnectionEnd, DialOptions, Dialled, Entrance, SendLane, WireClient, WireStream, device, direct, user,
    within,
};

/// See the module. Its tickets are nobody else's.
#[derive(Debug)]
pub struct Returning {
    name: String,
    device: DeviceId,
    token: String,
    tls: Arc<rustls::ClientConfig>,
}

impl Returning {
    /// A client that was connected to the first of these servers, trusts them all, and is no more.
    pub async fn to(servers: &[&Entrance], name: &str, device_number: u8) -> Self {
        let client = Self::stranger(servers, name, device_number);
        let mut session = client.connect(servers[0].address()).await.expect("a session");
        // The tickets came before the answer.
        session.ping().await;
        session.goodbye();
        client
    }

    /// A client without tickets.
    pub fn stranger(servers: &[&Entrance], name: &str, device_number: u8) -> Self {
        let mut tls = client_tls(servers.iter().map(|server| server.development.authority()));
        tls.enable_early_data = true;
        tls.resumption = Resumption::in_memory_sessions(8);
        Self {
            name: name.to_owned(),
            device: device(name, device_number),
            token: servers[0].token(name),
            tls: Arc::new(tls),
        }
    }

    /// The same tickets in other hands, or with another token.
    #[must_use]
    pub fn as_device(&self, name: &str, device: DeviceId, token: String) -> Self {
        Self { name: name.to_owned(), device, token, tls: Arc::clone(&self.tls) }
    }

    /// A session without early data.
    pub async fn connect(&self, server: SocketAddr) -> Result<WireClient, ConnectionEnd> {
        let dialled = Dialled::connect(server, Arc::clone(&self.tls), DialOptions::default()).await?;
        dialled.enter(&self.token, self.device).await
    }

    /// Uses a ticket, and says `Hello` in the first flight.
    pub async fn fly(&self, server: SocketAddr) -> Flight {
        self.fly_as(server, Some(user(&self.name))).await
    }

    /// As `fly`, with any word on whose state this is.
    pub async fn fly_as(&self, server: SocketAddr, user_id: Option<UserId>) -> Flight {
        let (dialled, accepted) = Dialled::connect_early(server, &self.tls, DialOptions::default());
        let hello = Frame::Hello(Hello {
            token: Token::new(self.token.as_str()),
            device_id: self.device,
            backlog_entries_max: 1_000,
            client: SoftwareName::new("returning/1"),
            extensions: Extensions::NONE,
            user_id,
        });
        let control = say(&dialled, &hello).await;
        Flight { name: self.name.clone(), device: self.device, hello, dialled, control, accepted }
    }
}

async fn say(dialled: &Dialled, hello: &Frame) -> WireStream {
    let mut control = dialled.open_stream().await;
    control.write(hello).await;
    control
}

/// A first flight in the air.
pub struct Flight {
    name: String,
    device: DeviceId,
    hello: Frame,
    /// The connection.
    pub dialled: Dialled,
    /// The control stream.
    pub control: WireStream,
    accepted: ZeroRttAccepted,
}

impl Flight {
    /// Opens a send lane of the direct conversation with somebody and sends these, as 1, 2 and so on.
    pub async fn send(&self, peer: &str, contents: &[Content]) -> SendLane {
        let conversation_id = direct(&self.name, peer);
        self.send_to(conversation_id, Some(peer), contents).await
    }

    /// As `send`, for any conversation.
    pub async fn send_to(
        &self,
        conversation_id: ConversationId,
        peer: Option<&str>,
        contents: &[Content],
    ) -> SendLane {
        let mut stream = self.dialled.open_stream().await;
        let open = Frame::SendOpen(SendOpen { conversation_id, peer: peer.map(user) });
        let sends = contents.iter().zip(1..).map(|(content, number)| {
            Frame::Send(Send { client_seq: ClientSeq::new(number), content: content.encode() })
        });
        stream.write_all(std::iter::once(open).chain(sends)).await;
        SendLane::new(stream).continue_at(contents.len() as u64 + 1)
    }

    /// Whether the server took the early data: known when its part of the handshake has come.
    pub async fn taken(&mut self) -> bool {
        within("the server's handshake", &mut self.accepted).await
    }

    /// Says `Hello` once more on the same connection, whose early data was refused. The same sends have to follow.
    pub async fn again(&mut self) {
        self.control = say(&self.dialled, &self.hello).await;
    }

    /// How many datagrams this end has sent.
    pub fn sent(&self) -> u64 {
        self.dialled.connection.stats().udp_tx.datagrams
    }

    /// Waits for `Welcome`.
    pub async fn land(self) -> Result<WireClient, ConnectionEnd> {
        self.dialled.welcomed(self.control, self.device).await
    }
}

impl std::fmt::Debug for Flight {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Flight").field("hello", &self.hello).finish_non_exhaustive()
    }
}
