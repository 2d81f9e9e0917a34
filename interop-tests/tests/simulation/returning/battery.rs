//! What a session costs that nobody uses.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Event, UserId};
use fulmar_interop_tests::simulation::{Device, Tally, World, run};
use fulmar_network_model::Profile;

use crate::pass;

/// The headers of UDP and IPv4, which the counters leave out.
const HEADER_BYTES: u64 = 28;
const HOUR: Duration = Duration::from_secs(3_600);

/// What was sent and received in an hour.
async fn an_hour(background: bool) -> [Tally; 2] {
    let world = World::new(9);
    world.start_server().await;
    let user = UserId::parse("alice").unwrap();
    let device = Device::new(&world, user, 1, &Profile::CLEAN, Arc::new(|_: &Event| {}));
    device.start();
    pass(Duration::from_secs(30)).await;
    if background {
        device.client().unwrap().background();
    }
    pass(Duration::from_secs(30)).await;
    let before = device.host.counters();
    pass(HOUR).await;
    let after = device.host.counters();
    let spent = |after: Tally, before: Tally| Tally {
        packets: after.packets - before.packets,
        bytes: after.bytes - before.bytes,
    };
    [spent(after.sent, before.sent), spent(after.received, before.received)]
}

#[test]
fn an_idle_session_in_front_costs_less_than_fifty_kilobytes_an_hour() {
    let [sent, received] = run(an_hour(false));
    let packets = sent.packets + received.packets;
    let bytes = sent.bytes + received.bytes + packets * HEADER_BYTES;
    println!("in front, an hour: sent {sent:?}, received {received:?}; {bytes} bytes with headers");
    assert!((144..1_000).contains(&packets), "{packets}");
    assert!(bytes < 50_000, "{bytes}");
}

#[test]
fn an_app_in_the_background_sends_nothing() {
    assert_eq!(run(an_hour(true)), [Tally::default(); 2]);
}
