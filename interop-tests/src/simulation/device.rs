//! A device in a world: a host, a disk, and the real client on them.
//!
//! The app on it is the least one: it shows each event to whoever watches, and then confirms entries.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Client, ClientBuilder, Environment, Event, Events, SimulatedDisk, Sockets, State};
use fulmar_protocol::{TimestampMs, UserId};
use parking_lot::Mutex;
use quinn::{AsyncUdpSocket, TransportConfig};
use tokio::task::AbortHandle;

use fulmar_network_model::Profile;

use super::credentials::WorldCredentials;
use super::network::Host;
use super::time::{BEGINNING, HostTime};
use super::world::{SERVER_ADDRESS, SERVER_PORT, World};

/// How long tokens last.
const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long a sync takes on a phone.
const DEVICE_SYNC: Duration = Duration::from_millis(5);

/// Who is shown the events of a device. It confirms entries itself.
pub type Watcher = Arc<dyn Fn(&Event) + Send + Sync>;

/// See the module.
pub struct Device {
    /// Whose it is.
    pub user: UserId,
    /// Which one in the world.
    pub number: usize,
    /// Its place in the network.
    pub host: Host,
    world: World,
    clock_ahead: Duration,
    watcher: Watcher,
    prepare: fn(ClientBuilder) -> ClientBuilder,
    tune: fn(&mut TransportConfig),
    jitter: bool,
    servers: Vec<String>,
    state: Mutex<DeviceState>,
}

struct DeviceState {
    disk: SimulatedDisk,
    running: Option<(Client, AbortHandle)>,
    starts: u64,
}

#[derive(Debug)]
struct HostSockets(Host);

impl Sockets for HostSockets {
    fn bind(&self, _remote: SocketAddr) -> std::io::Result<Arc<dyn AsyncUdpSocket>> {
        self.0.bind(0)
    }
}

impl Device {
    /// A device that is switched off, behind a NAT of its own.
    #[must_use]
    pub fn new(world: &World, user: UserId, number: usize, profile: &Profile, watcher: Watcher) -> Self {
        let host = world.network().host(Self::address(number, 0), profile);
        host.nat(true);
        let state = DeviceState { disk: SimulatedDisk::new(DEVICE_SYNC), running: None, starts: 0 };
        Self {
            user,
            number,
            host,
            world: world.clone(),
            clock_ahead: Duration::ZERO,
            watcher,
            prepare: |builder| builder,
            tune: |_| {},
            jitter: true,
            servers: vec![format!("{SERVER_ADDRESS}:{SERVER_PORT}")],
            state: Mutex::new(state),
        }
    }

    /// A clock that is ahead of the world's.
    #[must_use]
    pub fn with_clock_ahead(mut self, ahead: Duration) -> Self {
        self.clock_ahead = ahead;
        self
    }

    /// The last word on how its client is set.
    #[must_use]
    pub fn with_settings(mut self, prepare: fn(ClientBuilder) -> ClientBuilder) -> Self {
        self.prepare = prepare;
        self
    }

    /// The last word on how its QUIC is set.
    #[must_use]
    pub fn with_transport(mut self, tune: fn(&mut TransportConfig)) -> Self {
        self.tune = tune;
        self
    }

    /// Other servers than the world's one, in the order in which they are tried.
    #[must_use]
    pub fn with_servers(mut self, servers: Vec<String>) -> Self {
        self.servers = servers;
        self
    }

    /// A client that tries again at no random times, but at the latest that it may.
    #[must_use]
    pub fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    /// The `roam`th public address of a device.
    ///
    /// # Panics
    /// When the world has more than a million devices.
    #[must_use]
    pub fn address(number: usize, roam: u8) -> IpAddr {
        let [_, high, middle, low] = u32::try_from(number).expect("a device").to_be_bytes();
        // 10.0.0.0/8 has room for a million devices at 16 places.
        IpAddr::from([10, high << 4 | roam & 0xf, middle, low])
    }

    /// Starts its client, if it is not running.
    ///
    /// # Panics
    /// When the client does not start.
    pub fn start(&self) {
        let mut state = self.state.lock();
        if state.running.is_some() {
            return;
        }
        state.starts += 1;
        let number = u64::try_from(self.number).unwrap_or(u64::MAX);
        let seed = self.world.seed().rotate_left(17) ^ number << 20 ^ state.starts;
        let origin = self.world.origin();
        let environment = Environment::simulated(
            Arc::new(HostSockets(self.host.clone())),
            seed,
            Arc::new(HostTime::ahead_by(origin, self.clock_ahead)),
        )
        .with_transport(self.tune);
        let environment = if self.jitter { environment } else { environment.without_jitter() };
        let user = self.user.clone();
        let builder = Client::builder()
            .servers(self.servers.clone())
            .trust_ca_pem(WorldCredentials::get().authority())
            .token_source(move || {
                let now: TimestampMs = BEGINNING.plus(origin.elapsed());
                let token = WorldCredentials::get().token(&user, now, TOKEN_LIFE);
                Box::pin(async move { Ok(token) })
            })
            .state(State::simulated(&state.disk).expect("a state"))
            .environment(environment);
        let (client, events) = (self.prepare)(builder).start().expect("a client");
        let app = tokio::spawn(show(events, Arc::clone(&self.watcher)));
        state.running = Some((client, app.abort_handle()));
    }

    /// Its client, while it runs.
    #[must_use]
    pub fn client(&self) -> Option<Client> {
        self.state.lock().running.as_ref().map(|(client, _)| client.clone())
    }

    /// The battery falls out.
    pub fn crash(&self) {
        let mut state = self.state.lock();
        self.host.crash();
        state.disk.crash();
        if let Some((client, app)) = state.running.take() {
            app.abort();
            drop(client);
        }
    }

    /// The app is closed.
    pub async fn close(&self) {
        let running = self.state.lock().running.take();
        if let Some((client, app)) = running {
            client.close().await;
            app.abort();
        }
    }

    /// A backup of its disk.
    #[must_use]
    pub fn backup(&self) -> SimulatedDisk {
        self.state.lock().disk.backup()
    }

    /// Puts a backup in place of its disk. The client must not be running.
    pub fn restore(&self, backup: &SimulatedDisk) {
        self.state.lock().disk = backup.backup();
    }
}

async fn show(mut events: Events, watcher: Watcher) {
    while let Some(event) = events.next().await {
        watcher(&event);
        if let Event::Entry(entry) = &event {
            entry.confirm();
        }
    }
}
