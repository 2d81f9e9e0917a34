//! A whole server: store, log, hub and endpoint, from start to stop.

mod accept;
mod joining;
mod options;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use fulmar_protocol::ErrorCode;
use fulmar_transport::SmallBatches;
use quinn::{Endpoint, TokioRuntime};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[cfg(feature = "simulation")]
use crate::simulation::SimulatedStore;
use crate::{
    admin::{AdminOptions, AdminServer},
    auth::{AuthOptions, Authenticator, KeySetError},
    config::StoreKind,
    fanout::Hub,
    log::{Log, LogError, epoch},
    metrics::Metrics,
    operations::Operations,
    rates::Rates,
    session::{Alternatives, Shared},
    store::{FoundationDbOptions, Health, Store, StoreError, StoreOptions},
    tickets::Tickets,
    transport::{frames::varint, secret::ClusterSecretError, tls, tuning},
};

use joining::Joining;
pub use options::{ClusterOptions, ServerOptions};

/// How long a graceful stop waits for sessions to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(6);
/// And then for the endpoint to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often sessions whose clients vanished are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(2);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys of tokens could not be read.
    #[error(transparent)]
    Keys(#[from] KeySetError),
    /// Certificate or key could not be used.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The address could not be bound.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The links to other nodes could not be set up.
    #[error("the node cannot reach others: {0}")]
    Links(String),
    /// The cluster did not take this node.
    #[error("{0}")]
    Cluster(String),
    /// The store holds what this server cannot read.
    #[error("{0}")]
    Rows(String),
    /// The embedded store has one process, and a cluster several.
    #[error(
        "cluster.listen is set, but store.kind is \"embedded\": a cluster needs \"foundationdb\", which all nodes can reach"
    )]
    ClusterWithEmbeddedStore,
    /// The secret that the nodes of the cluster share could not be used.
    #[error("cluster.secret: {0}")]
    ClusterSecret(#[from] ClusterSecretError),
    /// Connection ids that tell which node they belong to cannot be made.
    #[error("cannot make connection ids for cluster.server_id: {0}")]
    ConnectionIds(String),
    /// The key by which clients learn at once of a crash could not be read or made.
    #[error("cannot keep reset-key in {}: {error}; the folder must be writable", data.display())]
    ResetKey {
        /// The data folder.
        data: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl From<LogError> for StartError {
    fn from(error: LogError) -> Self {
        Self::Rows(error.to_string())
    }
}

/// A running server. Dropping it stops it at once, as a crash would; [`Server::shutdown`] is the polite way.
pub struct Server {
    shared: Arc<Shared>,
    store: Store,
    endpoint: Endpoint,
    address: SocketAddr,
    stop_accepting: CancellationToken,
    connections: TaskTracker,
    background: JoinSet<()>,
    tickets: Arc<Tickets>,
    admin_address: SocketAddr,
}

impl Server {
    /// Opens the store, binds the address, and serves until the handle is dropped or shut down.
    ///
    /// # Errors
    /// When a file, the store or the address cannot be used; each says what to do.
    pub async fn start(options: ServerOptions) -> Result<Self, StartError> {
        // Large, and begun once: whoever starts a server need not hold it in a future of their own.
        Box::pin(Self::open(options)).await
    }

    async fn open(options: ServerOptions) -> Result<Self, StartError> {
        let metrics = Metrics::new();
        let authenticator = Authenticator::open(AuthOptions {
            key_set: options.credentials.jwks.clone(),
            audience: options.config.auth.audience.clone(),
            leeway: options.config.auth.leeway(),
            reload_failures: metrics.key_set_reload_failures.clone(),
        })?;
        let store = open_store(&options, &metrics).await?;
        let limits = Arc::new(options.config.limits.clone());
        let hub = Arc::new(Hub::new(Arc::clone(&limits), Arc::clone(&metrics)));
        let new_log = |listeners| {
            let (clock, faults) = (options.clock.clone(), options.faults());
            Log::new(store.clone(), clock, Arc::clone(&limits), listeners, Arc::clone(&metrics), faults)
        };
        let epoch = epoch(&store, options.rng.number()).await?;
        let alternatives = Alternatives::default();
        let (node, log) = match &options.cluster {
            Some(cluster) => {
                let joining =
                    Joining { options: &options, cluster, store: &store, hub: &hub, metrics: &metrics };
                let (node, log, events) =
                    joining.prepare(epoch, &alternatives, |node| new_log(Arc::clone(node) as _))?;
                (Some((node, events)), log)
            }
            None => (None, new_log(Arc::clone(&hub) as _)),
        };
        let (node, events) = node.unzip();
        let tickets = options.tickets(epoch, &metrics);
        tickets.load(&store).await?;
        let tls = options.tls(&tickets, &metrics)?;
        let shared = Arc::new(Shared {
            log,
            hub,
            authenticator,
            rng: options.rng.clone(),
            rates: Rates::new(Arc::clone(&limits)),
            limits,
            metrics,
            epoch,
            node,
            alternatives,
            draining: CancellationToken::new(),
        });
        let (endpoint, address) = bind(&options, tls)?;
        let admin = bind_admin(&options).await?;
        // Last: whoever holds a lease is ready to serve.
        if let (Some(node), Some(events)) = (&shared.node, events) {
            node.begin(events).await?;
        }
        let mut server = Self {
            shared,
            store,
            endpoint,
            address,
            stop_accepting: CancellationToken::new(),
            connections: TaskTracker::new(),
            background: JoinSet::new(),
            tickets,
            admin_address: admin.as_ref().map_or(options.config.listen.admin, AdminServer::address),
        };
        server.run(admin);
        Ok(server)
    }

    /// Starts everything that goes on until the end.
    fn run(&mut self, admin: Option<AdminServer>) {
        self.background.spawn(accept::accept_all(
            self.endpoint.clone(),
            Arc::clone(&self.shared),
            self.stop_accepting.clone(),
            self.connections.clone(),
        ));
        let operations = Operations {
            shared: Arc::clone(&self.shared),
            store: self.store.clone(),
            stop_accepting: self.stop_accepting.clone(),
        };
        // Until the very end: whoever asks is told that the server is stopping.
        if let Some(admin) = admin {
            self.background.spawn(admin.serve(Arc::new(operations), CancellationToken::new()));
        }
        self.background.spawn(sweep(Arc::clone(&self.shared)));
        self.background.spawn(Arc::clone(&self.tickets).keep(self.store.clone()));
    }

    /// Where it listens, with the port that the system chose if none was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin port listens.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// What it counts and measures.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Whether the store takes writes.
    #[must_use]
    pub fn health(&self) -> Health {
        self.store.health()
    }

    /// Stops politely: no new connections, GoAway to each session, what is in flight is finished and
    /// answered, the store is synced and closed. Within ten seconds, whatever clients do.
    pub async fn shutdown(mut self) {
        self.stop_accepting.cancel();
        self.shared.draining.cancel();
        self.connections.close();
        if timeout(DRAIN_TIMEOUT, self.connections.wait()).await.is_err() {
            tracing::warn!("some sessions did not end in time and are cut off");
        }
        self.endpoint.close(varint(ErrorCode::GoingAway), ErrorCode::GoingAway.name().as_bytes());
        let _ = timeout(CLOSE_TIMEOUT, self.endpoint.wait_idle()).await;
        self.background.shutdown().await;
        if timeout(CLOSE_TIMEOUT, self.shared.log.finish()).await.is_err() {
            tracing::warn!("some appends did not finish in time; they were not answered");
        }
        if timeout(CLOSE_TIMEOUT, self.tickets.write(&self.store)).await.is_err() {
            tracing::warn!("some tickets were not written; their clients wait for a round trip more");
        }
        if let Some(node) = &self.shared.node
            && timeout(CLOSE_TIMEOUT, node.leave()).await.is_err()
        {
            node.stop();
        }
        self.store.close().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // As a crash would: nobody is told, nothing is waited for.
        self.stop_accepting.cancel();
        if let Some(node) = &self.shared.node {
            node.stop();
        }
        self.endpoint.close(varint(ErrorCode::GoingAway), b"");
    }
}

async fn open_store(options: &ServerOptions, metrics: &Arc<Metrics>) -> Result<Store, StartError> {
    let config = &options.config.store;
    let store_options = StoreOptions {
        cache_bytes: config.cache_bytes,
        write_buffer_bytes: config.write_buffer_bytes,
        worker_threads: config.worker_threads,
        #[cfg(feature = "fault-injection")]
        fault: options.store_fault,
        metrics: Arc::clone(metrics),
        ..StoreOptions::default()
    };
    #[cfg(feature = "simulation")]
    if let Some(simulation) = &options.simulation {
        return Ok(match &simulation.store {
            SimulatedStore::Own(disk) => Store::memory(disk, store_options),
            SimulatedStore::Shared(handle) => Store::shared(handle),
        });
    }
    if config.kind == StoreKind::FoundationDb {
        let place =
            FoundationDbOptions { cluster_file: config.cluster_file.clone(), prefix: config.prefix.clone() };
        return Ok(Store::open_foundationdb(&place, store_options).await?);
    }
    if options.cluster.is_some() {
        return Err(StartError::ClusterWithEmbeddedStore);
    }
    let path = options.data.join("store");
    let opened = tokio::task::spawn_blocking(move || Store::open(&path, store_options)).await;
    let reason = || StoreError::Failed { reason: "opening the store panicked".into() };
    Ok(opened.map_err(|_| reason())??)
}

async fn bind_admin(options: &ServerOptions) -> Result<Option<AdminServer>, StartError> {
    #[cfg(feature = "simulation")]
    if options.simulation.is_some() {
        return Ok(None);
    }
    let address = options.config.listen.admin;
    let hosts = options.config.listen.admin_hosts.clone();
    let bound = AdminServer::bind(AdminOptions { address, hosts }).await;
    bound.map(Some).map_err(|error| StartError::Listen { address, error })
}

/// Opens the endpoint that clients come to.
fn bind(
    options: &ServerOptions,
    tls: quinn::crypto::rustls::QuicServerConfig,
) -> Result<(Endpoint, SocketAddr), StartError> {
    let address = options.config.listen.address;
    let listen = |error| StartError::Listen { address, error };
    let secret = options.cluster_secret()?;
    let endpoint_config = options.endpoint_config(secret.as_ref())?;
    let (endpoint_config, socket) = options.socket(endpoint_config).map_err(listen)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(options.transport())).max_incoming(tuning::INCOMING_MAX);
    if let Some(secret) = &secret {
        config.token_key(Arc::new(secret.token_key()));
    }
    let runtime = Arc::new(TokioRuntime);
    let socket = Arc::new(SmallBatches::of(socket));
    let endpoint = Endpoint::new_with_abstract_socket(endpoint_config, Some(config), socket, runtime);
    let endpoint = endpoint.map_err(listen)?;
    let address = endpoint.local_addr().map_err(listen)?;
    Ok((endpoint, address))
}

async fn sweep(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        shared.hub.sweep(shared.log.now());
        shared.metrics.upkeep();
    }
}
