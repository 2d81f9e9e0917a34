//! Log lanes between the real client and the real server.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Event, OutgoingMessage, UserId};
use fulmar_interop_tests::network::Profile;
use fulmar_interop_tests::simulation::{Device, Direction, Packet, Verdict, World, run};
use parking_lot::Mutex;

use crate::pass;

/// A lane ended for idleness while all that it had carried was still on its way; the next one overtook it, and the
/// client, which did not know the conversation, began there: the first message was never handed over.
// FUL-LANE-26
#[test]
fn a_lane_does_not_overtake_the_one_before_it() {
    let handed = run(async {
        let world = World::new(1);
        world.start_server().await;
        let handed: Arc<Mutex<Vec<u64>>> = Arc::default();
        let seen = Arc::clone(&handed);
        let watch = move |event: &Event| {
            if let Event::Entry(entry) = event {
                seen.lock().push(entry.seq.get());
            }
        };
        let user = |name| UserId::parse(name).unwrap();
        let alice = Device::new(&world, user("alice"), 1, &Profile::CLEAN, Arc::new(|_| {}));
        let bob = Device::new(&world, user("bob"), 2, &Profile::CLEAN, Arc::new(watch))
            .with_settings(|builder| builder.hedging(false));
        alice.start();
        bob.start();
        pass(Duration::from_secs(5)).await;
        let to_bob = alice.client().unwrap().direct(&user("bob")).unwrap();
        // Signs of life pass, and nothing larger.
        bob.host.tap(Box::new(|packet: &Packet| {
            let is_large = packet.direction == Direction::Down && packet.payload.len() > 100;
            if is_large { Verdict::Drop } else { Verdict::Pass }
        }));
        drop(to_bob.enqueue(OutgoingMessage::text("one")).await.unwrap());
        // Longer than a lane is idle.
        pass(Duration::from_secs(32)).await;
        bob.host.untap();
        drop(to_bob.enqueue(OutgoingMessage::text("two")).await.unwrap());
        pass(Duration::from_secs(60)).await;
        handed.lock().clone()
    });
    assert_eq!(handed, [1, 2]);
}
