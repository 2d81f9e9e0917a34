//! What the others have, read and do: told when it changes, never twice.

use std::time::Duration;

use fulmar_client::{Event, Seq};
use fulmar_protocol::{
    Datagram, Frame, Generation, Marks, Ordinal, Presence, PresenceState, ReadState, Typing, UserMarks,
};

use crate::server::{Server, lane_open, next_entry, next_event, user, with_bob};

#[tokio::test]
async fn presence_and_typing_are_told_when_they_change_and_end_by_themselves() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    let presence = |generation, state| {
        Datagram::Presence(Presence {
            user: user("bob"),
            generation: Generation::new(generation),
            state,
            last_seen: None,
            ttl: Duration::from_secs(70),
        })
    };
    for (generation, state) in [
        (2, PresenceState::Online),
        (1, PresenceState::Away),
        (3, PresenceState::Online),
        (4, PresenceState::Away),
    ] {
        peer.connection.send_datagram(presence(generation, state).encode()).unwrap();
    }
    for expected in [PresenceState::Online, PresenceState::Away] {
        let state = next_event(&mut events, "presence", |event| match event {
            Event::Presence { state, .. } => Some(state),
            _ => None,
        })
        .await;
        assert_eq!(state, expected);
    }
    let typing = Datagram::Typing(Typing {
        conversation_id: with_bob(),
        user: user("bob"),
        generation: Generation::new(1),
        typing: true,
        ttl: Duration::from_millis(200),
    });
    peer.connection.send_datagram(typing.encode()).unwrap();
    for expected in [true, false] {
        let typing = next_event(&mut events, "typing", |event| match event {
            Event::Typing { typing, .. } => Some(typing),
            _ => None,
        })
        .await;
        assert_eq!(typing, expected);
    }
}

#[tokio::test]
async fn own_presence_and_typing_are_sent_no_more_often_than_needed() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    client.set_presence(PresenceState::Online).await.unwrap();
    let bob = client.direct(&user("bob")).unwrap();
    for _ in 0..20 {
        bob.typing(true).await.unwrap();
    }
    bob.typing(false).await.unwrap();
    bob.typing(false).await.unwrap();
    let mut told = Vec::new();
    while let Ok(datagram) =
        tokio::time::timeout(Duration::from_millis(500), peer.connection.read_datagram()).await
    {
        told.push(match Datagram::decode(&datagram.unwrap()).unwrap() {
            Some(Datagram::PresenceUpdate(update)) => format!("{:?}", update.state),
            Some(Datagram::TypingUpdate(update)) => format!("typing {}", update.typing),
            None => continue,
            other => panic!("{other:?}"),
        });
    }
    told.sort();
    assert_eq!(told, ["Online", "typing false", "typing true"]);
}

#[tokio::test]
async fn marks_of_others_are_told_once_and_only_grow() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    let mark = |delivered, read| UserMarks {
        user: user("bob"),
        delivered_seq: Seq::new(delivered),
        read_seq: Seq::new(read),
    };
    let mut lane = peer.lane(fulmar_protocol::LaneOpen { marks: vec![mark(1, 0)], ..lane_open(0, 0) }).await;
    for marks in [mark(1, 0), mark(3, 2), mark(2, 1), mark(3, 3)] {
        lane.write(&Frame::Marks(Marks { marks: vec![marks] })).await;
    }
    for expected in [(1, 0), (3, 2), (3, 3)] {
        let marks = next_event(&mut events, "marks", |event| match event {
            Event::Marks { delivered, read, .. } => Some((delivered.get(), read.get())),
            _ => None,
        })
        .await;
        assert_eq!(marks, expected);
    }
}

#[tokio::test]
async fn unread_follows_entries_and_marks() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    let mut lane = peer.lane(lane_open(0, 2)).await;
    lane.entries(1..=3).await;
    for unread in [2, 2, 3] {
        assert_eq!(next_entry(&mut events).await.unread_after, unread);
    }
    lane.write(&Frame::ReadState(ReadState { read_seq: Seq::new(2), read_ordinal: Ordinal::new(2) })).await;
    let unread = next_event(&mut events, "unread", |event| match event {
        Event::Unread { unread, read_seq, .. } => Some((unread, read_seq.get())),
        _ => None,
    })
    .await;
    assert_eq!(unread, (1, 2));
}

#[tokio::test]
async fn an_entry_ends_the_typing_of_its_sender() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    let typing = Datagram::Typing(Typing {
        conversation_id: with_bob(),
        user: user("bob"),
        generation: Generation::new(1),
        typing: true,
        ttl: Duration::from_secs(6),
    });
    peer.connection.send_datagram(typing.encode()).unwrap();
    let typing = |event| match event {
        Event::Typing { typing, .. } => Some(typing),
        _ => None,
    };
    assert!(next_event(&mut events, "typing", typing).await);
    peer.lane(lane_open(0, 1)).await.entries(1..=1).await;
    assert!(!next_event(&mut events, "the end of typing", typing).await);
}
