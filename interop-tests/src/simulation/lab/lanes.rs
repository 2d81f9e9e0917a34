//! Fulmar's way: the real server, the real clients.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Client, Content, Event, OutgoingMessage, UserId};
use parking_lot::Mutex;
use tokio::time::sleep_until;

use fulmar_network_model::{LinkOptions, Profile};

use super::super::device::Device;
use super::super::time::BEGINNING;
use super::super::world::World;
use super::figures::{Delivery, Run};
use super::meter::Meter;
use super::options::{SETTLING, STRAGGLING, Trial, Way};

/// Where the senders are: clean and close.
const CLOSE: Profile = Profile {
    name: "close",
    source: "1 ms each way.",
    up: LinkOptions::with_delay(Duration::from_millis(1)),
    down: LinkOptions::with_delay(Duration::from_millis(1)),
};

/// The user of the device, and those who write.
pub(super) fn reader() -> UserId {
    UserId::parse("reader").unwrap()
}

pub(super) fn writer(conversation: usize) -> UserId {
    UserId::parse(&format!("writer-{conversation:02}")).unwrap()
}

/// The body of a message that says when it counts from, and where.
pub(super) fn body(conversation: usize, counts: bool, bytes: usize) -> String {
    let mark = format!("{conversation} {} ", u8::from(counts));
    let rest = bytes.saturating_sub(mark.len());
    mark + &"x".repeat(rest)
}

/// A world whose server is set as the trial says.
pub(super) async fn world(trial: &Trial, seed: u64) -> World {
    let tune = trial.settings.server;
    let world = World::with(seed, move |options| {
        if let Some(simulation) = options.simulation.as_mut() {
            simulation.transport = Some(tune);
        }
    });
    world.start_server().await;
    world
}

/// The device, off.
pub(super) fn device(trial: &Trial, world: &World, watch: impl Fn(&Event) + Send + Sync + 'static) -> Device {
    let device = Device::new(world, reader(), 1, &trial.profile, Arc::new(watch));
    let device = device.with_transport(trial.settings.device);
    match trial.way {
        Way::Hedged => device.with_settings(|builder| builder.hedging(true)),
        Way::OneStream | Way::Lanes => device.with_settings(|builder| builder.hedging(false)),
    }
}

/// Somebody who writes, on.
pub(super) fn start_writer(world: &World, conversation: usize) -> Device {
    let device = Device::new(world, writer(conversation), 2 + conversation, &CLOSE, Arc::new(|_| {}));
    device.start();
    device
}

/// Runs the trial.
pub(super) async fn deliver(trial: &Trial, seed: u64) -> Run {
    let world = world(trial, seed).await;
    let handed: Arc<Mutex<Vec<Delivery>>> = Arc::default();
    let device = device(trial, &world, note(&world, &handed));
    let meter = Meter::on(&device.host, trial, seed);
    device.start();
    let schedule = trial.schedule(seed);
    let counts_from = SETTLING + trial.warm_up;
    let mut writers = Vec::new();
    for conversation in 0..trial.conversations {
        let writer = start_writer(&world, conversation);
        let mine = schedule.iter().filter(|(_, of)| *of == conversation).map(|(at, _)| *at).collect();
        let client = writer.client().expect("it was started");
        tokio::spawn(write(world.clone(), client, conversation, mine, *trial));
        writers.push(writer);
    }
    sleep_until(world.origin() + counts_from).await;
    let before = meter.read();
    sleep_until(world.origin() + counts_from + trial.length).await;
    let after = meter.read();
    let sent = schedule.iter().filter(|(at, _)| *at >= counts_from).count();
    for _ in 0..STRAGGLING.as_secs() {
        if handed.lock().len() >= sent {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let deliveries = std::mem::take(&mut *handed.lock());
    Run {
        missing: sent.saturating_sub(deliveries.len()),
        deliveries,
        down: after.down.since(before.down),
        up: after.up.since(before.up),
        lost: after.lost,
        hedges: hedges(&world),
    }
}

/// Writes down what the app is handed, if it counts.
fn note(world: &World, handed: &Arc<Mutex<Vec<Delivery>>>) -> impl Fn(&Event) + Send + Sync + 'static {
    let (world, handed) = (world.clone(), Arc::clone(handed));
    move |event| {
        let Event::Entry(entry) = event else { return };
        let Some(Content::Message(message)) = &entry.content else { return };
        let body = std::str::from_utf8(&message.body).expect("text");
        let mut words = body.split(' ');
        let conversation = words.next().and_then(|word| word.parse().ok()).expect("a mark");
        if words.next() == Some("1") {
            let appended = Duration::from_millis(entry.at.get().saturating_sub(BEGINNING.get()));
            let latency = world.now().saturating_sub(appended);
            handed.lock().push(Delivery { conversation, appended, latency });
        }
    }
}

async fn write(world: World, client: Client, conversation: usize, times: Vec<Duration>, trial: Trial) {
    for at in times {
        sleep_until(world.origin() + at).await;
        let counts = at >= SETTLING + trial.warm_up;
        let message = OutgoingMessage::text(body(conversation, counts, trial.body_bytes));
        let conversation = client.direct(&reader()).expect("two users");
        drop(conversation.enqueue(message).await.expect("room in the outbox"));
    }
}

/// Hedges that the server sent, from its metrics.
fn hedges(world: &World) -> u64 {
    let text = world.metrics().expect("a server").render();
    let line = text.lines().find(|line| line.starts_with("fulmar_hedges_sent_total"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}
