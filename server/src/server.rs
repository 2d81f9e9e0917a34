//! A whole server: store, log, hub and endpoint, from start to stop.

use std::{
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fulmar_protocol::ErrorCode;
use quinn::{Endpoint, EndpointConfig, Incoming, TokioRuntime};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admin::{AdminOptions, AdminServer},
    auth::{AuthOptions, Authenticator, KeySetError},
    clock::{Clock, Rng},
    config::{Config, Credentials},
    fanout::Hub,
    limits::connections_max,
    log::{Log, LogError},
    metrics::{CloseReason, Metrics},
    operations::Operations,
    rates::Rates,
    session::{self, Opening, Shared},
    store::{Health, Store, StoreError, StoreOptions},
    tickets::Tickets,
    transport::{frames::varint, reset_key, tls, tuning},
};

/// How long a graceful stop waits for sessions to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(6);
/// And then for the endpoint to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections at a time that a stopping server takes to say so; more are refused without a word.
const TURNED_AWAY_MAX: usize = 64;
/// How often sessions whose clients vanished are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(2);

/// What a server is started with.
#[derive(Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The data folder; the store is in `store` below it.
    pub data: PathBuf,
    /// The configuration.
    pub config: Config,
    /// Certificate, key, and the keys of tokens.
    pub credentials: Credentials,
    /// The time of day.
    pub clock: Clock,
    /// Randomness.
    pub rng: Rng,
    /// A fault for the store to commit.
    #[cfg(feature = "fault-injection")]
    pub store_fault: Option<crate::StoreFault>,
}

impl ServerOptions {
    /// What every start needs, and no fault.
    #[must_use]
    pub fn new(data: PathBuf, config: Config, credentials: Credentials, clock: Clock, rng: Rng) -> Self {
        Self {
            data,
            config,
            credentials,
            clock,
            rng,
            #[cfg(feature = "fault-injection")]
            store_fault: None,
        }
    }
}

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
    /// The store holds what this server cannot read.
    #[error("{0}")]
    Rows(String),
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
        let metrics = Metrics::new();
        let authenticator = Authenticator::open(AuthOptions {
            key_set: options.credentials.jwks.clone(),
            audience: options.config.auth.audience.clone(),
            leeway: options.config.auth.leeway(),
            reload_failures: metrics.key_set_reload_failures.clone(),
        })?;
        let tickets = Tickets::new(
            options.config.limits.tickets_max(),
            tuning::early_data_settings(),
            options.clock.clone(),
            Arc::clone(&metrics),
        );
        let tls_options = tls::TlsOptions {
            certificate: options.credentials.certificate.clone(),
            key: options.credentials.key.clone(),
            reload_failures: metrics.certificate_reload_failures.clone(),
        };
        let tls = tls::quic_server_config_with_early_data(tls_options, Arc::clone(&tickets) as _)?;
        let store = open_store(&options, &metrics).await?;
        tickets.load(&store).await?;
        let limits = Arc::new(options.config.limits.clone());
        let hub = Arc::new(Hub::new(Arc::clone(&limits), Arc::clone(&metrics)));
        let log = Log::new(
            store.clone(),
            options.clock.clone(),
            Arc::clone(&limits),
            Arc::clone(&hub) as Arc<dyn crate::log::Listeners>,
            Arc::clone(&metrics),
        );
        let epoch = log.epoch(options.rng.number()).await?;
        let shared = Arc::new(Shared {
            log,
            hub,
            authenticator,
            rng: options.rng,
            rates: Rates::new(Arc::clone(&limits)),
            limits,
            metrics,
            epoch,
            draining: CancellationToken::new(),
        });
        let endpoint_config = reset_key::endpoint_config(&options.data)
            .map_err(|error| StartError::ResetKey { data: options.data.clone(), error })?;
        let (endpoint, address) = bind(options.config.listen.address, tls, endpoint_config)?;
        let admin_address = options.config.listen.admin;
        let admin = AdminServer::bind(AdminOptions {
            address: admin_address,
            hosts: options.config.listen.admin_hosts.clone(),
        });
        let admin = admin.await.map_err(|error| StartError::Listen { address: admin_address, error })?;
        let mut server = Self {
            shared,
            store,
            endpoint,
            address,
            stop_accepting: CancellationToken::new(),
            connections: TaskTracker::new(),
            background: JoinSet::new(),
            tickets,
            admin_address: admin.address(),
        };
        server.background.spawn(accept_all(
            server.endpoint.clone(),
            Arc::clone(&server.shared),
            server.stop_accepting.clone(),
            server.connections.clone(),
        ));
        let operations = Operations {
            shared: Arc::clone(&server.shared),
            store: server.store.clone(),
            stop_accepting: server.stop_accepting.clone(),
        };
        // Until the very end: whoever asks is told that the server is stopping.
        server.background.spawn(admin.serve(Arc::new(operations), CancellationToken::new()));
        server.background.spawn(sweep(Arc::clone(&server.shared)));
        let (tickets, store) = (Arc::clone(&server.tickets), server.store.clone());
        server.background.spawn(async move { tickets.keep(&store).await });
        Ok(server)
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
        self.store.close().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // As a crash would: nobody is told, nothing is waited for.
        self.stop_accepting.cancel();
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
    let path = options.data.join("store");
    let opened = tokio::task::spawn_blocking(move || Store::open(&path, store_options)).await;
    let reason = || StoreError::Failed { reason: "opening the store panicked".into() };
    Ok(opened.map_err(|_| reason())??)
}

