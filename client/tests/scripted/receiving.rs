//! From log lanes to events: each entry once, in order, across lanes, sessions and restarts.

use std::time::Duration;

use fulmar_client::{Content, Event, HistoryQuery, HoleReason, Seq, State};
use fulmar_protocol::{
    CaughtUp, ClientSeq, Datagram, Frame, Generation, HistoryEnd, Hole, InboxEnd, InboxItem, Marks, Ordinal,
    Presence, PresenceState, ReadState, SeqRange, Typing, UserMarks,
};

use crate::server::{
    Server, entry, lane_open, next_entry, next_event, own_entry, soon, text, user, with_bob,
};

fn range(first: u64, last: u64) -> SeqRange {
    SeqRange::new(Seq::new(first)..=Seq::new(last)).unwrap()
}

#[tokio::test]
async fn entries_come_in_order_with_the_conversation_first() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    let mut lane = peer.lane(lane_open(0, 3)).await;
    lane.entries(1..=3).await;
    lane.write(&Frame::CaughtUp(CaughtUp { seq: Seq::new(3) })).await;
    let state = next_event(&mut events, "the conversation", |event| match event {
        Event::Conversation(state) => Some(state),
        Event::Entry(_) => panic!("an entry before its conversation"),
        _ => None,
    })
    .await;
    assert_eq!((state.peer, state.head.get(), state.unread), (Some(user("bob")), 3, 3));
    for seq in 1..=3 {
        let entry = next_entry(&mut events).await;
        assert_eq!((entry.seq.get(), entry.sender, entry.is_own), (seq, user("bob"), false));
        assert!(matches!(entry.content, Some(Content::Message(_))));
    }
    let caught_up = |event| matches!(event, Event::CaughtUp { .. }).then_some(());
    next_event(&mut events, "caught up", caught_up).await;
}

#[tokio::test]
async fn what_was_handed_over_is_not_handed_over_again() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    peer.lane(lane_open(0, 3)).await.entries(1..=3).await;
    for seq in 1..=3 {
        assert_eq!(next_entry(&mut events).await.seq.get(), seq);
    }
    peer.connection.close(quinn::VarInt::from_u32(1), b"cut");
    let peer = server.session().await;
    // Nothing was confirmed, so the server begins at the start.
    peer.lane(lane_open(0, 5)).await.entries(1..=5).await;
    for seq in 4..=5 {
        assert_eq!(next_entry(&mut events).await.seq.get(), seq);
    }
}

#[tokio::test]
async fn after_a_restart_entries_come_from_the_last_confirmed_one_on() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let state = || State::directory(folder.path()).unwrap();
    let (client, mut events, mut peer) = server.connect(server.client().state(state())).await;
    let mut lane = peer.lane(lane_open(0, 3)).await;
    lane.entries(1..=3).await;
    for _ in 1..=2 {
        next_entry(&mut events).await.confirm();
    }
    next_entry(&mut events).await;
    assert_eq!(peer.confirm().await.cursors[0].seq.get(), 2);
    client.close().await;
    drop((client, events));
    let (_client, mut events, peer) = server.connect(server.client().state(state())).await;
    // The server lost the confirmation, say.
    peer.lane(lane_open(0, 4)).await.entries(1..=4).await;
    for seq in 3..=4 {
        assert_eq!(next_entry(&mut events).await.seq.get(), seq);
    }
}

#[tokio::test]
async fn a_lane_that_opens_before_its_predecessor_ended_waits_for_it() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    let mut first = peer.lane(lane_open(0, 4)).await;
    first.entries(1..=2).await;
    for seq in 1..=2 {
        assert_eq!(next_entry(&mut events).await.seq.get(), seq);
    }
    let mut second = peer.lane(lane_open(4, 6)).await;
    second.entries(5..=6).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.entries(3..=4).await;
    first.finish().await;
    for seq in 3..=6 {
        assert_eq!(next_entry(&mut events).await.seq.get(), seq);
    }
}

