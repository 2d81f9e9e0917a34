//! A cluster for tests: an authority, nodes on a network in memory, and peers that say what a node never would.

use std::time::Duration;

use fulmar_protocol::UserId;
use quinn::Connection;
use rustls::time_provider::DefaultTimeProvider;
use rustls_pki_types::pem::PemObject as _;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::{Instant, timeout};

use super::super::credentials::NodeTls;
use super::super::dial::exchange;
use super::super::hello::Hello;
use super::network::{Network, address};
use super::*;
use crate::clock::Clock;
use crate::nodes::certificates::ClusterAuthority;
use crate::nodes::message::EndToken;

/// Longer than any wait of a link.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long certificates are good.
pub(super) const LIFETIME: Duration = Duration::from_secs(500_000);
pub(super) const DEPLOYMENT: Epoch = Epoch::new(77);

/// Nodes of one authority on one network. A node's number is the port that it listens on.
pub(super) struct Cluster {
    pub(super) network: Network,
    authority: ClusterAuthority,
    authority_pem: String,
}

pub(super) struct Node {
    pub(super) links: Links,
    pub(super) events: mpsc::Receiver<LinkEvent>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) peer: Peer,
}

impl Cluster {
    pub(super) fn new(network: &Network) -> Self {
        let made = ClusterAuthority::create(Clock::system().now()).unwrap();
        let authority =
            ClusterAuthority::open(made.certificate_pem.as_bytes(), made.key_pem.as_bytes()).unwrap();
        Self { network: network.clone(), authority, authority_pem: made.certificate_pem }
    }

    /// New ones each time.
    pub(super) fn credentials(&self) -> NodeCredentials {
        let made = self.authority.issue("node", Clock::system().now(), LIFETIME).unwrap();
        NodeCredentials {
            authority: vec![CertificateDer::from_pem_slice(self.authority_pem.as_bytes()).unwrap()],
            chain: vec![CertificateDer::from_pem_slice(made.certificate_pem.as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(made.key_pem.as_bytes()).unwrap(),
        }
    }

    pub(super) fn options(&self, port: u16, credentials: NodeCredentials) -> LinkOptions {
        LinkOptions {
            number: NodeNumber::new(port.into()),
            deployment: DEPLOYMENT,
            credentials,
            socket: self.network.bind(port),
            seed: Some([u8::try_from(port % 251).unwrap(); 32]),
            time: Arc::new(DefaultTimeProvider),
            metrics: Metrics::new(),
        }
    }

    pub(super) fn node(&self, port: u16) -> Node {
        Node::start(self.options(port, self.credentials()), Versions::SPOKEN)
    }

    /// A peer whose every word a test chooses.
    pub(super) fn stranger(&self, port: u16, credentials: NodeCredentials) -> Stranger {
        let tls = credentials.into_tls(&(Arc::new(DefaultTimeProvider) as Arc<dyn TimeProvider>)).unwrap();
        Stranger::new(&self.network, port, tls)
    }
}

impl Node {
    pub(super) fn start(options: LinkOptions, versions: Versions) -> Self {
        let (number, metrics) = (options.number, Arc::clone(&options.metrics));
        let address = options.socket.local_addr().unwrap();
        let (links, events) = Links::start_with(options, versions).unwrap();

        let peer = Peer { number, address, fingerprint: links.fingerprint() };
        Self { links, events, metrics, peer }
    }

    pub(super) fn number(&self) -> NodeNumber {
        self.peer.number
    }

    pub(super) async fn event(&mut self) -> LinkEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("links that are open")
    }

    /// The number in the next message, which is from `node`.
    pub(super) async fn heard_from(&mut self, node: NodeNumber) -> u64 {
        match self.event().await {
            LinkEvent::Message { from, message } if from == node => number_in(&message),
            other => panic!("not a message of {node}: {other:?}"),
        }
    }

    pub(super) fn hears_nothing(&mut self) {
        assert_eq!(self.events.try_recv(), Err(TryRecvError::Empty));
    }

    pub(super) fn count(&self, series: &str) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
    }

    pub(super) fn refusals(&self, cause: LinkRefusal) -> u64 {
        self.count(&format!("fulmar_node_links_refused_total{{cause=\"{}\"}}", cause.name()))
    }
}

/// A message that holds a number.
pub(super) fn numbered(number: u64) -> Message {
    let user = UserId::parse("alice").unwrap();
    Message::SessionsEnded { user, device: None, token: EndToken::new(number) }
}

fn number_in(message: &Message) -> u64 {
    match message {
        Message::SessionsEnded { token, .. } => token.get(),
        other => panic!("not a number: {other:?}"),
    }
}

/// Two nodes that know each other, with links both ways.
pub(super) async fn pair(cluster: &Cluster) -> (Node, Node) {
    let (mut one, mut other) = (cluster.node(1), cluster.node(2));
    one.links.set_peers(vec![other.peer]);
    other.links.set_peers(vec![one.peer]);
    assert_eq!(one.event().await, LinkEvent::Up(other.number()));
    assert_eq!(other.event().await, LinkEvent::Up(one.number()));
    (one, other)
}

/// See [`Cluster::stranger`].
pub(super) struct Stranger {
    pub(super) endpoint: Endpoint,
    client: ClientConfig,
    pub(super) peer: Peer,
}

impl Stranger {
    pub(super) fn new(network: &Network, port: u16, tls: NodeTls) -> Self {
        let mut server = ServerConfig::with_crypto(Arc::new(tls.server));
        let transport = Arc::new(tuning::transport());
        server.transport_config(Arc::clone(&transport));
        let mut client = ClientConfig::new(Arc::new(tls.client));
        client.transport_config(transport);
        let (config, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
        let endpoint =
            Endpoint::new_with_abstract_socket(config, Some(server), network.bind(port), runtime).unwrap();
        let number = NodeNumber::new(port.into());
        Self { endpoint, client, peer: Peer { number, address: address(port), fingerprint: tls.fingerprint } }
    }

    /// What this one would say to a node if it were one.
    pub(super) fn hello(&self, to: &Node) -> Hello {
        let versions = Versions::SPOKEN;
        Hello { versions, from: self.peer.number, to: to.number(), deployment: DEPLOYMENT }
    }

    pub(super) async fn connect(&self, to: &Node) -> Result<Connection, quinn::ConnectionError> {
        self.endpoint.connect_with(self.client.clone(), to.peer.address, NODE_NAME).unwrap().await
    }

    /// Connects and says this hello; the connection, and the version in the answer.
    pub(super) async fn say(&self, to: &Node, hello: Hello) -> (Connection, Option<u32>) {
        let connection = self.connect(to).await.unwrap();
        let version = timeout(PATIENCE, exchange(&connection, hello)).await.unwrap();
        (connection, version)
    }

    /// Is let in, and opens the stream of messages.
    pub(super) async fn link(&self, to: &Node) -> (Connection, quinn::SendStream) {
        let (connection, version) = self.say(to, self.hello(to)).await;
        assert_eq!(version, Some(1));
        let stream = connection.open_uni().await.unwrap();
        (connection, stream)
    }
}

/// The code with which a node ended the connection.
pub(super) async fn code_of_end(connection: &Connection) -> u64 {
    match timeout(PATIENCE, connection.closed()).await.expect("an end in time") {
        quinn::ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("ended by something else: {other}"),
    }
}

/// How long something takes, on the runtime's clock.
pub(super) async fn time_of<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let outcome = work.await;
    (outcome, began.elapsed())
}
