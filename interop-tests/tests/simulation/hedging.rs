//! Hedged delivery between the real client and the real server, over links that lose packets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fulmar_client::{ClientBuilder, Content, Event, OutgoingMessage, UserId};
use fulmar_interop_tests::simulation::{Device, Direction, Trial, Verdict, Way, World, measure, run};
use fulmar_network_model::{LinkOptions, Profile, Share};
use parking_lot::Mutex;

use crate::pass;

/// One way between a device and the server.
const ONE_WAY: Duration = Duration::from_millis(50);

fn link(loss: f64) -> Profile {
    let options = LinkOptions { loss: Share::of(loss), ..LinkOptions::with_delay(ONE_WAY) };
    Profile { name: "test", source: "of this test", up: options, down: options }
}

/// Alice writes to bob; when each of her messages was sent, and when bob had it.
struct Talk {
    world: World,
    alice: Device,
    bob: Device,
    had: Arc<Mutex<BTreeMap<usize, Duration>>>,
    sent: BTreeMap<usize, Duration>,
}

/// What a talk took.
#[derive(Debug)]
struct Report {
    p50: Duration,
    p99: Duration,
    bytes: u64,
}

impl Talk {
    async fn begin(seed: u64, profile: &Profile, settings: fn(ClientBuilder) -> ClientBuilder) -> Self {
        let world = World::new(seed);
        world.start_server().await;
        let had: Arc<Mutex<BTreeMap<usize, Duration>>> = Arc::default();
        let (in_world, handed) = (world.clone(), Arc::clone(&had));
        let watch = move |event: &Event| {
            if let Event::Entry(entry) = event
                && let Some(Content::Message(message)) = &entry.content
            {
                let body = String::from_utf8(message.body.to_vec()).unwrap();
                let number = body.split(' ').next().unwrap().parse().unwrap();
                let mut handed = handed.lock();
                assert!(
                    handed.keys().next_back().is_none_or(|last| *last < number),
                    "out of order, or twice"
                );
                handed.insert(number, in_world.now());
            }
        };
        let user = |name| UserId::parse(name).unwrap();
        let alice = Device::new(&world, user("alice"), 1, profile, Arc::new(|_| {})).with_settings(settings);
        let bob = Device::new(&world, user("bob"), 2, profile, Arc::new(watch)).with_settings(settings);
        alice.start();
        bob.start();
        pass(Duration::from_secs(5)).await;
        Self { world, alice, bob, had, sent: BTreeMap::new() }
    }

    /// Sends a message with a body of about so many bytes.
    async fn send(&mut self, bytes: usize) -> usize {
        let number = self.sent.len();
        let client = self.alice.client().unwrap();
        let bob = client.direct(&UserId::parse("bob").unwrap()).unwrap();
        let body = format!("{number} {}", "x".repeat(bytes));
        self.sent.insert(number, self.world.now());
        drop(bob.enqueue(OutgoingMessage::text(body)).await.unwrap());
        number
    }

    async fn send_many(&mut self, messages: usize, bytes: usize, every: Duration) {
        for _ in 0..messages {
            self.send(bytes).await;
            pass(every).await;
        }
    }

    /// How long a message took; `None` if it is not there.
    fn latency(&self, number: usize) -> Option<Duration> {
        self.had.lock().get(&number).map(|had| had.saturating_sub(self.sent[&number]))
    }

