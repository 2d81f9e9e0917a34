//! A herd: clients that lose their server at the same moment, and come back.
//!
//! Each has something to ask when the server goes, which is the worst case: all notice at once. The server's machine
//! reads packets at a rate and has a buffer of a size, so that what comes at once may be too much.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use fulmar_client::Event;
use fulmar_protocol::UserId;

use fulmar_network_model::Profile;

use super::device::Device;
use super::network::{Cause, Direction, InboxOptions};
use super::world::World;

/// How often the server's gauges are read.
const SAMPLE: Duration = Duration::from_millis(5);
/// Clients that connect in one second before it all begins.
const CONNECTS_PER_SECOND: u32 = 500;
/// When it is over, whoever is back.
const LONGEST: Duration = Duration::from_secs(180);

/// What a herd is like.
#[derive(Clone, Copy, Debug)]
pub struct HerdOptions {
    /// What everything random follows from.
    pub seed: u64,
    /// How many clients.
    pub clients: usize,
    /// Whether they draw the times at which they try again.
    pub jitter: bool,
    /// How long there is no server.
    pub outage: Duration,
    /// Packets that the server's machine gets done in a second.
    pub packets_per_second: NonZeroU32,
    /// Bytes that may wait at its socket.
    pub inbox_bytes: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct HerdReport {
    /// Clients that are back.
    pub back: usize,
    /// From the server's return to the last one's.
    pub last_after: Duration,
    /// And to that of every second one.
    pub half_after: Duration,
    /// The most connections that were accepted and not yet through the handshake.
    pub handshakes_max: f64,
    /// Packets that found no room at the server's socket.
    pub dropped: u64,
    /// Packets that its clients sent to it, from its end to the last one's return.
    pub sent: u64,
    /// Connections that came back by early data.
    pub early: f64,
}

impl HerdOptions {
    /// A server that reads 20,000 packets a second, with a buffer of 4 MiB, and is away for two seconds.
    #[must_use]
    pub fn new(seed: u64, clients: usize, jitter: bool) -> Self {
        Self {
            seed,
            clients,
            jitter,
            outage: Duration::from_secs(2),
            packets_per_second: NonZeroU32::new(20_000).unwrap_or(NonZeroU32::MIN),
            inbox_bytes: 4 * 1_024 * 1_024,
        }
    }
}

/// Lets a herd lose its server. To be run in a world of its own ([`run`](super::run)).
pub async fn herd(options: HerdOptions) -> HerdReport {
    let world = World::new(options.seed);
    world.server_host().set_inbox(InboxOptions {
        bytes_max: options.inbox_bytes,
        packets_max: usize::MAX,
        packets_per_second: Some(options.packets_per_second),
    });
    world.start_server().await;
    let devices: Vec<_> = (0..options.clients).map(|number| device(&world, number, options.jitter)).collect();
    for device in &devices {
        device.start();
        pass(Duration::from_secs(1) / CONNECTS_PER_SECOND).await;
    }
    pass(Duration::from_secs(10)).await;
    let sent =
        |devices: &[Device]| devices.iter().map(|device| device.host.counters().sent.packets).sum::<u64>();
    let before = sent(&devices);
    world.crash_server();
    for device in &devices {
        let client = device.client().unwrap();
        tokio::spawn(async move {
            let _ = client.ping().await;
        });
    }
    pass(options.outage).await;
    world.start_server().await;
    let returned = world.now();
    let mut report = HerdReport {
        back: 0,
        last_after: Duration::ZERO,
        half_after: Duration::ZERO,
        handshakes_max: 0.0,
        dropped: 0,
        sent: 0,
        early: 0.0,
    };
    let clients = f64::from(u32::try_from(options.clients).unwrap_or(u32::MAX));
    let mut sessions = 0.0;
    while sessions < clients && world.now() < returned + LONGEST {
        pass(SAMPLE).await;
        report.handshakes_max = report.handshakes_max.max(gauge(&world, "fulmar_handshakes"));
        let before = std::mem::replace(&mut sessions, gauge(&world, "fulmar_sessions"));
        if sessions > before {
            report.last_after = world.now() - returned;
        }
        if sessions * 2.0 >= clients && before * 2.0 < clients {
            report.half_after = world.now() - returned;
        }
    }
    report.sent = sent(&devices) - before;
    report.early = gauge(&world, "fulmar_early_data_accepted_total");
    report.dropped = world.server_host().counters().dropped(Direction::Down, Cause::InboxFull).packets;
    pass(Duration::from_secs(5)).await;
    report.back = devices.iter().filter(|device| is_online(device)).count();
    report
}

fn is_online(device: &Device) -> bool {
    device.client().is_some_and(|client| client.status().borrow().is_online())
}

fn device(world: &World, number: usize, jitter: bool) -> Device {
    let user = UserId::parse(&format!("user-{number}")).unwrap();
    let device = Device::new(world, user, number, &Profile::CLEAN, Arc::new(|_: &Event| {}));
    if jitter { device } else { device.without_jitter() }
}

async fn pass(time: Duration) {
    tokio::time::sleep_until(tokio::time::Instant::now() + time).await;
}

/// One of the server's metrics.
fn gauge(world: &World, name: &str) -> f64 {
    let text = world.metrics().map(|metrics| metrics.render()).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or(0.0)
}
