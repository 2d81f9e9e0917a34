//! How long a session takes to bring its first message: the device is switched on, and a message waits for it.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Event, OutgoingMessage};
use parking_lot::Mutex;

use super::super::ground::run;
use super::super::network::Tally;
use super::figures::{Delivery, Figures, Run};
use super::lanes::{device, reader, start_writer, world};
use super::meter::Meter;
use super::options::{SETTLING, Trial};

/// A device that has not got it by then never will, here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A device of each seed is switched on for the first time: how long its app waits for the message that the
/// server has for it.
#[must_use]
pub fn first_messages(trial: &Trial, seeds: std::ops::Range<u64>) -> Figures {
    Figures::of(trial, seeds.map(|seed| run(first_message(trial, seed))).collect())
}

async fn first_message(trial: &Trial, seed: u64) -> Run {
    let world = world(trial, seed).await;
    let writer = start_writer(&world, 0);
    // A client knows whose it is from its first session on.
    tokio::time::sleep(SETTLING).await;
    let client = writer.client().expect("it was started");
    let conversation = client.direct(&reader()).expect("two users");
    let sending = conversation.enqueue(OutgoingMessage::text("first")).await.expect("room");
    sending.await.expect("accepted");
    let handed: Arc<Mutex<Option<Duration>>> = Arc::default();
    let watch = {
        let (world, handed) = (world.clone(), Arc::clone(&handed));
        move |event: &Event| {
            if matches!(event, Event::Entry(_)) {
                handed.lock().get_or_insert(world.now());
            }
        }
    };
    let device = device(trial, &world, watch);
    let meter = Meter::on(&device.host, trial, seed);
    let appended = world.now();
    device.start();
    while handed.lock().is_none() && world.now() < appended + PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metered = meter.read();
    let handed = *handed.lock();
    let delivery =
        handed.map(|at| Delivery { conversation: 0, appended, latency: at.saturating_sub(appended) });
    Run {
        missing: usize::from(delivery.is_none()),
        deliveries: delivery.into_iter().collect(),
        down: metered.down.since(Tally::default()),
        up: metered.up.since(Tally::default()),
        lost: metered.lost,
        hedges: 0,
    }
}