#[tokio::test]
async fn a_gap_is_named_and_can_be_fetched() {
    let server = Server::start();
    let (client, mut events, mut peer) = server.connected().await;
    let mut lane = peer.lane(lane_open(0, 10)).await;
    lane.write(&Frame::Hole(Hole { range: range(1, 8), reason: HoleReason::Skipped })).await;
    lane.entries(9..=10).await;
    let (first, last) = next_event(&mut events, "the hole", |event| match event {
        Event::Skipped { first, last, reason: HoleReason::Skipped, .. } => Some((first, last)),
        _ => None,
    })
    .await;
    assert_eq!((first.get(), last.get()), (1, 8));
    next_entry(&mut events).await;
    next_entry(&mut events).await.confirm();
    let confirmed = loop {
        let confirm = peer.confirm().await;
        if confirm.cursors[0].seq.get() == 10 {
            break confirm;
        }
    };
    assert_eq!(confirmed.cursors[0].skipped, [range(1, 8)]);
    let conversation = client.conversation(with_bob());
    let (page, ()) = tokio::join!(conversation.fetch_skipped(first, last), async {
        let (Frame::HistoryRequest(request), mut answers, _frames) = peer.next_stream().await else {
            panic!("no history request")
        };
        assert_eq!((request.from_seq.get(), request.limit), (1, 8));
        for seq in 1..=8 {
            answers.write_all(&Frame::Entry(entry(seq)).to_bytes()).await.unwrap();
        }
        let end = HistoryEnd { next_seq: Some(Seq::new(9)), head_seq: Seq::new(10) };
        answers.write_all(&Frame::HistoryEnd(end).to_bytes()).await.unwrap();
        answers.finish().unwrap();
    });
    let page = page.unwrap();
    assert_eq!((page.items.len(), page.next), (8, Some(Seq::new(9))));
    page.confirm().await.unwrap();
    assert_eq!(peer.confirm().await.cursors[0].skipped, []);
}

#[tokio::test]
async fn a_lane_that_starts_further_on_leaves_a_named_gap() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    let lane = peer.lane(lane_open(0, 2)).await;
    let mut lane = lane;
    lane.entries(1..=2).await;
    next_entry(&mut events).await;
    next_entry(&mut events).await;
    lane.finish().await;
    peer.lane(lane_open(5, 6)).await.entries(6..=6).await;
    let gap = next_event(&mut events, "the gap", |event| match event {
        Event::Skipped { first, last, .. } => Some((first.get(), last.get())),
        Event::Entry(_) => panic!("an entry before the gap was named"),
        _ => None,
    })
    .await;
    assert_eq!(gap, (3, 5));
    assert_eq!(next_entry(&mut events).await.seq.get(), 6);
}

#[tokio::test]
async fn own_entries_come_back_with_their_content() {
    let server = Server::start();
    let (client, mut events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let (outcome, _lane) = tokio::join!(bob.send(text("mine")), async {
        let mut lane = peer.send_lane().await;
        lane.accept(1).await;
        lane
    });
    let accepted = outcome.unwrap();
    let mut lane = peer.lane(lane_open(0, 1)).await;
    lane.write(&own_entry(1, accepted.client_seq)).await;
    let entry = next_entry(&mut events).await;
    assert!(entry.is_own && entry.from_this_device);
    assert_eq!((entry.sender, entry.unread_after), (user("alice"), 0));
    let Some(Content::Message(message)) = entry.content else { panic!("no content") };
    assert_eq!(message.body, "mine");
}

#[tokio::test]
async fn own_entries_that_are_not_known_any_more_are_fetched_and_keep_their_place() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    let mut lane = peer.lane(lane_open(0, 4)).await;
    lane.entries(1..=1).await;
    lane.write(&own_entry(2, ClientSeq::new(7))).await;
    lane.write(&own_entry(3, ClientSeq::new(8))).await;
    lane.entries(4..=4).await;
    let (Frame::HistoryRequest(request), mut answers, _frames) = peer.next_stream().await else {
        panic!("no history request")
    };
    assert_eq!(request.from_seq.get(), 2);
    for seq in 2..=4 {
        let mut entry = entry(seq);
        if seq < 4 {
            entry.sender = user("alice");
        }
        answers.write_all(&Frame::Entry(entry).to_bytes()).await.unwrap();
    }
    let end = Frame::HistoryEnd(HistoryEnd { next_seq: None, head_seq: Seq::new(4) });
    answers.write_all(&end.to_bytes()).await.unwrap();
    answers.finish().unwrap();
    for seq in 1..=4 {
        let entry = next_entry(&mut events).await;
        assert_eq!((entry.seq.get(), entry.from_this_device), (seq, seq == 2 || seq == 3));
        let Some(Content::Message(message)) = entry.content else { panic!("no content") };
        assert_eq!(message.body, seq.to_string());
    }
}

