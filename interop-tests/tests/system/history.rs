//! Pages of the log and of the inbox, on request streams.

use fulmar_interop_tests::{
    Delivered, TestServer,
    contents::{self, add, create_group, group, remove, text},
    direct, user,
};
use fulmar_protocol::{ConversationId, Direction, ErrorCode, Frame, HistoryPolicy, Ordinal, Seq};

use crate::{delivery::send_numbers, groups::founded};

fn both() -> ConversationId {
    direct("alice", "bob")
}

// FUL-REQ-1, FUL-REQ-7, FUL-REQ-8, FUL-REQ-9, FUL-REQ-10, FUL-REQ-11
#[tokio::test]
async fn pages_account_for_every_seq_in_both_directions_at_every_limit() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    send_numbers(&mut alice.direct("bob").await, 1..=100).await;
    for limit in [1, 7, 100, 256] {
        for direction in [Direction::Forward, Direction::Backward] {
            let (mut from, mut seqs) = (0, Vec::new());
            loop {
                let page = alice.history(both(), from, direction, limit).await.unwrap();
                assert!(page.entries().count() <= limit as usize && page.head == 100);
                seqs.extend(page.ranges().iter().map(|(first, _)| *first));
                from = page.next;
                if from == 0 {
                    break;
                }
            }
            if direction == Direction::Backward {
                seqs.reverse();
            }
            assert_eq!(seqs, (1..=100).collect::<Vec<_>>(), "limit {limit}, {direction:?}");
        }
    }
    for (from, direction, expected) in [
        (101, Direction::Forward, vec![]),
        (u64::MAX, Direction::Forward, vec![]),
        (99, Direction::Forward, vec![(99, 99), (100, 100)]),
        (u64::MAX, Direction::Backward, vec![(100, 100), (99, 99)]),
        (1, Direction::Backward, vec![(1, 1)]),
    ] {
        let page = alice.history(both(), from, direction, 2).await.unwrap();
        assert_eq!(page.ranges(), expected, "from {from}, {direction:?}");
    }
    for limit in [0, 257] {
        let refused = alice.history(both(), 1, Direction::Forward, limit).await.unwrap_err();
        assert_eq!(refused, ErrorCode::RangeInvalid);
    }
}

// FUL-REQ-6, FUL-REQ-12, FUL-REQ-2
#[tokio::test]
async fn history_is_for_those_who_were_there() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    alice.direct("bob").await.send(&text("private")).await;
    let mut mallory = server.connect("mallory", 1).await;
    for id in [both(), direct("alice", "nobody"), group("alice", 1)] {
        let refused = mallory.history(id, 1, Direction::Forward, 10).await.unwrap_err();
        assert_eq!(refused, ErrorCode::ConversationNotFound);
        let confirmation = mallory.confirm(&[], &[(id, 1)]).await;
        assert_eq!(confirmation.codes(), [ErrorCode::ConversationNotFound]);
    }
    assert_eq!(mallory_lane_refusal(&mallory).await, ErrorCode::DirectIdMismatch);
    assert_eq!(mallory.inbox_page(None, 256).await.unwrap().0, []);
}

async fn mallory_lane_refusal(mallory: &fulmar_interop_tests::WireClient) -> ErrorCode {
    mallory.send_lane(both(), Some("bob")).await.stream.stopped().await
}

// FUL-REQ-8, FUL-CONV-27
#[tokio::test]
async fn hidden_ranges_are_holes_in_pages_of_every_size() {
    let server = TestServer::start().await;
    let (alice, mut lane, id) = founded(&server, &["bob"], HistoryPolicy::FromJoining).await;
    // Bob reads 1..=3, 6..=8 and 11..=12.
    for _ in 0..2 {
        lane.send(&text("seen")).await;
        lane.send(&remove(&["bob"])).await;
        lane.send(&text("unseen")).await;
        lane.send(&text("unseen")).await;
        lane.send(&add(&["bob"])).await;
    }
    lane.send(&text("seen")).await;
    assert_eq!(alice.whole_log(id).await.len(), 12);
    let bob = server.connect("bob", 1).await;
    let all = [(1, 1), (2, 2), (3, 3), (4, 5), (6, 6), (7, 7), (8, 8), (9, 10), (11, 11), (12, 12)];
    for limit in 1..=10 {
        let (mut from, mut forward) = (1, Vec::new());
        while from > 0 {
            let page = bob.history(id, from, Direction::Forward, limit).await.unwrap();
            forward.extend(page.ranges());
            from = page.next;
        }
        assert_eq!(forward, all, "forwards, limit {limit}");
        let mut backward = Vec::new();
        from = u64::MAX;
        while from > 0 {
            let page = bob.history(id, from, Direction::Backward, limit).await.unwrap();
            backward.extend(page.ranges());
            from = page.next;
        }
        backward.reverse();
        assert_eq!(backward, all, "backwards, limit {limit}");
    }
    let middle = bob.history(id, 5, Direction::Forward, 1).await.unwrap();
    assert_eq!(middle.ranges(), [(5, 5), (6, 6)]);
    let middle = bob.history(id, 5, Direction::Backward, 1).await.unwrap();
    assert_eq!(middle.ranges(), [(4, 5), (3, 3)]);
}

