//! From log lanes to events: each entry once, in order, across lanes, sessions and restarts.

use std::time::Duration;

use fulmar_client::{Content, Event, HoleReason, Seq, State};
use fulmar_protocol::{CaughtUp, ClientSeq, Frame, HistoryEnd, Hole, SeqRange};

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
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(1), b"cut");
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
    let (client, mut events, mut peer) = server.connected().await;
    let mut first = peer.lane(lane_open(0, 4)).await;
    first.entries(1..=2).await;
    for seq in 1..=2 {
        assert_eq!(next_entry(&mut events).await.seq.get(), seq);
    }
    let mut second = peer.lane(lane_open(4, 6)).await;
    second.entries(5..=6).await;
    // Time for the second lane to arrive.
    peer.pong(&client).await;
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
async fn an_own_entry_in_the_log_is_as_good_as_its_answer() {
    let server = Server::start();
    let (client, mut events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let mut lane = peer.lane(lane_open(0, 0)).await;
    lane.write(&Frame::CaughtUp(CaughtUp { seq: Seq::ZERO })).await;
    next_event(&mut events, "caught up", |event| matches!(event, Event::CaughtUp { .. }).then_some(())).await;
    let sending = bob.enqueue(text("mine")).await.unwrap();
    let send = peer.send_lane().await.next().await;
    lane.write(&own_entry(1, send.client_seq)).await;
    assert_eq!(soon("an answer", sending).await.unwrap().seq.get(), 1);
    let Some(Content::Message(message)) = next_entry(&mut events).await.content else { panic!("no content") };
    assert_eq!(message.body, "mine");
}

#[tokio::test]
async fn an_own_entry_from_before_the_lane_does_not_answer_a_send_of_its_number() {
    let server = Server::start();
    let (client, mut events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    // The state is a copy: the number was used for something else, which is in the log.
    let sending = bob.enqueue(text("new")).await.unwrap();
    let _send_lane = peer.send_lane().await;
    let open = fulmar_protocol::LaneOpen { next_client_seq: ClientSeq::new(2), ..lane_open(0, 1) };
    let mut lane = peer.lane(open).await;
    lane.write(&own_entry(1, sending.client_seq())).await;
    let (Frame::HistoryRequest(_), mut answers, _frames) = peer.next_stream().await else {
        panic!("no history request")
    };
    let old = fulmar_protocol::Entry { sender: user("alice"), ..entry(1) };
    let end = Frame::HistoryEnd(HistoryEnd { next_seq: None, head_seq: Seq::new(1) });
    answers.write_all(&[Frame::Entry(old).to_bytes(), end.to_bytes()].concat()).await.unwrap();
    answers.finish().unwrap();
    let Some(Content::Message(message)) = next_entry(&mut events).await.content else { panic!("no content") };
    assert_eq!(message.body, "1", "the entry was given the content of the unanswered send");
    let unanswered = tokio::time::timeout(Duration::from_millis(200), sending).await;
    assert!(unanswered.is_err(), "an old entry answered a new send");
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
    let (count, mut written) = tokio::sync::watch::channel(0);
    let writer = tokio::spawn(async move {
        let mut lane = lane;
        for seq in 1..=2_000 {
            let content = Content::try_from(text(&body)).unwrap().encode();
            lane.write(&Frame::Entry(fulmar_protocol::Entry { content, ..entry(seq) })).await;
            count.send_replace(seq);
        }
        lane
    });
    // 16 MB do not fit: about 1 MiB of events, the QUIC window of a stream, and the server's own buffers.
    let still = Duration::from_millis(500);
    while tokio::time::timeout(still, written.changed()).await.is_ok_and(|changed| changed.is_ok()) {}
    let before = *written.borrow();
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
    let big = move |seq| {
        let content = Content::try_from(text(&body)).unwrap().encode();
        Frame::Entry(fulmar_protocol::Entry { content, ..entry(seq) })
    };
    let mut first = peer.lane(lane_open(0, 40)).await;
    // The second lane comes while the first, more than the app's queue holds, is on its way.
    let mut second = peer.lane(lane_open(40, 80)).await;
    let mut writer = tokio::spawn(async move {
        let write_first = async {
            for seq in 1..=40 {
                first.write(&big(seq)).await;
            }
            first.finish().await;
        };
        let write_second = async {
            for seq in 41..=80 {
                second.write(&big(seq)).await;
            }
        };
        tokio::join!(write_first, write_second);
        second
    });
    let stalled = tokio::time::timeout(Duration::from_millis(500), &mut writer).await;
    assert!(stalled.is_err(), "all of it went to an app that does not read");
    for seq in 1..=80 {
        assert_eq!(next_entry(&mut events).await.seq.get(), seq);
    }
    drop(soon("both lanes", writer).await.unwrap());
}
