//! A lossy link for real sockets: two network namespaces, a TUN device in each, and a thread between them that moves
//! every IP packet through the link model that the simulated network has too (`fulmar-network-model`).
//!
//! ```text
//!  client's namespace                this process                 server's namespace
//!  10.77.0.2 ── device ──▶ translator ── model, up ──────▶ device ── 10.77.1.1
//!            ◀──────────── translator ◀── model, down ────        (sees 100.64.0.1, then .2 …)
//! ```
//!
//! Any program that uses UDP or TCP over IPv4 runs through it. A thread [enters](Namespace::enter) a namespace and its
//! sockets are there; a program is started there. The namespaces have no names and the devices belong to this
//! process, so nothing is left when it ends, however it ends.
//!
//! ```text
//! let link = Link::open(&Profile::LTE, 7, &LinkSettings::default())?;
//! let place = Place::behind(&link)?; // servers start behind the link
//! let client = link.client().clone();
//! let runtime = tokio::runtime::Builder::new_multi_thread()
//!     .on_thread_start(move || client.enter().unwrap_or_else(|error| panic!("{error}")))
//!     .build()?; // clients have their sockets before it
//! link.client().enter()?; // this thread too, as `block_on` polls here
//! …
//! link.roam(); // the client's address changes
//! println!("{:?}", link.stats()?);
//! ```
//!
//! Absent on purpose: IPv6, several clients with addresses of their own, a way to the host's network or the Internet,
//! names of hosts.

mod clock;
mod command;
mod device;
mod emulator;
mod error;
mod namespace;
mod nat;
mod packet;
mod programs;
mod stats;
mod urgent;
mod verify;

use std::{
    fs::File,
    io::Read,
    net::Ipv4Addr,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use fulmar_network_model::{self as model, HEADER_BYTES, Periodic, Profile, TRACE_OPPORTUNITIES_MAX, Trace};
use rustix::event::{EventfdFlags, eventfd};

pub(crate) use self::{
    command::{InsideOptions, LinkOptions, inside, run},
    error::LinkError,
    namespace::Namespace,
    programs::dying_with_us,
    stats::LinkStats,
};
use self::{
    emulator::{Direction, Emulator, Shared, Way},
    nat::{CLIENT, SERVER},
};

/// The longest a line of a trace can be is 12 bytes, so a longer file has too many lines.
const TRACE_FILE_BYTES_MAX: u64 = 12 * TRACE_OPPORTUNITIES_MAX as u64;

/// What a link has beside its profile.
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkSettings {
    /// In place of the profile's rate, for what the client sends.
    pub(crate) trace_up: Option<Trace>,
    /// The same for what it gets.
    pub(crate) trace_down: Option<Trace>,
    /// In place of the profile's tunnels: when nothing passes, either way.
    pub(crate) dark: Option<Periodic>,
}

/// See the module. Dropping it ends the emulator and takes the devices away; programs inside are left without a
/// network, so end them first.
pub(crate) struct Link {
    client: Namespace,
    server: Namespace,
    shared: Arc<Shared>,
    wake: OwnedFd,
    began: Duration,
    emulator: Option<JoinHandle<()>>,
}

impl Link {
    /// Makes namespaces and devices and starts to move packets. The same seed and the same packets at the same times
    /// have the same fates.
    pub(crate) fn open(profile: &Profile, seed: u64, settings: &LinkSettings) -> Result<Self, LinkError> {
        let [up, down] = models(profile, seed, settings);
        let payload_bytes_max = up.options().mtu.min(down.options().mtu);
        let mtu = payload_bytes_max.saturating_add(u16::try_from(HEADER_BYTES).unwrap_or(u16::MAX));
        let (client, server) = (Namespace::create()?, Namespace::create()?);
        let client_device = Arc::new(device::open(&client, "the client's end", CLIENT, mtu)?);
        let server_device = Arc::new(device::open(&server, "the server's end", SERVER, mtu)?);
        let wake = eventfd(0, EventfdFlags::CLOEXEC).map_err(std::io::Error::from)?;
        let (shared, began) = (Arc::new(Shared::default()), clock::now());
        let emulator = Emulator {
            up: Way::new(Direction::Up, &client_device, &server_device, up),
            down: Way::new(Direction::Down, &server_device, &client_device, down),
            shared: Arc::clone(&shared),
            wake: wake.try_clone()?,
            began,
        };
        let thread = std::thread::Builder::new().name("link".into()).spawn(move || emulator.run())?;
        Ok(Self { client, server, shared, wake, began, emulator: Some(thread) })
    }

    /// Where clients run.
    pub(crate) fn client(&self) -> &Namespace {
        &self.client
    }

    /// Where servers run.
    pub(crate) fn server(&self) -> &Namespace {
        &self.server
    }

    /// What clients connect to.
    pub(crate) fn server_address(&self) -> Ipv4Addr {
        SERVER
    }

    /// What the server sees the client under now.
    pub(crate) fn public_address(&self) -> Ipv4Addr {
        self.shared.nat.public()
    }

    /// Gives the client another address, as a mobile network does: what is sent to the old one is lost.
    pub(crate) fn roam(&self) -> Ipv4Addr {
        self.shared.nat.roam()
    }

    /// When its time began, by this machine's clock: the model goes by how long it is open.
    fn began(&self) -> Duration {
        self.began
    }

    /// What it has done so far. An error if the emulator has ended.
    pub(crate) fn stats(&self) -> Result<LinkStats, LinkError> {
        if let Some(failure) = self.shared.failure.get() {
            return Err(LinkError::Ended(failure.clone()));
        }
        Ok(LinkStats {
            up: self.shared.up.snapshot(device::kernel_drops(&self.client)?),
            down: self.shared.down.snapshot(device::kernel_drops(&self.server)?),
            address_changes: self.shared.nat.changes(),
            emulator_processor_us: self.shared.processor_ns.load(Ordering::Relaxed) / 1_000,
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // It can only fail when the counter is full, and then the thread is awake.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        if let Some(thread) = self.emulator.take() {
            let _ = thread.join();
        }
    }
}

/// The two directions, each with random numbers of its own.
fn models(profile: &Profile, seed: u64, settings: &LinkSettings) -> [model::Link; 2] {
    let direction = |mut options: model::LinkOptions, trace: &Option<Trace>, seed| {
        if settings.dark.is_some() {
            options.tunnels = settings.dark;
        }
        let link = model::Link::new(options, seed);
        match trace {
            Some(trace) => link.with_trace(trace.clone()),
            None => link,
        }
    };
    let seed_up = seed.wrapping_mul(2);
    [
        direction(profile.up, &settings.trace_up, seed_up),
        direction(profile.down, &settings.trace_down, seed_up.wrapping_add(1)),
    ]
}

/// Reads a recorded rate; an error names the file and the line.
pub(crate) fn read_trace(path: &Path) -> Result<Trace, LinkError> {
    let unread = |error| LinkError::TraceFile { path: path.to_owned(), error };
    let mut text = String::new();
    let mut start = File::open(path).map_err(unread)?.take(TRACE_FILE_BYTES_MAX + 1);
    start.read_to_string(&mut text).map_err(unread)?;
    if start.limit() == 0 {
        return Err(LinkError::TraceTooLong { path: path.to_owned(), max: TRACE_FILE_BYTES_MAX });
    }
    Trace::parse(&text).map_err(|error| LinkError::Trace { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;
