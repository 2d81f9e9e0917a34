//! Confirmations of the real client to the real server.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Event, OutgoingMessage, UserId};
use fulmar_interop_tests::network::Profile;
use fulmar_interop_tests::simulation::{Device, World, run};
use parking_lot::Mutex;

use crate::pass;

/// The client closed a connection on which a Confirm was not answered in time, and then looked at that moment again
/// and again, and never at the end of the connection: it was busy for ever, and never came back.
#[test]
fn a_client_whose_confirm_is_not_answered_comes_back() {
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
        let bob = Device::new(&world, user("bob"), 2, &Profile::CLEAN, Arc::new(watch));
        alice.start();
        bob.start();
        pass(Duration::from_secs(5)).await;
        let to_bob = alice.client().unwrap().direct(&user("bob")).unwrap();
        drop(to_bob.enqueue(OutgoingMessage::text("one")).await.unwrap());
        // On its way to bob, whose Confirm then finds a disk that takes longer than he waits.
        pass(Duration::from_millis(60)).await;
        world.server_disk().set_sync(Duration::from_secs(50));
        pass(Duration::from_secs(120)).await;
        world.server_disk().set_sync(Duration::from_millis(2));
        pass(Duration::from_secs(120)).await;
        drop(to_bob.enqueue(OutgoingMessage::text("two")).await.unwrap());
        pass(Duration::from_secs(60)).await;
        assert!(bob.client().unwrap().status().borrow().is_online());
        handed.lock().clone()
    });
    assert_eq!(handed, [1, 2]);
}
