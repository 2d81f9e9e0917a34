//! A path that has died is noticed by trying to use it.

use std::sync::Arc;
use std::time::Duration;

use fulmar_interop_tests::simulation::{Direction, Verdict, World, run};
use fulmar_network_model::Profile;
use parking_lot::Mutex;

use super::talk::{From, Talk};
use crate::pass;

/// However short the round trip is, silence is not judged sooner.
const SHORTEST: Duration = Duration::from_millis(250);
/// Of an idle client in front.
const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// A sync of the device, and the clock's milliseconds.
const CLOCK: Duration = Duration::from_millis(10);

/// The first packets of a new connection that leave a device, and when.
fn watch_attempts(talk: &Talk) -> Arc<Mutex<Vec<Duration>>> {
    let attempts = Arc::<Mutex<Vec<Duration>>>::default();
    let (seen, world): (_, World) = (Arc::clone(&attempts), talk.world.clone());
    talk.alice.host.tap(Box::new(move |packet| {
        // A long header of type Initial (RFC 9000, 17.2.2).
        if packet.direction == Direction::Up && packet.payload[0] & 0xb0 == 0x80 {
            seen.lock().push(world.now());
        }
        Verdict::Pass
    }));
    attempts
}

/// From a send into the dark, and from the dark of an idle path, to the first packet of an attempt.
async fn noticed(profile: &Profile) -> [Duration; 2] {
    let talk = Talk::begin(3, profile).await;
    let attempts = watch_attempts(&talk);
    talk.alice.host.blackout(&Direction::BOTH);
    let from = talk.world.now();
    talk.send(From::Alice).await;
    pass(Duration::from_secs(20)).await;
    let busy = attempts.lock()[0] - from;
    talk.alice.host.restore();
    pass(Duration::from_secs(61)).await;
    let from = talk.world.now();
    talk.alice.host.blackout(&Direction::BOTH);
    attempts.lock().clear();
    pass(Duration::from_secs(60)).await;
    let idle = attempts.lock()[0] - from;
    [busy, idle]
}

#[test]
fn a_path_that_has_died_is_noticed_within_about_three_round_trips_of_trying_to_use_it() {
    for profile in [Profile::CLEAN, Profile::LTE, Profile::UBER_P50, Profile::EDGE] {
        let [busy, idle] = run(noticed(&profile));
        let round_trip = profile.round_trip();
        println!("{}: a send {busy:?}, idle {idle:?}, round trip {round_trip:?}", profile.name);
        // The client's measure of a round trip has a share of the jitter.
        let three = (3 * round_trip).max(SHORTEST);
        assert!(busy <= three + round_trip / 2 + CLOCK, "{}: {busy:?}", profile.name);
        assert!(idle <= KEEP_ALIVE + three + Duration::from_secs(1), "{}: {idle:?}", profile.name);
    }
}
