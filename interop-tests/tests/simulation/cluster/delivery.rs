//! Entries and marks between users on different nodes.

use std::time::Duration;

use fulmar_client::{ClientError, ErrorCode, Event, HistoryPolicy, OutgoingMessage};
use fulmar_interop_tests::simulation::Ground;
use fulmar_protocol::Seq;
use fulmar_server::StoreTrouble;
use tokio::task::JoinSet;

use super::{App, cluster, counted, user};
use crate::pass;

pub(super) async fn a_message_reaches_devices_on_all_nodes_at_once(ground: Ground) {
    let world = cluster(&ground, 3).await;
    let alice = App::start(&world, "alice", 1, 0);
    let bobs = [App::start(&world, "bob", 2, 1), App::start(&world, "bob", 3, 2)];
    pass(Duration::from_secs(5)).await;
    for text in ["one", "two", "three"] {
        let sent = world.now();
        alice.send("bob", text).await;
        pass(Duration::from_secs(1)).await;
        for bob in &bobs {
            // A round trip between phone and server is 50 ms; the sync takes 2.
            let took = bob.last_entry_at().checked_sub(sent).unwrap();
            assert!(took < ground.time_max(Duration::from_millis(100)), "{text} took {took:?}");
        }
    }
    assert_eq!((bobs[0].seqs(), bobs[1].seqs()), (vec![1, 2, 3], vec![1, 2, 3]));
}

pub(super) async fn devices_on_different_nodes_see_the_same_marks_and_unread_counts(ground: Ground) {
    let world = cluster(&ground, 3).await;
    let alice = App::start(&world, "alice", 1, 0);
    let bobs = [App::start(&world, "bob", 2, 1), App::start(&world, "bob", 3, 2)];
    pass(Duration::from_secs(5)).await;
    for text in ["one", "two", "three"] {
        alice.send("bob", text).await;
    }
    pass(Duration::from_secs(2)).await;
    let with_alice = bobs[0].client().direct(&user("alice")).unwrap();
    with_alice.mark_read(Seq::new(2)).await.unwrap();
    pass(Duration::from_secs(2)).await;
    let unread = bobs[1].find(|event| match event {
        Event::Unread { read_seq, unread, .. } => Some((read_seq.get(), *unread)),
        _ => None,
    });
    assert_eq!(unread.last(), Some(&(2, 1)), "the user's other device, on another node");
    let marks = alice.find(|event| match event {
        Event::Marks { delivered, read, .. } => Some((delivered.get(), read.get())),
        _ => None,
    });
    assert_eq!(marks.last(), Some(&(3, 2)));
}

pub(super) async fn when_a_node_dies_its_clients_go_elsewhere_and_miss_nothing(ground: Ground) {
    let world = cluster(&ground, 3).await;
    let (alice, bob) = (App::start(&world, "alice", 1, 0), App::start(&world, "bob", 2, 1));
    pass(Duration::from_secs(5)).await;
    alice.send("bob", "one").await;
    pass(Duration::from_secs(1)).await;
    world.crash_node(1);
    alice.send("bob", "two").await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(bob.seqs(), [1, 2]);
    assert!(bob.is_online());
    alice.send("bob", "three").await;
    pass(Duration::from_secs(1)).await;
    assert_eq!(bob.seqs(), [1, 2, 3]);
}

/// FUL-SESS-30
pub(super) async fn a_node_that_drains_sends_its_clients_to_the_others(ground: Ground) {
    let world = cluster(&ground, 3).await;
    let apps: Vec<_> =
        (0..12).map(|number| App::start(&world, &format!("user-{number}"), number, 1)).collect();
    pass(Duration::from_secs(5)).await;
    assert_eq!(counted(&world, 1, "fulmar_sessions"), 12);
    world.stop_node(1).await;
    pass(Duration::from_secs(15)).await;
    assert!(apps.iter().all(App::is_online));
    let (first, last) = (counted(&world, 0, "fulmar_sessions"), counted(&world, 2, "fulmar_sessions"));
    assert_eq!((first + last), 12);
    assert!(first >= 2 && last >= 2, "they spread: {first} and {last}");
}

/// Whoever connects at the very moment of an append is told of it, or reads it: whatever the order.
pub(super) async fn nobody_falls_between_connecting_and_an_append(ground: Ground) {
    let world = cluster(&ground, 2).await;
    let alice = App::start(&world, "alice", 1, 0);
    pass(Duration::from_secs(5)).await;
    let turns = ground.turns(3_000);
    for turn in 0..turns {
        let bob = App::start(&world, "bob", 2, 1);
        // The connection takes some 100 to 150 ms, in which the message comes somewhere.
        pass(Duration::from_micros(40_000 + 138_000 * turn / turns)).await;
        alice.send("bob", "now").await;
        let mut waited = 0;
        while bob.seqs().last() != Some(&(turn + 1)) {
            pass(Duration::from_millis(20)).await;
            waited += 1;
            assert!(waited < 100, "turn {turn}: {:?}", bob.seqs());
        }
        bob.device.close().await;
    }
    assert_eq!(counted(&world, 1, "fulmar_lost_hints_found_total"), 0);
}

pub(super) async fn a_member_who_flaps_does_not_slow_a_conversation(ground: Ground) {
    let world = cluster(&ground, 3).await;
    let (alice, bob) = (App::start(&world, "alice", 1, 0), App::start(&world, "bob", 2, 1));
    let flapper = App::start(&world, "carol", 3, 2);
    pass(Duration::from_secs(5)).await;
    let members = [user("bob"), user("carol")];
    let (group, _) = alice.client().create_group("Birds", &members, HistoryPolicy::All).await.unwrap();
    let mut slowest = Duration::ZERO;
    for turn in 0..40 {
        flapper.device.crash();
        flapper.device.start();
        pass(Duration::from_millis(90 + turn)).await;
        let sent = world.now();
        drop(group.enqueue(OutgoingMessage::text("hello")).await.unwrap());
        pass(Duration::from_millis(400)).await;
        slowest = slowest.max(bob.last_entry_at().checked_sub(sent).unwrap());
    }
    assert!(slowest < ground.time_max(Duration::from_millis(110)), "{slowest:?}");
}

/// While a store is away, requests, sends and Confirms are answered with that before the node loses its lease, and no
/// client takes the path for dead.
pub(super) async fn while_the_store_is_away_requests_say_so(ground: Ground) {
    let world = cluster(&ground, 2).await;
    let apps: Vec<_> =
        (0..6).map(|number| App::start(&world, &format!("user-{number}"), number, number % 2)).collect();
    pass(Duration::from_secs(5)).await;
    for app in &apps {
        app.send("user-0", "hello").await;
    }
    pass(Duration::from_secs(2)).await;
    let trouble = StoreTrouble { unreachable: true, ..StoreTrouble::default() };
    (0..2).for_each(|node| world.set_store_trouble(node, trouble));
    for app in &apps {
        app.send("user-0", "hello").await;
    }
    let asking: JoinSet<_> = apps.iter().map(App::client).map(async |client| client.inbox().await).collect();
    for answer in asking.join_all().await {
        let error = answer.unwrap_err();
        let is_clear = matches!(&error, ClientError::Refused { code: ErrorCode::StoreUnavailable, .. });
        assert!(is_clear, "{error}");
    }
    pass(Duration::from_secs(20)).await;
    (0..2).for_each(|node| world.set_store_trouble(node, StoreTrouble::default()));
    pass(Duration::from_secs(30)).await;
    assert_eq!(apps[0].seqs().len(), 12, "{:?}", apps[0].seqs());
}
