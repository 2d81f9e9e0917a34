//! A server in this process: real sockets, real TLS, a real store in a folder of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fulmar_server::{
    Clock, Config, Development, Metrics, Rng, Server, ServerOptions, StartError, StoreError, crypto_provider,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use tempfile::TempDir;

use super::{ConnectionEnd, DialOptions, Dialled, WireClient, device, tokens, user, within};

/// How a [`TestServer`] is started.
pub struct Setup {
    /// The configuration; what holds one user back is far away.
    pub config: Config,
    /// The time of day.
    pub clock: Clock,
    /// The last word on the options of each start.
    pub prepare: Box<dyn Fn(&mut ServerOptions) + Send + Sync>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { config: Config::development(), clock: Clock::system(), prepare: Box::new(|_| {}) }
    }
}

/// See the module. Its folder goes with it.
pub struct TestServer {
    setup: Setup,
    development: Development,
    tls: Arc<rustls::ClientConfig>,
    server: Option<Server>,
    address: SocketAddr,
    data: TempDir,
}

/// How long a token lasts, where a test does not care.
const TOKEN_TTL: Duration = Duration::from_secs(3_600);

impl TestServer {
    /// A server as it comes.
    pub async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// A server with this configuration.
    pub async fn with_config(change: impl FnOnce(&mut Config)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup.config);
        Self::start_with(setup).await
    }

    /// A server set up in any way.
    pub async fn start_with(mut setup: Setup) -> Self {
        let data = tempfile::tempdir().unwrap();
        let development = Development::create_or_open(data.path(), setup.clock.clone()).unwrap();
        setup.config.listen.address = (Ipv4Addr::LOCALHOST, 0).into();
        setup.config.listen.admin = (Ipv4Addr::LOCALHOST, 0).into();
        let tls = client_tls(&development.authority());
        let address = setup.config.listen.address;
        let mut server = Self { setup, development, tls, server: None, address, data };
        server.start_again().await;
        server
    }

    /// Starts on the same folder, and the same port if there was one.
    pub async fn start_again(&mut self) {
        let started = within("the server to start", async {
            loop {
                match Server::start(self.options()).await {
                    // What the former one held is given up a moment after it was dropped.
                    Err(StartError::Listen { .. } | StartError::Store(StoreError::Locked { .. })) => {
                        tokio::task::yield_now().await;
                    }
                    started => return started,
                }
            }
        });
        let server = started.await.unwrap_or_else(|error| panic!("{error}"));
        self.address = server.address();
        self.setup.config.listen.address = self.address;
        self.server = Some(server);
    }

    fn options(&self) -> ServerOptions {
        let mut config = self.setup.config.clone();
        let audience = config.auth.audience.clone();
        self.development.configure(&mut config);
        config.auth.audience = audience;
        let credentials = config.credentials().unwrap();
        let data = self.data.path().to_owned();
        let mut options =
            ServerOptions::new(data, config, credentials, self.setup.clock.clone(), Rng::from_os().unwrap());
        (self.setup.prepare)(&mut options);
        options
    }

    /// Tries to start a second server on the same folder, and gives why that cannot be.
    pub async fn start_another(&self) -> String {
        let mut options = self.options();
        options.config.listen.address = (Ipv4Addr::LOCALHOST, 0).into();
        match Server::start(options).await {
            Ok(_) => panic!("two servers on one folder"),
            Err(error) => error.to_string(),
        }
    }

    /// Stops politely.
    pub async fn stop(&mut self) {
        let server = self.server.take().expect("a server that runs");
        within("the server to stop", server.shutdown()).await;
    }

    /// Stops without a word to anybody, as a crash does.
    pub fn crash(&mut self) {
        self.server = None;
    }

    /// Stops politely and starts again.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Changes the options of later starts.
    pub fn prepare(&mut self, prepare: impl Fn(&mut ServerOptions) + Send + Sync + 'static) {
        self.setup.prepare = Box::new(prepare);
    }

    /// The server itself.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("a server that runs")
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// A figure of the metrics: the sum over all labels.
    pub fn metric(&self, name: &str) -> f64 {
        let metrics: &Arc<Metrics> = self.server().metrics();
        metrics.upkeep();
        let text = metrics.render();
        let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        text.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a figure of the metrics has this value.
    pub async fn until_metric(&self, name: &str, value: f64) {
        within(&format!("{name} to be {value}"), async {
            while (self.metric(name) - value).abs() > 0.1 {
                // A real wait: a figure of the metrics tells nobody that it changed.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    /// Waits until a figure of the metrics has reached this value.
    pub async fn until_metric_at_least(&self, name: &str, value: f64) {
        within(&format!("{name} to reach {value}"), async {
            while self.metric(name) < value {
                // A real wait: a figure of the metrics tells nobody that it changed.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    /// A token for a user.
    pub fn token(&self, name: &str) -> String {
        self.token_for(name, TOKEN_TTL)
    }

    /// A token that lasts so long.
    pub fn token_for(&self, name: &str, ttl: Duration) -> String {
        self.development.issue_token(&user(name), ttl).unwrap()
    }

    /// A token with any claims.
    pub fn sign(&self, claims: &Value) -> String {
        tokens::sign(self.data.path(), claims)
    }

    /// A connection on which nothing was said yet.
    pub async fn dial(&self) -> Dialled {
        self.dial_with(DialOptions::default()).await
    }

    /// A connection set in any way.
    pub async fn dial_with(&self, options: DialOptions) -> Dialled {
        self.try_dial(options).await.expect("a connection")
    }

    /// A connection, or why there is none.
    pub async fn try_dial(&self, options: DialOptions) -> Result<Dialled, ConnectionEnd> {
        Dialled::connect(self.address, Arc::clone(&self.tls), options).await
    }

    /// A session of this user on the device of that number.
    pub async fn connect(&self, name: &str, device_number: u8) -> WireClient {
        self.try_connect(name, device_number).await.expect("a session")
    }

    /// A session, or with what the server closed the connection.
    pub async fn try_connect(&self, name: &str, device_number: u8) -> Result<WireClient, ConnectionEnd> {
        let dialled = self.try_dial(DialOptions::default()).await?;
        dialled.enter(&self.token(name), device(name, device_number)).await
    }

    /// A session of a client set in any way.
    pub async fn connect_with(&self, name: &str, device_number: u8, options: DialOptions) -> WireClient {
        let dialled = self.dial_with(options).await;
        dialled.enter(&self.token(name), device(name, device_number)).await.expect("a session")
    }
}

/// Trusts one authority and speaks this protocol.
pub(super) fn client_tls(authority: &Path) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let mut tls = rustls::ClientConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![fulmar_protocol::ALPN.to_vec()];
    Arc::new(tls)
}