#[tokio::test]
async fn an_app_that_does_not_read_holds_back_the_server_and_loses_nothing() {
    let server = Server::start();
    let (client, mut events, peer) = server.connected().await;
    let lane = peer.lane(lane_open(0, 2_000)).await;
    let body = "x".repeat(8_000);
    let written = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = std::sync::Arc::clone(&written);
    let writer = tokio::spawn(async move {
        let mut lane = lane;
        for seq in 1..=2_000 {
            let content = Content::try_from(text(&body)).unwrap().encode();
            lane.write(&Frame::Entry(fulmar_protocol::Entry { content, ..entry(seq) })).await;
            count.store(seq, std::sync::atomic::Ordering::Relaxed);
        }
        lane
    });
    // 16 MB do not fit: about 1 MiB of events, the QUIC window of a stream, and the server's own buffers.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = written.load(std::sync::atomic::Ordering::Relaxed);
        if now == before && now > 0 {
            break;
        }
        before = now;
    }
    assert!(before < 1_900, "{before} entries went to an app that does not read");
    // Meanwhile the rest works.
    let bob = client.direct(&user("bob")).unwrap();
    let (outcome, _) =
        tokio::join!(bob.send(text("still here")), async { peer.send_lane().await.accept(1).await });
    outcome.unwrap();
    for seq in 1..=2_000 {
        assert_eq!(next_entry(&mut events).await.seq.get(), seq);
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn a_slow_app_does_not_mix_up_two_lanes_of_a_conversation() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    let body = "x".repeat(60_000);
    let big = |seq| {
        let content = Content::try_from(text(&body)).unwrap().encode();
        Frame::Entry(fulmar_protocol::Entry { content, ..entry(seq) })
    };
    let mut first = peer.lane(lane_open(0, 40)).await;
    // The second lane comes while the first, more than the app's queue holds, is on its way.
    let mut second = peer.lane(lane_open(40, 80)).await;
    let write = async {
        let first = async {
            for seq in 1..=40 {
                first.write(&big(seq)).await;
            }
            first.finish().await;
        };
        let second = async {
            for seq in 41..=80 {
                second.write(&big(seq)).await;
            }
        };
        tokio::join!(first, second);
    };
    let read = async {
        for seq in 1..=80 {
            assert_eq!(next_entry(&mut events).await.seq.get(), seq);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("both lanes", async { tokio::join!(write, read) }).await;
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
            other => panic!("{other:?}"),
        });
    }
    told.sort();
    assert_eq!(told, ["Online", "typing false", "typing true"]);
}

#[tokio::test]
async fn all_pages_of_the_inbox_are_fetched() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let item = |n: u8| InboxItem {
        conversation_id: fulmar_client::ConversationId::new([1, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            .unwrap(),
        peer: Some(user("bob")),
        title: fulmar_protocol::Title::default(),
        head_seq: Seq::new(9),
        head_ordinal: Ordinal::new(9),
        read_seq: Seq::new(4),
        read_ordinal: Ordinal::new(4),
        last_at: fulmar_protocol::TimestampMs::new(1),
        role: None,
        cursor_seq: Seq::ZERO,
    };
    let (items, ()) = tokio::join!(client.inbox(), async {
        for page in 0..2 {
            let (Frame::InboxRequest(request), mut answers, _frames) = peer.next_stream().await else {
                panic!("no inbox request")
            };
            assert_eq!(request.after_conversation_id.is_some(), page == 1);
            for n in page * 2..page * 2 + 2 {
                answers.write_all(&Frame::InboxItem(item(n)).to_bytes()).await.unwrap();
            }
            let next = (page == 0).then(|| item(1).conversation_id);
            let end = Frame::InboxEnd(InboxEnd { next_conversation_id: next });
            answers.write_all(&end.to_bytes()).await.unwrap();
            answers.finish().unwrap();
        }
    });
    let items = items.unwrap();
    assert_eq!(items.len(), 4);
    assert_eq!(items[0].unread, 5);
}

#[tokio::test]
async fn a_request_that_is_refused_tells_the_code() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let conversation = client.conversation(with_bob());
    let (page, ()) = tokio::join!(conversation.history(HistoryQuery::newest()), async {
        let (_, mut answers, _frames) = peer.next_stream().await;
        let problem = fulmar_protocol::Problem {
            code: fulmar_client::ErrorCode::NotAMember,
            message: "no".into(),
            conversation_id: None,
            batch: None,
            retry_after: None,
        };
        answers.write_all(&Frame::Problem(problem).to_bytes()).await.unwrap();
        answers.finish().unwrap();
    });
    assert_eq!(page.unwrap_err().code(), Some(fulmar_client::ErrorCode::NotAMember));
    soon("a ping's frame", async { tokio::join!(client.ping(), async { drop(peer) }) }).await.0.unwrap_err();
}