    fn bytes(&self) -> u64 {
        [&self.alice.host, &self.bob.host, self.world.server_host()]
            .iter()
            .map(|host| host.counters().sent.bytes)
            .sum()
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.world.metrics().unwrap().render();
        let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        text.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

fn with_hedging(builder: ClientBuilder) -> ClientBuilder {
    builder.hedging(true)
}

fn without_hedging(builder: ClientBuilder) -> ClientBuilder {
    builder.hedging(false)
}

/// Small messages, five a second, over links that lose so many packets each way.
async fn talk(loss: f64, settings: fn(ClientBuilder) -> ClientBuilder) -> (Report, f64) {
    let mut talk = Talk::begin(7, &link(loss), settings).await;
    talk.send_many(300, 40, Duration::from_millis(200)).await;
    let before = talk.bytes();
    talk.send_many(1_500, 40, Duration::from_millis(200)).await;
    let bytes = talk.bytes() - before;
    pass(Duration::from_secs(20)).await;
    let mut latencies: Vec<_> = (300..1_800).map(|number| talk.latency(number).expect("it came")).collect();
    latencies.sort_unstable();
    let at = |percent: usize| latencies[latencies.len() * percent / 100];
    (Report { p50: at(50), p99: at(99), bytes }, talk.metric("fulmar_hedges_sent_total"))
}

// FUL-HEDGE-6, FUL-HEDGE-10
#[test]
fn on_a_lossy_path_hedges_bring_the_slowest_messages_sooner_for_a_bounded_share_of_bytes() {
    let (plain, none) = run(talk(0.035, without_hedging));
    let (hedged, some) = run(talk(0.035, with_hedging));
    assert!(none < 0.5 && some > 500.0, "{none} {some}");
    assert!(hedged.p99 < plain.p99 * 3 / 4, "{hedged:?} {plain:?}");
    assert!(hedged.p50 <= plain.p50 + Duration::from_millis(2), "{hedged:?} {plain:?}");
    assert!(hedged.bytes * 10 < plain.bytes * 16, "{hedged:?} {plain:?}");
}

// FUL-HEDGE-6
#[test]
fn at_three_and_a_half_percent_the_slowest_hundredth_does_not_wait_for_the_loss_to_be_found() {
    let profile = Profile::by_name("uber-p50").unwrap();
    let trial = |way| Trial::new(*profile, way, Duration::from_secs(300));
    let (lanes, hedged) = (measure(&trial(Way::Lanes), 1..3), measure(&trial(Way::Hedged), 1..3));
    assert!(lanes.messages() > 2_000 && hedged.messages() > 2_000);
    assert!(lanes.multiple(990) > 3.0, "a probe timeout: {}", lanes.multiple(990));
    assert!(hedged.multiple(990) < 1.5, "{}", hedged.multiple(990));
    assert!(hedged.bytes() < 1.6 * lanes.bytes(), "{} {}", hedged.bytes(), lanes.bytes());
    assert_eq!(lanes.missing + hedged.missing, 0);
}

/// Copies once took the window from new messages: 22 one-way delays at p99.
// FUL-HEDGE-19
#[test]
fn a_busy_device_on_a_lossy_path_does_not_wait_for_copies() {
    let profile = Profile::by_name("uber-p50").unwrap();
    let trial =
        |per_second| Trial { per_second, ..Trial::new(*profile, Way::Hedged, Duration::from_secs(60)) };
    let (busy, busier) = (measure(&trial(32.0), 1..3), measure(&trial(64.0), 1..3));
    assert!(busy.hedges > 0.2, "there is room for some: {}", busy.hedges);
    assert!(busy.multiple(950) < 1.7, "{}", busy.multiple(950));
    assert!(busier.multiple(500) < 1.3 && busier.multiple(990) < 5.0, "{}", busier.multiple(990));
    assert_eq!(busy.missing + busier.missing, 0);
}

// FUL-HEDGE-4
#[test]
fn on_a_clean_path_nothing_is_hedged() {
    let (hedged, some) = run(talk(0.0, with_hedging));
    assert!(some < 0.5, "{some}");
    assert!(hedged.p99 < Duration::from_millis(130), "{hedged:?}");
}

/// Drops every twelfth packet in a direction, until told to drop the next large one only.
#[derive(Default)]
struct Aim {
    seen: AtomicU32,
    /// 0: every twelfth; 1: none; 2: the next large one.
    what: AtomicU32,
}

fn aim(device: &Device, direction: Direction) -> Arc<Aim> {
    let aim = Arc::new(Aim::default());
    let tap = Arc::clone(&aim);
    device.host.tap(Box::new(move |packet| {
        if packet.direction != direction {
            return Verdict::Pass;
        }
        let nth = tap.seen.fetch_add(1, Ordering::Relaxed);
        let hit = match tap.what.load(Ordering::Relaxed) {
            0 => nth % 12 == 11,
            1 => false,
            _ => packet.payload.len() > 350,
        };
        if hit && tap.what.load(Ordering::Relaxed) == 2 {
            tap.what.store(1, Ordering::Relaxed);
        }
        if hit { Verdict::Drop } else { Verdict::Pass }
    }));
    aim
}

/// Loses exactly the packet with the stream copy of a message, again and again. Its hedge must be in another one,
/// and so brings it before any retransmission could.
async fn lose_stream_copies(direction: Direction) {
    let mut talk = Talk::begin(3, &link(0.0), with_hedging).await;
    let device = if direction == Direction::Up { &talk.alice } else { &talk.bob };
    let aim = aim(device, direction);
    talk.send_many(100, 20, Duration::from_millis(300)).await;
    for _ in 0..8 {
        aim.what.store(1, Ordering::Relaxed);
        pass(Duration::from_secs(3)).await;
        aim.what.store(2, Ordering::Relaxed);
        let number = talk.send(400).await;
        pass(Duration::from_secs(2)).await;
        assert_eq!(aim.what.load(Ordering::Relaxed), 1, "a packet was lost");
        let latency = talk.latency(number).expect("it came");
        // Two ways, two syncs, an eighth of a round trip; a retransmission would cost a whole one at least.
        assert!(latency < 2 * ONE_WAY + Duration::from_millis(45), "{direction:?}: {latency:?}");
        // Bytes for the next hedges, and losses that keep the path known as lossy.
        aim.what.store(0, Ordering::Relaxed);
        talk.send_many(20, 20, Duration::from_millis(300)).await;
    }
}

// FUL-HEDGE-3
#[test]
fn an_entry_and_its_hedge_leave_in_different_packets() {
    run(lose_stream_copies(Direction::Down));
}

// FUL-HEDGE-3
#[test]
fn a_send_and_its_hedge_leave_in_different_packets() {
    run(lose_stream_copies(Direction::Up));
}

// FUL-HEDGE-5
#[test]
fn long_messages_are_not_hedged() {
    run(async {
        let mut talk = Talk::begin(5, &link(0.05), with_hedging).await;
        talk.send_many(200, 20, Duration::from_millis(300)).await;
        pass(Duration::from_secs(10)).await;
        let hedges = |talk: &Talk| {
            let counted = ["fulmar_hedges_sent_total", "fulmar_hedges_received_total"];
            counted.map(|name| talk.metric(name))
        };
        let before = hedges(&talk);
        assert!(before.iter().all(|hedges| *hedges > 10.0), "{before:?}");
        talk.send_many(30, 900, Duration::from_millis(300)).await;
        pass(Duration::from_secs(10)).await;
        assert_eq!(hedges(&talk).map(f64::to_bits), before.map(f64::to_bits));
    });
}
