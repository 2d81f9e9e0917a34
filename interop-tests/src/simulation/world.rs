//! A world: one server or a cluster of nodes, any number of devices, and the network between them, in one process on
//! one thread. The nodes of a cluster share a store, each by a way of its own, on which things may go wrong.
//!
//! The servers and the clients are the real ones, quinn and rustls included. What is simulated is the network,
//! and, unless the [`Ground`] says otherwise, the disks and time: [`run`](super::run) gives each world a runtime of
//! its own, whose clock is paused, so that time passes only when nobody has anything to do.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use fulmar_server::{
    Clock, ClusterOptions, Config, MemoryDisk, Metrics, Rng, Server, ServerOptions, SharedHandle,
    SharedStore, SimulatedStore, Simulation, StartError, StoreOptions, StoreTrouble,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use fulmar_network_model::Profile;

use super::credentials::WorldCredentials;
use super::ground::Ground;
use super::network::{Host, Network};
use super::time::{BEGINNING, HostTime};

/// Where the server is; the other nodes of a cluster come after it.
pub const SERVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// And its port.
pub const SERVER_PORT: u16 = 4433;
/// Nodes of a world at most.
pub(super) const NODES_MAX: usize = 5;
/// Where nodes listen for each other.
const NODE_PORT: u16 = 4434;
/// When a server that did not start is started again, as whoever looks after a machine does.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long a sync takes on the server's disk, unless it is set otherwise.
const SERVER_SYNC: Duration = Duration::from_millis(2);

/// See the module. Clones are the same world.
#[derive(Clone, Debug)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    seed: u64,
    ground: Ground,
    origin: Instant,
    network: Network,
    disk: MemoryDisk,
    prepare: Box<dyn Fn(&mut ServerOptions) + Send + Sync>,
    nodes: Vec<Place>,
    /// The store of a cluster, from its first start on.
    shared: Mutex<Option<SharedStore>>,
    starts: Mutex<u64>,
}

/// Where one server runs.
struct Place {
    host: Host,
    clock_ahead: Mutex<Duration>,
    server: Mutex<Option<Server>>,
    store: Mutex<Option<SharedHandle>>,
    trouble: Mutex<StoreTrouble>,
}

