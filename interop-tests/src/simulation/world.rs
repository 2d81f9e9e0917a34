//! A world: one server, any number of devices, and the network between them, in one process on one thread.
//!
//! The server and the clients are the real ones, quinn and rustls included. What is simulated is the network,
//! the disks, and time. [`run`] gives each world a runtime of its own, whose clock is paused: time passes only
//! when nobody has anything to do.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use fulmar_server::{
    Clock, Config, MemoryDisk, Metrics, Rng, Server, ServerOptions, SimulatedStore, Simulation,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::network::Profile;

use super::credentials::WorldCredentials;
use super::network::{Host, Network};
use super::time::{BEGINNING, HostTime};

/// Where the server is.
pub const SERVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// And its port.
pub const SERVER_PORT: u16 = 4433;
/// How long a sync takes on the server's disk, unless it is set otherwise.
const SERVER_SYNC: Duration = Duration::from_millis(2);

/// Runs a world to its end, on a runtime of its own. Two runs of the same future from the same seed are the
/// same run.
pub fn run<T>(world: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().enable_io().start_paused(true).build();
    runtime.expect("a runtime").block_on(world)
}

/// See the module. Clones are the same world.
#[derive(Clone, Debug)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    seed: u64,
    origin: Instant,
    network: Network,
    host: Host,
    disk: MemoryDisk,
    prepare: Box<dyn Fn(&mut ServerOptions) + Send + Sync>,
    server: Mutex<Option<Server>>,
    starts: Mutex<u64>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("World").field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl World {
    /// A world without a server and without devices.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, |_| {})
    }

    /// A world whose server is started with options of its own.
    #[must_use]
    pub fn with(seed: u64, prepare: impl Fn(&mut ServerOptions) + Send + Sync + 'static) -> Self {
        let network = Network::new(seed);
        let host = network.host(SERVER_ADDRESS.into(), &Profile::SERVER);
        let inner = Inner {
            seed,
            origin: Instant::now(),
            network,
            host,
            disk: MemoryDisk::new(SERVER_SYNC),
            prepare: Box::new(prepare),
            server: Mutex::new(None),
            starts: Mutex::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What everything random in it follows from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// How long the world has been.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.inner.origin.elapsed()
    }

    /// When it began, on the runtime's clock.
    #[must_use]
    pub fn origin(&self) -> Instant {
        self.inner.origin
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.inner.network
    }

    /// The server's host.
    #[must_use]
    pub fn server_host(&self) -> &Host {
        &self.inner.host
    }

    /// The server's disk.
    #[must_use]
    pub fn server_disk(&self) -> &MemoryDisk {
        &self.inner.disk
    }

    /// Starts the server, or starts it again.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_server(&self) {
        let credentials = WorldCredentials::get();
        let mut config = Config::development();
        credentials.configure(&mut config);
        config.listen.address = (SERVER_ADDRESS, SERVER_PORT).into();
        let start = {
            let mut starts = self.inner.starts.lock();
            *starts += 1;
            *starts
        };
        let rng = Rng::seeded(self.inner.seed ^ start.rotate_left(32));
        let mut options = ServerOptions::new(
            credentials.data().to_owned(),
            config.clone(),
            config.credentials().expect("credentials"),
            Clock::simulated(BEGINNING.plus(self.now())),
            rng.clone(),
        );
        options.simulation = Some(Simulation {
            socket: self.inner.host.bind(SERVER_PORT).expect("the server's port"),
            seed: rng.octets(),
            time: Arc::new(HostTime::ahead_by(self.inner.origin, Duration::ZERO)),
            store: SimulatedStore::Own(self.inner.disk.clone()),
            transport: None,
        });
        (self.inner.prepare)(&mut options);
        let server = Server::start(options).await.expect("the server starts");
        *self.inner.server.lock() = Some(server);
    }

    /// The machine of the server loses its power: nobody is told, and what was not synced is gone.
    pub fn crash_server(&self) {
        self.inner.host.crash();
        self.inner.disk.crash();
        drop(self.inner.server.lock().take());
    }

    /// Stops the server politely.
    pub async fn stop_server(&self) {
        let server = self.inner.server.lock().take();
        if let Some(server) = server {
            server.shutdown().await;
        }
        self.inner.host.crash();
    }

    /// Whether the server is running.
    #[must_use]
    pub fn has_server(&self) -> bool {
        self.inner.server.lock().is_some()
    }

    /// What the running server counts.
    #[must_use]
    pub fn metrics(&self) -> Option<Arc<Metrics>> {
        self.inner.server.lock().as_ref().map(|server| Arc::clone(server.metrics()))
    }
}