// FUL-REQ-3, FUL-REQ-8, FUL-LANE-8
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn history_and_what_is_live_agree_while_somebody_writes() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    send_numbers(&mut lane, 1..=50).await;
    let mut bob = server.connect("bob", 1).await;
    let mut live = bob.lane(both()).await;
    let writing = tokio::spawn(async move {
        send_numbers(&mut lane, 51..=600).await;
        alice
    });
    let mut paged: Vec<Delivered> = Vec::new();
    while paged.len() < 600 {
        let from = paged.len() as u64 + 1;
        let page = bob.history(both(), from, Direction::Forward, 37).await.unwrap();
        assert!(page.items.iter().all(|item| matches!(item, Delivered::Entry(_))));
        paged.extend(page.items);
    }
    live.up_to(600).await;
    assert_eq!(paged, live.delivered);
    drop(writing.await.unwrap());
}

// FUL-REQ-4
#[tokio::test]
async fn a_request_that_nobody_awaits_any_more_harms_nothing() {
    let server = TestServer::start().await;
    let mut alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    for _ in 0..40 {
        lane.send(&contents::bytes(vec![b'x'; 60_000])).await;
    }
    for _ in 0..100 {
        let mut stream = alice.open_stream().await;
        let request = fulmar_protocol::HistoryRequest {
            conversation_id: both(),
            from_seq: Seq::FIRST,
            direction: Direction::Forward,
            limit: 256,
        };
        stream.write(&Frame::HistoryRequest(request)).await;
        stream.stop(ErrorCode::NoError);
        stream.reset(ErrorCode::NoError);
    }
    alice.ping().await;
    assert_eq!(alice.whole_log(both()).await.len(), 40);
}

// FUL-REQ-13, FUL-REQ-14, FUL-REQ-15
#[tokio::test]
async fn the_inbox_lists_every_conversation_once_at_every_limit() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut bob = server.connect("bob", 1).await;
    for nonce in 1..=12 {
        let mut lane = alice.group(group("alice", nonce)).await;
        lane.send(&create_group(nonce, &["bob"], HistoryPolicy::All)).await;
        if nonce == 12 {
            lane.send(&remove(&["bob"])).await;
            lane.send(&text("unseen")).await;
        }
        lane.close().await;
    }
    let mut direct_lane = alice.direct("bob").await;
    direct_lane.send(&text("one")).await;
    let accepted = direct_lane.ask(&text("two")).await.unwrap();
    let mut whole = Vec::new();
    for limit in [1, 3, 13, 14, 256] {
        let (mut after, mut items) = (None, Vec::new());
        loop {
            let (page, next) = bob.inbox_page(after, limit).await.unwrap();
            assert!(!page.is_empty(), "an empty page was promised, limit {limit}");
            items.extend(page);
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(items.len(), 13, "limit {limit}");
        assert!(items.is_sorted_by_key(|item| *item.conversation_id.as_bytes()));
        whole = items;
    }
    let item = whole.iter().find(|item| item.conversation_id == both()).unwrap();
    assert_eq!((item.peer.clone(), item.head_seq), (Some(user("alice")), Seq::new(2)));
    assert_eq!((item.head_ordinal, item.read_ordinal), (Ordinal::new(2), Ordinal::ZERO));
    assert_eq!((item.last_at, item.cursor_seq), (accepted.at, Seq::ZERO));
    bob.log(both(), 2).await;
    bob.have(both(), 2).await;
    bob.read(both(), 1).await;
    let item = bob.inbox_item(both()).await.unwrap();
    assert_eq!((item.cursor_seq, item.read_seq, item.read_ordinal.get()), (Seq::new(2), Seq::FIRST, 1));
    for limit in [0, 257] {
        assert_eq!(bob.inbox_page(None, limit).await.unwrap_err(), ErrorCode::RangeInvalid);
    }
}
