//! A server in this process: real sockets, real TLS, a real store in a folder of its own.

use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fulmar_server::{Clock, Config, Metrics, Rng, Server, ServerOptions, StartError, StoreError};
use tempfile::TempDir;

use super::{Entrance, within};

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
    entrance: Entrance,
    server: Option<Server>,
    data: TempDir,
}

impl Deref for TestServer {
    type Target = Entrance;

    fn deref(&self) -> &Entrance {
        &self.entrance
    }
}

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
        // In memory, where there is any: nothing here is about the disk.
        let data = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        setup.config.listen.address = (Ipv4Addr::LOCALHOST, 0).into();
        setup.config.listen.admin = (Ipv4Addr::LOCALHOST, 0).into();
        let entrance = Entrance::new(data.path(), setup.config.listen.address, setup.clock.clone());
        let mut server = Self { setup, entrance, server: None, data };
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
        self.entrance.address = server.address();
        self.setup.config.listen.address = server.address();
        self.server = Some(server);
    }

    fn options(&self) -> ServerOptions {
        let mut config = self.setup.config.clone();
        let audience = config.auth.audience.clone();
        self.entrance.development.configure(&mut config);
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
}