/// Binds the UDP socket, for IPv4 too where the address is `[::]`.
fn bind(
    address: SocketAddr,
    tls: quinn::crypto::rustls::QuicServerConfig,
    endpoint_config: EndpointConfig,
) -> Result<(Endpoint, SocketAddr), StartError> {
    let listen = |error| StartError::Listen { address, error };
    let domain = socket2::Domain::for_address(address);
    let socket =
        socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP)).map_err(listen)?;
    if address.is_ipv6() {
        // Systems without dual stack serve IPv6 alone.
        let _ = socket.set_only_v6(false);
    }
    // As much as the system allows: bursts of many sessions arrive on one socket.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&address.into()).map_err(listen)?;
    let socket = UdpSocket::from(socket);
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(tuning::transport()).max_incoming(tuning::INCOMING_MAX);
    let endpoint =
        Endpoint::new(endpoint_config, Some(config), socket, Arc::new(TokioRuntime)).map_err(listen)?;
    let address = endpoint.local_addr().map_err(listen)?;
    Ok((endpoint, address))
}

const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

async fn accept_all(
    endpoint: Endpoint,
    shared: Arc<Shared>,
    stop: CancellationToken,
    connections: TaskTracker,
) {
    let open = Arc::new(AtomicUsize::new(0));
    let connections_max = connections_max(shared.limits.sessions_max);
    loop {
        let incoming = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let now_open = open.fetch_add(1, Ordering::AcqRel);
        let slot = Slot(Arc::clone(&open));
        if now_open >= connections_max {
            shared.metrics.error(ErrorCode::TooManySessions);
            incoming.refuse();
            continue;
        }
        connections.spawn(serve(incoming, Arc::clone(&shared), slot));
    }
    // From here on whoever comes is told to come back later, until the endpoint closes.
    let mut turned_away = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while turned_away.try_join_next().is_some() {}
        if turned_away.len() < TURNED_AWAY_MAX {
            turned_away.spawn(turn_away(incoming));
        } else {
            incoming.refuse();
        }
    }
}

async fn turn_away(incoming: Incoming) {
    if let Ok(Ok(connection)) = timeout(tuning::HANDSHAKE_TIMEOUT, incoming).await {
        connection.close(varint(ErrorCode::GoingAway), ErrorCode::GoingAway.name().as_bytes());
    }
}

/// One of the connections that may be open at a time.
struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn serve(incoming: Incoming, shared: Arc<Shared>, _slot: Slot) {
    let Some(opening) = Box::pin(handshake(incoming, &shared)).await else {
        shared.metrics.connection_closed(CloseReason::Handshake);
        return;
    };
    let connection = opening.connection().clone();
    shared.metrics.connections_opened.increment(1);
    shared.metrics.connections.increment(1.0);
    if opening.is_early() {
        shared.metrics.early_data_accepted.increment(1);
    }
    let sent = session::accept(opening).await;
    let reason = connection.closed().await;
    shared.metrics.connections.decrement(1.0);
    shared.metrics.connection_closed(CloseReason::of(&reason, Some(sent)));
}

/// A connection at the end of its handshake, if it comes to that. Early data is served meanwhile.
async fn handshake(incoming: Incoming, shared: &Arc<Shared>) -> Option<Opening> {
    let connecting =
        incoming.accept().inspect_err(|error| tracing::debug!(%error, "a handshake failed")).ok()?;
    // Which succeeds for every incoming connection.
    let (connection, complete) = connecting.into_0rtt().ok()?;
    let mut opening = Opening::new(Arc::clone(shared), connection.clone());
    let completed = timeout(tuning::HANDSHAKE_TIMEOUT, opening.handshake(complete)).await;
    if completed != Ok(true) {
        tracing::debug!(error = ?connection.close_reason(), "a handshake failed");
        connection.close(varint(ErrorCode::NoError), b"");
        return None;
    }
    Some(opening)
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
