//! Hedged delivery at the client: which entries it takes from datagrams, and what ends the connection.

use fulmar_client::{Client, Event, Events};
use fulmar_protocol::{
    ClientSeq, Datagram, DeviceTag, Entry, ErrorCode, Extensions, Frame, HedgedEntry, HedgedSend, Hole,
    HoleReason, Refused, Seq, SeqRange,
};

use crate::path::Path;
use crate::server::{
    Peer, Server, accepted, entry, lane_open, next_entry, next_event, own_entry, refused, soon, text, user,
    welcome_with, with_bob,
};

/// A client and its server, with hedging in force.
async fn hedged(server: &Server) -> (Client, Events, Peer) {
    let (client, peer) = tokio::join!(server.client().connect(), async {
        let mut peer = server.greeted().await;
        assert!(peer.hello.extensions.contains(Extensions::HEDGING));
        peer.control(&welcome_with(1, 3_600_000, Extensions::HEDGING)).await;
        peer
    });
    let (client, events) = client.unwrap();
    (client, events, peer)
}

fn send(peer: &Peer, entry: Entry) {
    let hedged = Datagram::HedgedEntry(HedgedEntry { conversation_id: with_bob(), entry });
    peer.connection.send_datagram(hedged.encode()).unwrap();
}

/// What was sent before this has arrived, datagrams included, as none is lost on loopback.
async fn settle(client: &Client, peer: &mut Peer) {
    peer.pong(client).await;
}

async fn no_more_entries(events: &mut Events) {
    let none = tokio::time::timeout(std::time::Duration::from_millis(100), async {
        next_event(events, "an entry", |event| match event {
            Event::Entry(entry) => Some(entry.seq),
            _ => None,
        })
        .await
    });
    assert!(none.await.is_err(), "an entry came twice");
}

/// FUL-HEDGE-9, FUL-HEDGE-10
#[tokio::test]
async fn the_next_entry_is_taken_from_a_datagram_and_its_copy_on_the_lane_is_passed_over() {
    let server = Server::start();
    let (_client, mut events, mut peer) = hedged(&server).await;
    let mut lane = peer.lane(lane_open(0, 1)).await;
    lane.entries(1..=1).await;
    assert_eq!(next_entry(&mut events).await.seq.get(), 1);
    send(&peer, entry(2));
    let second = next_entry(&mut events).await;
    assert_eq!((second.seq.get(), second.unread_after), (2, 2));
    second.confirm();
    assert_eq!(peer.confirm().await.cursors[0].seq, Seq::new(2));
    // The copies, in either order, and what follows.
    send(&peer, entry(2));
    lane.entries(2..=3).await;
    assert_eq!(next_entry(&mut events).await.seq.get(), 3);
    send(&peer, entry(3));
    lane.entries(4..=4).await;
    assert_eq!(next_entry(&mut events).await.seq.get(), 4);
    no_more_entries(&mut events).await;
}

/// FUL-HEDGE-9: an idle lane was closed; the next one begins with the copy.
#[tokio::test]
async fn between_two_lanes_the_next_entry_is_taken_too() {
    let server = Server::start();
    let (_client, mut events, peer) = hedged(&server).await;
    let mut lane = peer.lane(lane_open(0, 1)).await;
    lane.entries(1..=1).await;
    assert_eq!(next_entry(&mut events).await.seq.get(), 1);
    lane.finish().await;
    send(&peer, entry(2));
    assert_eq!(next_entry(&mut events).await.seq.get(), 2);
    let mut lane = peer.lane(lane_open(1, 3)).await;
    lane.entries(2..=3).await;
    assert_eq!(next_entry(&mut events).await.seq.get(), 3);
}

/// FUL-HEDGE-9
#[tokio::test]
async fn an_entry_that_is_not_the_next_of_a_known_conversation_is_ignored() {
    let server = Server::start();
    let (client, mut events, mut peer) = hedged(&server).await;
    // Of no conversation that a lane told of.
    send(&peer, entry(1));
    settle(&client, &mut peer).await;
    let mut lane = peer.lane(lane_open(0, 2)).await;
    lane.entries(1..=1).await;
    assert_eq!(next_entry(&mut events).await.seq.get(), 1);
    // Far ahead, past a hole, had before, and from this device.
    send(&peer, entry(1_000_000));
    send(&peer, entry(3));
    send(&peer, Entry { content: entry(9).content, ..entry(1) });
    let own = DeviceTag::of(&peer.hello.device_id);
    send(&peer, Entry { sender: user("alice"), device_tag: own, ..entry(2) });
    settle(&client, &mut peer).await;
    lane.entries(2..=3).await;
    for seq in 2..=3 {
        assert_eq!(next_entry(&mut events).await.seq.get(), seq);
    }
    no_more_entries(&mut events).await;
}

/// FUL-HEDGE-1
#[tokio::test]
async fn without_the_extension_no_entry_is_taken_from_a_datagram() {
    let server = Server::start();
    let (client, mut events, mut peer) = server.connect(server.client().hedging(false)).await;
    assert!(!peer.hello.extensions.contains(Extensions::HEDGING));
    let mut lane = peer.lane(lane_open(0, 1)).await;
    lane.entries(1..=1).await;
    next_entry(&mut events).await;
    send(&peer, Entry { content: entry(9).content, ..entry(2) });
    settle(&client, &mut peer).await;
    lane.entries(2..=2).await;
    assert_eq!(next_entry(&mut events).await.seq.get(), 2);
    no_more_entries(&mut events).await;
}

