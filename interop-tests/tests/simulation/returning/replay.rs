//! Somebody on the way has recorded a flight of early data, and plays it again from an address of their own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use fulmar_interop_tests::simulation::{Direction, Packet, run};
use fulmar_network_model::Profile;

use super::talk::{From, Talk};
use crate::pass;

const THIEF: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 66));

// FUL-TRANS-18
#[test]
fn a_recorded_flight_that_is_played_twice_changes_nothing_and_steals_no_session() {
    run(async {
        let talk = Talk::begin(13, &Profile::CLEAN).await;
        let client = talk.alice.client().unwrap();
        talk.alice.host.blackout(&Direction::BOTH);
        let number = talk.send(From::Alice).await;
        pass(Duration::from_secs(2)).await;
        talk.alice.host.capture();
        talk.alice.host.restore();
        client.network_changed().await.unwrap();
        pass(Duration::from_secs(5)).await;
        let recorded = talk.alice.host.captured();
        let counted = || ["fulmar_entries_accepted_total", "fulmar_sessions"].map(|name| talk.metric(name));
        let before = counted();
        talk.story(From::Alice, number).had.expect("it came");
        assert!(talk.metric("fulmar_early_data_accepted_total") > 0.5, "there was a flight to be recorded");
        let thief = talk.world.network().host(THIEF, &Profile::CLEAN);
        for _ in 0..2 {
            for packet in &recorded {
                let from = SocketAddr::new(THIEF, packet.from.port());
                thief.inject(Packet { from, ..packet.clone() });
            }
            pass(Duration::from_secs(5)).await;
        }
        assert_eq!(counted().map(f64::to_bits), before.map(f64::to_bits));
        assert!(client.status().borrow().is_online());
        // The session is the one that it was, and goes on.
        let since = talk.world.now();
        talk.chat(3, Duration::from_millis(200)).await;
        pass(Duration::from_secs(1)).await;
        assert!(talk.slowest_since(since)[1] < Duration::from_millis(70), "{:?}", talk.slowest_since(since));
    });
}
