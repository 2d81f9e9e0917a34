//! Log lanes between the real client and the real server.

use std::time::Duration;

use fulmar_interop_tests::simulation::{Direction, Packet, Verdict, World, run};

use crate::app::App;
use crate::pass;

/// A lane ended for idleness while all that it had carried was still on its way; the next one overtook it, and the
/// client, which did not know the conversation, began there: the first message was never handed over.
// FUL-LANE-26
#[test]
fn a_lane_does_not_overtake_the_one_before_it() {
    let handed = run(async {
        let world = World::new(1);
        world.start_server().await;
        let alice = App::start(&world, "alice", 1, 0);
        let bob = App::start_with(&world, "bob", 2, 0, |builder| builder.hedging(false));
        pass(Duration::from_secs(5)).await;
        // Signs of life pass, and nothing larger.
        bob.device.host.tap(Box::new(|packet: &Packet| {
            let is_large = packet.direction == Direction::Down && packet.payload.len() > 100;
            if is_large { Verdict::Drop } else { Verdict::Pass }
        }));
        alice.send("bob", "one").await;
        // Longer than a lane is idle.
        pass(Duration::from_secs(32)).await;
        bob.device.host.untap();
        alice.send("bob", "two").await;
        pass(Duration::from_secs(60)).await;
        bob.seqs()
    });
    assert_eq!(handed, [1, 2]);
}