/// FUL-HEDGE-11
#[tokio::test]
async fn two_entries_under_one_seq_end_the_connection() {
    let hole = |first, last| {
        let range = SeqRange::new(Seq::new(first)..=Seq::new(last)).unwrap();
        Frame::Hole(Hole { range, reason: HoleReason::Hidden })
    };
    for contradiction in [
        Frame::Entry(Entry { content: entry(9).content, ..entry(2) }),
        Frame::Entry(Entry { sender: user("carol"), ..entry(2) }),
        hole(2, 2),
        hole(2, 5),
        own_entry(2, ClientSeq::FIRST),
    ] {
        let server = Server::start();
        let (_client, mut events, peer) = hedged(&server).await;
        let mut lane = peer.lane(lane_open(0, 1)).await;
        lane.entries(1..=1).await;
        next_entry(&mut events).await;
        send(&peer, entry(2));
        assert_eq!(next_entry(&mut events).await.seq.get(), 2);
        lane.write(&contradiction).await;
        assert_eq!(ErrorCode::from(peer.closed_with().await), ErrorCode::EntryDiffers, "{contradiction:?}");
        // What was redacted meanwhile may come otherwise in the next session.
        let mut peer = server.greeted().await;
        peer.control(&welcome_with(1, 3_600_000, Extensions::HEDGING)).await;
        let mut lane = peer.lane(lane_open(0, 3)).await;
        lane.entries(1..=1).await;
        lane.write(&Frame::Entry(Entry { content: entry(9).content, ..entry(2) })).await;
        lane.entries(3..=3).await;
        assert_eq!(next_entry(&mut events).await.seq.get(), 3);
    }
}

/// The next hedged send, if one comes within a moment.
async fn hedged_send(peer: &Peer) -> Option<HedgedSend> {
    let hedged = async {
        loop {
            let bytes = peer.connection.read_datagram().await.unwrap();
            if let Ok(Some(Datagram::HedgedSend(hedged))) = Datagram::decode(&bytes) {
                return hedged;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_millis(60), hedged).await.ok()
}

/// FUL-HEDGE-2, FUL-HEDGE-5, FUL-HEDGE-12, FUL-HEDGE-13
#[tokio::test]
async fn on_a_lossy_path_small_sends_without_an_answer_are_hedged_until_numbers_change() {
    let server = Server::start();
    let path = Path::to(server.address()).await;
    let client =
        Client::builder().server(path.address.to_string()).trust_ca_pem(&server.ca_pem).token("a token");
    let (connected, peer) = tokio::join!(client.connect(), async {
        let mut peer = server.greeted().await;
        peer.control(&welcome_with(1, 3_600_000, Extensions::HEDGING)).await;
        peer
    });
    let (client, _events) = connected.unwrap();
    path.lose_one_in(7);
    let bob = client.direct(&user("bob")).unwrap();
    drop(bob.enqueue(text("0")).await.unwrap());
    let mut lane = peer.send_lane().await;
    lane.accept(1).await;
    let mut seq = 1;
    // Losses become known as packets behind them are acknowledged.
    let (send, hedged) = loop {
        seq += 1;
        drop(bob.enqueue(text(&seq.to_string())).await.unwrap());
        let send = lane.next().await;
        let hedged = hedged_send(&peer).await;
        lane.write(&accepted(send.client_seq, seq)).await;
        if let Some(hedged) = hedged {
            break (send, hedged);
        }
        assert!(seq < 300, "no hedge came");
    };
    assert_eq!((hedged.conversation_id, hedged.peer), (with_bob(), Some(user("bob"))));
    assert_eq!((hedged.client_seq, hedged.content), (send.client_seq, send.content));
    assert_eq!(hedged.first_unanswered, send.client_seq);
    // A long one is not.
    drop(bob.enqueue(text(&"long ".repeat(200))).await.unwrap());
    let long = lane.next().await;
    assert_eq!(hedged_send(&peer).await, None);
    // Nor are any, once numbers have changed.
    let refusal = Refused {
        expected_client_seq: Some(ClientSeq::new(2)),
        ..refused(long.client_seq, ErrorCode::ClientSeqAhead)
    };
    lane.refuse(refusal).await;
    let mut lane = peer.send_lane().await;
    assert_eq!(lane.accept(seq).await.client_seq, ClientSeq::new(2));
    for _ in 0..10 {
        drop(bob.enqueue(text("short")).await.unwrap());
        let send = lane.next().await;
        assert_eq!(hedged_send(&peer).await, None);
        lane.write(&accepted(send.client_seq, 1_000 + send.client_seq.get())).await;
    }
}

/// FUL-HEDGE-4: loopback loses nothing.
#[tokio::test]
async fn on_a_clean_path_no_send_is_hedged() {
    let server = Server::start();
    let (client, _events, peer) = hedged(&server).await;
    let bob = client.direct(&user("bob")).unwrap();
    for n in 1..=50 {
        drop(bob.enqueue(text(&n.to_string())).await.unwrap());
    }
    let mut lane = peer.send_lane().await;
    for n in 1..=50 {
        lane.accept(n).await;
    }
    // The grease is the only datagram.
    let first = soon("a datagram", peer.connection.read_datagram()).await.unwrap();
    assert_eq!(Datagram::decode(&first), Ok(None));
    let second = tokio::time::timeout(std::time::Duration::from_millis(100), peer.connection.read_datagram());
    assert!(second.await.is_err(), "a hedge on a clean path");
}