/// The address of a node.
pub(super) fn node_address(node: usize) -> Ipv4Addr {
    let [a, b, c, first] = SERVER_ADDRESS.octets();
    Ipv4Addr::new(a, b, c, first + u8::try_from(node).expect("few nodes"))
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
        Self::cluster(seed, 1, prepare)
    }

    /// A world with so many nodes. One is a server of its own, more are a cluster.
    #[must_use]
    pub fn cluster(
        seed: u64,
        nodes: usize,
        prepare: impl Fn(&mut ServerOptions) + Send + Sync + 'static,
    ) -> Self {
        Self::cluster_on(Ground::Simulated, seed, nodes, prepare)
    }

    /// As [`cluster`](Self::cluster), on the ground that the runtime's time belongs to.
    #[must_use]
    pub fn cluster_on(
        ground: Ground,
        seed: u64,
        nodes: usize,
        prepare: impl Fn(&mut ServerOptions) + Send + Sync + 'static,
    ) -> Self {
        assert!((1..=NODES_MAX).contains(&nodes), "one to {NODES_MAX} nodes");
        let network = Network::new(seed);
        let place = |node| Place {
            host: network.host(node_address(node).into(), &Profile::SERVER),
            clock_ahead: Mutex::default(),
            server: Mutex::new(None),
            store: Mutex::new(None),
            trouble: Mutex::default(),
        };
        let nodes = (0..nodes).map(place).collect();
        let inner = Inner {
            seed,
            ground,
            origin: Instant::now(),
            network,
            disk: MemoryDisk::new(SERVER_SYNC),
            prepare: Box::new(prepare),
            nodes,
            shared: Mutex::new(None),
            starts: Mutex::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What everything random in it follows from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// What it stands on.
    #[must_use]
    pub fn ground(&self) -> &Ground {
        &self.inner.ground
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
        self.node_host(0)
    }

    /// A node's host.
    #[must_use]
    pub fn node_host(&self, node: usize) -> &Host {
        &self.place(node).host
    }

    fn place(&self, node: usize) -> &Place {
        self.inner.nodes.get(node).expect("a node of this world")
    }

    /// How many nodes it has, running or not.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.inner.nodes.len()
    }

    /// Where clients reach a node.
    #[must_use]
    pub fn server_name(&self, node: usize) -> String {
        format!("{}:{SERVER_PORT}", node_address(node))
    }

    /// The clock of a node is ahead, from its next start on.
    pub fn set_clock_ahead(&self, node: usize, ahead: Duration) {
        *self.place(node).clock_ahead.lock() = ahead;
    }

    /// What goes wrong between a node and the store from now on.
    pub fn set_store_trouble(&self, node: usize, trouble: StoreTrouble) {
        let place = self.place(node);
        *place.trouble.lock() = trouble;
        if let Some(store) = &*place.store.lock() {
            store.set_trouble(trouble);
        }
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
        self.start_node(0).await;
    }

    /// Starts a node, or starts it again; again and again while it has no store to start with.
    ///
    /// # Panics
    /// When it does not start for another reason.
    pub async fn start_node(&self, node: usize) {
        while let Err(error) = self.try_start_node(node).await {
            assert!(self.nodes() > 1 && error.to_string().contains("store"), "it does not start: {error}");
            tokio::time::sleep(START_AGAIN_AFTER).await;
        }
    }

    /// Starts a node, or says why it does not start.
    ///
    /// # Errors
    /// As [`Server::start`] says.
    pub async fn try_start_node(&self, node: usize) -> Result<(), StartError> {
        if self.nodes() > 1 {
            self.open_shared().await?;
        }
        let server = Server::start(self.options(node)).await?;
        *self.place(node).server.lock() = Some(server);
        Ok(())
    }

    /// What a node is started with, its sockets included.
    fn options(&self, node: usize) -> ServerOptions {
        let place = self.place(node);
        let credentials = WorldCredentials::get();
        let mut config = Config::development();
        credentials.configure(&mut config);
        config.listen.address = (node_address(node), SERVER_PORT).into();
        let start = {
            let mut starts = self.inner.starts.lock();
            *starts += 1;
            *starts
        };
        let ahead = *place.clock_ahead.lock();
        let is_cluster = self.nodes() > 1;
        let rng = Rng::seeded(self.inner.seed ^ start.rotate_left(32));
        let mut options = ServerOptions::new(
            credentials.data().to_owned(),
            config.clone(),
            config.credentials().expect("credentials"),
            Clock::simulated(BEGINNING.plus(self.now() + ahead)),
            rng.clone(),
        );
        options.simulation = Some(Simulation {
            socket: place.host.bind(SERVER_PORT).expect("the server's port"),
            node_socket: is_cluster.then(|| place.host.bind(NODE_PORT).expect("the node's port")),
            seed: rng.octets(),
            time: Arc::new(HostTime::ahead_by(self.inner.origin, Duration::ZERO)),
            store: if is_cluster {
                SimulatedStore::Shared(self.way_to_store(node, start))
            } else {
                SimulatedStore::Own(self.inner.disk.clone())
            },
            transport: None,
        });
        if is_cluster {
            let advertise = (node_address(node), NODE_PORT).into();
            options.cluster = Some(ClusterOptions {
                listen: advertise,
                advertise,
                authority: credentials.data().join("cluster.pem"),
                certificate: credentials.data().join("node.pem"),
                key: credentials.data().join("node-key.pem"),
                client_addresses: vec![self.server_name(node)],
                server_id: 0,
            });
        }
        (self.inner.prepare)(&mut options);
        options
    }

    /// Opens the store that all nodes share, if that was not done before.
    async fn open_shared(&self) -> Result<(), StartError> {
        if self.inner.shared.lock().is_none() {
            let options = StoreOptions::default();
            let store = match &self.inner.ground {
                Ground::Simulated => SharedStore::open(&self.inner.disk, options),
                Ground::FoundationDb(place) => SharedStore::open_foundationdb(place, options).await?,
            };
            self.inner.shared.lock().get_or_insert(store);
        }
        Ok(())
    }

    /// A node's way to the store that all share.
    fn way_to_store(&self, node: usize, start: u64) -> SharedHandle {
        let place = self.place(node);
        let shared = self.inner.shared.lock().clone().expect("it was opened before a node starts");
        let handle = shared.handle(self.inner.seed.rotate_left(7) ^ start);
        handle.set_trouble(*place.trouble.lock());
        *place.store.lock() = Some(handle.clone());
        handle
    }

    /// A node dies: nobody is told. The store of the cluster lives.
    pub fn crash_node(&self, node: usize) {
        let place = self.place(node);
        place.host.crash();
        if let Some(store) = place.store.lock().take() {
            store.cut_off();
        }
        drop(place.server.lock().take());
    }

    /// The store that all nodes share crashes and is back at once: what was not synced is gone.
    pub fn crash_store(&self) {
        if let Some(store) = &*self.inner.shared.lock() {
            store.crash();
        }
    }

    /// A node's process stands still, and so it reaches no store; or goes on.
    pub fn pause_node(&self, node: usize, paused: bool) {
        let place = self.place(node);
        if paused {
            place.host.pause();
        } else {
            place.host.resume();
        }
        if let Some(store) = &*place.store.lock() {
            store.set_trouble(StoreTrouble { unreachable: paused, ..*place.trouble.lock() });
        }
    }

    /// Stops a node politely.
    pub async fn stop_node(&self, node: usize) {
        let place = self.place(node);
        let server = place.server.lock().take();
        if let Some(server) = server {
            server.shutdown().await;
        }
        place.host.crash();
    }

    /// What goes over the line between two nodes is lost, both ways; or passes again.
    pub fn part(&self, one: usize, other: usize, parted: bool) {
        self.inner.network.part(node_address(one).into(), node_address(other).into(), parted);
    }

    /// The machine of the server loses its power: nobody is told, and what was not synced is gone.
    pub fn crash_server(&self) {
        self.inner.disk.crash();
        self.crash_node(0);
    }

    /// Stops the server politely.
    pub async fn stop_server(&self) {
        self.stop_node(0).await;
    }

    /// Whether the server is running.
    #[must_use]
    pub fn has_server(&self) -> bool {
        self.has_node(0)
    }

    /// Whether a node is running.
    #[must_use]
    pub fn has_node(&self, node: usize) -> bool {
        self.place(node).server.lock().is_some()
    }

    /// What the running server counts.
    #[must_use]
    pub fn metrics(&self) -> Option<Arc<Metrics>> {
        self.node_metrics(0)
    }

    /// What a running node counts.
    #[must_use]
    pub fn node_metrics(&self, node: usize) -> Option<Arc<Metrics>> {
        self.place(node).server.lock().as_ref().map(|server| Arc::clone(server.metrics()))
    }
}
