//! Another address in mid-conversation, a path that is dead one way, and a network that lets no UDP through.

use std::time::Duration;

use fulmar_interop_tests::simulation::{Device, Direction, run};
use fulmar_network_model::Profile;

use super::talk::{From, Talk, ms};
use crate::pass;

/// How often each of the two writes.
const EVERY: Duration = ms(200);
/// The profile's round trip: 50 ms.
const ROUND_TRIP: Duration = ms(50);
/// Syncs of the server and the device, and the clock's milliseconds.
const WORK: Duration = ms(12);
/// What a message takes, and two round trips.
const TWO_LATE: Duration = ms(50 + 12 + 100);

/// How the address changes.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// To another network, of which the app tells.
    Network,
    /// The NAT forgets its mappings, and nobody knows.
    Mapping,
}

/// What came of a conversation in which something happened.
#[derive(Debug)]
struct Outcome {
    /// The longest time to an answer, and to the other one's having it, of all that was sent from then on.
    slowest: [Duration; 2],
    /// Connections that were opened beyond the two.
    reconnected: f64,
}

async fn conversation(seed: u64, happening: impl AsyncFnOnce(&Talk)) -> Outcome {
    let talk = Talk::begin(seed, &Profile::CLEAN).await;
    talk.chat(20, EVERY).await;
    let since = talk.world.now();
    happening(&talk).await;
    talk.chat(40, EVERY).await;
    pass(Duration::from_secs(30)).await;
    let slowest = talk.slowest_since(since);
    Outcome { slowest, reconnected: talk.metric("fulmar_connections_opened_total") - 2.0 }
}

async fn change(talk: &Talk, change: Change) {
    match change {
        Change::Network => {
            talk.alice.host.move_to(Device::address(1, 1)).unwrap();
            talk.alice.client().unwrap().network_changed().await.unwrap();
        }
        Change::Mapping => talk.alice.host.rebind_nat(),
    }
}

// FUL-TRANS-5, FUL-TRANS-21
#[test]
fn after_a_change_of_address_no_message_is_late_by_more_than_two_round_trips_and_the_session_goes_on() {
    for what in [Change::Network, Change::Mapping] {
        // The change comes at various moments of a conversation: before, between and after sends.
        for after in [0, 10, 30, 60, 99] {
            let outcome = run(conversation(5, async |talk| {
                talk.send(From::Bob).await;
                pass(ms(after)).await;
                change(talk, what).await;
                pass(ms(100)).await;
            }));
            println!("{what:?} {after} ms after a send: {outcome:?}");
            assert!(outcome.reconnected < 0.5, "{what:?} {after}: {outcome:?}");
            // Nothing can come to a device whose new address nobody knows, until it sends.
            let unknown = if matches!(what, Change::Mapping) { EVERY / 2 } else { ms(0) };
            let longest = TWO_LATE + unknown;
            assert!(
                outcome.slowest.iter().all(|slowest| *slowest <= longest),
                "{what:?} {after}: {outcome:?}"
            );
        }
    }
}

#[test]
fn sends_that_are_in_flight_when_the_address_changes_arrive_once_and_late_by_no_more_than_two_round_trips() {
    for after in [1, 5, 20, 30, 45] {
        let outcome = run(conversation(6, async |talk| {
            for from in [From::Alice, From::Bob, From::Alice] {
                talk.send(from).await;
            }
            pass(ms(after)).await;
            change(talk, Change::Network).await;
        }));
        println!("{after} ms after the sends: {outcome:?}");
        // What was on its way to the old address is lost, and sent again.
        assert!(outcome.slowest.iter().all(|slowest| *slowest <= TWO_LATE), "{after}: {outcome:?}");
    }
}

#[test]
fn a_path_that_was_dead_one_way_costs_its_time_and_loses_nothing() {
    for direction in Direction::BOTH {
        let dead = Duration::from_secs(2);
        let outcome = run(conversation(7, async |talk| {
            talk.alice.host.blackout(&[direction]);
            talk.chat(10, EVERY).await;
            talk.alice.host.restore();
        }));
        println!("{direction:?}: {outcome:?}");
        assert!(
            outcome.slowest.iter().all(|slowest| *slowest <= dead + Duration::from_secs(5)),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_minute_without_udp_loses_nothing_and_ends_one_round_trip_after_the_app_says_so() {
    let outcome = run(async {
        let talk = Talk::begin(8, &Profile::CLEAN).await;
        talk.alice.host.block_udp(true);
        let numbers = [talk.send(From::Alice).await, talk.send(From::Alice).await];
        let back = talk.send(From::Bob).await;
        pass(Duration::from_secs(60)).await;
        talk.alice.host.block_udp(false);
        talk.alice.client().unwrap().network_changed().await.unwrap();
        let free = talk.world.now();
        pass(Duration::from_secs(5)).await;
        let had = |from, number| talk.story(from, number).had.expect("it came") - free;
        [had(From::Alice, numbers[0]), had(From::Alice, numbers[1]), had(From::Bob, back)]
    });
    println!("after a minute without UDP: {outcome:?}");
    assert!(outcome.iter().all(|had| *had <= 2 * ROUND_TRIP + WORK), "{outcome:?}");
}
