//! Presence and typing between users on different nodes.

use std::time::Duration;

use fulmar_client::{Event, PresenceState};
use fulmar_interop_tests::simulation::{Ground, World};
use fulmar_protocol::ConversationId;

use super::{App, cluster, user};
use crate::pass;

fn presence_of(app: &App, name: &str) -> Option<PresenceState> {
    let name = user(name);
    let states = app.find(|event| match event {
        Event::Presence { user, state, .. } if *user == name => Some(*state),
        _ => None,
    });
    states.last().copied()
}

fn typing(app: &App) -> Vec<bool> {
    app.find(|event| match event {
        Event::Typing { typing, .. } => Some(*typing),
        _ => None,
    })
}

/// Two users on two nodes who have both written, and watch each other.
async fn friends(world: &World) -> (App, App) {
    let (alice, bob) = (App::start(world, "alice", 1, 0), App::start(world, "bob", 2, 1));
    pass(Duration::from_secs(5)).await;
    alice.send("bob", "hello").await;
    bob.send("alice", "hello").await;
    pass(Duration::from_secs(2)).await;
    let both = ConversationId::direct(&user("alice"), &user("bob"));
    alice.client().watch(&[both]).await.unwrap();
    bob.client().watch(&[both]).await.unwrap();
    pass(Duration::from_secs(2)).await;
    (alice, bob)
}

// FUL-DGRAM-8
pub(super) async fn presence_is_shown_across_nodes_and_ends_with_them(ground: Ground) {
    let world = cluster(&ground, 3).await;
    let (alice, bob) = friends(&world).await;
    assert_eq!(presence_of(&alice, "bob"), Some(PresenceState::Online));
    bob.client().set_presence(PresenceState::Away).await.unwrap();
    pass(Duration::from_secs(1)).await;
    assert_eq!(presence_of(&alice, "bob"), Some(PresenceState::Away));
    bob.client().set_presence(PresenceState::Online).await.unwrap();
    pass(Duration::from_secs(1)).await;
    bob.device.close().await;
    pass(Duration::from_secs(3)).await;
    assert_eq!(presence_of(&alice, "bob"), Some(PresenceState::Offline));
    bob.device.start();
    pass(Duration::from_secs(5)).await;
    assert_eq!(presence_of(&alice, "bob"), Some(PresenceState::Online));
    // The node dies, and so does bob's phone: nobody says goodbye.
    world.crash_node(1);
    bob.device.crash();
    pass(Duration::from_secs(40)).await;
    assert_eq!(presence_of(&alice, "bob"), Some(PresenceState::Offline));
}

pub(super) async fn typing_is_shown_across_nodes_but_not_to_whom_a_block_separates(ground: Ground) {
    let world = cluster(&ground, 3).await;
    let (alice, bob) = friends(&world).await;
    let to_bob = alice.client().direct(&user("bob")).unwrap();
    to_bob.typing(true).await.unwrap();
    pass(Duration::from_secs(1)).await;
    assert_eq!(typing(&bob), [true]);
    to_bob.typing(false).await.unwrap();
    pass(Duration::from_secs(1)).await;
    assert_eq!(typing(&bob), [true, false]);
    bob.client().block(&user("alice"), true).await.unwrap();
    pass(Duration::from_secs(1)).await;
    to_bob.typing(true).await.unwrap();
    pass(Duration::from_secs(1)).await;
    assert_eq!(typing(&bob), [true, false]);
}
