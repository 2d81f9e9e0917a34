//! What reaches a device, and in which order: offline, far behind, many conversations, slow readers.

use std::time::Duration;

use fulmar_interop_tests::{
    Delivered, DialOptions, SendLane, StreamEnd, TestServer,
    contents::{self, create_group, group, text},
    direct, within, within_time,
};
use fulmar_protocol::{ConversationId, Frame, HistoryPolicy, HoleReason, Seq};
use tokio::task::JoinSet;

fn both() -> ConversationId {
    direct("alice", "bob")
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Sends messages that say their own number, many at once, and waits for all answers.
pub(crate) async fn send_numbers(lane: &mut SendLane, range: std::ops::RangeInclusive<u64>) {
    let all: Vec<_> = range.collect();
    for chunk in all.chunks(64) {
        let first = lane.next;
        let sends = chunk.iter().zip(first..).map(|(number, client_seq)| {
            let client_seq = fulmar_protocol::ClientSeq::new(client_seq);
            let content = text(&number.to_string()).encode();
            Frame::Send(fulmar_protocol::Send { client_seq, content })
        });
        lane.stream.write_all(sends).await;
        for _ in chunk {
            lane.answer().await.unwrap();
        }
        lane.next += chunk.len() as u64;
    }
}

// FUL-LANE-3, FUL-LANE-5, FUL-LANE-8, FUL-LANE-16
#[tokio::test]
async fn what_came_while_a_device_was_away_comes_before_what_is_live() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    send_numbers(&mut lane, 1..=100).await;
    let mut bob = server.connect("bob", 1).await;
    let mut to_bob = bob.lane(both()).await;
    to_bob.up_to(40).await;
    send_numbers(&mut lane, 101..=150).await;
    assert_eq!(to_bob.up_to(150).await.says(), numbers(1..=150));
    assert!(to_bob.caught_up.unwrap() >= Seq::new(100));
    bob.have(both(), 120).await;
    bob.vanish();
    let mut bob = server.connect("bob", 1).await;
    let mut to_bob = bob.lane(both()).await;
    assert_eq!(to_bob.open.next_seq, Seq::new(121));
    assert_eq!(to_bob.catch_up().await.says(), numbers(121..=150));
}

// FUL-LANE-15, FUL-LANE-12, FUL-MARK-11, FUL-MARK-16
#[tokio::test]
async fn a_device_more_than_a_thousand_behind_gets_the_newest_and_a_name_for_the_rest() {
    let server = TestServer::start().await;
    let mut alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    send_numbers(&mut lane, 1..=1_040).await;
    let mut bob = server.connect("bob", 1).await;
    let mut to_bob = bob.lane(both()).await;
    to_bob.catch_up().await;
    assert!(matches!(&to_bob.delivered[0], Delivered::Hole(hole) if hole.reason == HoleReason::Skipped));
    assert_eq!(to_bob.delivered[0].range(), (1, 40));
    assert_eq!(to_bob.says()[1..], numbers(41..=1_040));
    let confirmation = bob.confirm(&[(both(), 1_040, &[(1, 40)])], &[]).await;
    assert_eq!(confirmation.codes(), []);
    let mut to_alice = alice.lane(both()).await;
    to_alice.up_to(1_040).await;
    let page = bob.history(both(), 40, fulmar_protocol::Direction::Backward, 100).await.unwrap();
    assert_eq!((page.entries().count(), page.next), (40, 0));
    assert_eq!(bob.confirm(&[(both(), 1_040, &[])], &[]).await.codes(), []);
    to_alice.until("all delivered", |lane| lane.marks_of("bob").0 == 1_040).await;
}

// FUL-LANE-15, FUL-SESS-8
#[tokio::test]
async fn a_device_may_ask_for_less_backlog_or_none_and_misses_nothing_that_comes_live() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    send_numbers(&mut lane, 1..=30).await;
    for (backlog_entries_max, kept) in [(10, 21), (1, 30), (0, 31)] {
        let options = DialOptions { backlog_entries_max, ..DialOptions::default() };
        let mut bob = server.connect_with("bob", kept, options).await;
        let mut to_bob = bob.lane(both()).await;
        to_bob.catch_up().await;
        let first_kept = u64::from(kept);
        assert_eq!(to_bob.delivered[0].range(), (1, first_kept - 1));
        assert_eq!(to_bob.says()[1..], numbers(first_kept..=30));
    }
    let options = DialOptions { backlog_entries_max: 0, ..DialOptions::default() };
    let mut bob = server.connect_with("bob", 1, options).await;
    bob.lane(both()).await.catch_up().await;
    // No lane of these was open when the first entry came.
    let carol = server.connect("carol", 1).await;
    let mut from_carol = carol.direct("bob").await;
    let mut own = carol.group(group("carol", 1)).await;
    send_numbers(&mut from_carol, 1..=2).await;
    own.send(&create_group(1, &["bob"], HistoryPolicy::All)).await;
    assert_eq!(bob.lane(direct("carol", "bob")).await.up_to(2).await.says(), numbers(1..=2));
    assert_eq!(bob.lane(group("carol", 1)).await.up_to(1).await.says(), ["-"]);
}

// FUL-SEND-12, FUL-SEND-13, FUL-LANE-13, FUL-LANE-9
#[tokio::test]
async fn a_connection_lost_in_the_middle_of_sending_loses_and_repeats_nothing() {
    let server = TestServer::start().await;
    let mut bob = server.connect("bob", 1).await;
    let mut unanswered = 1;
    let mut next = 1;
    for _ in 0..6 {
        let alice = server.connect("alice", 1).await;
        let mut lane = alice.direct("bob").await;
        let until = (unanswered + 64).min(301);
        for number in unanswered..until {
            lane.put(number, &text(&number.to_string())).await;
        }
        next = next.max(until);
        // Some answers, then silence in the middle of the others.
        for _ in 0..20.min(until - unanswered) {
            let answered = lane.answer().await.unwrap();
            assert_eq!(answered.seq.get(), answered.client_seq.get());
            unanswered = answered.client_seq.get() + 1;
        }
        alice.vanish();
    }
    let mut alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    for number in unanswered..next {
        lane.put(number, &text(&number.to_string())).await;
    }
    for number in unanswered..next {
        assert_eq!(lane.answer().await.unwrap().seq.get(), number);
    }
    let total = next - 1;
    let says: Vec<_> = bob.log(both(), total).await.0.iter().map(Delivered::says).collect();
    assert_eq!(says, numbers(1..=total));
    let own = alice.log(both(), total).await.0;
    assert!(own.iter().all(|delivered| matches!(delivered, Delivered::Own(_))));
    assert_eq!(alice.whole_log(both()).await.len() as u64, total);
}

// FUL-LANE-23, FUL-MARK-7, FUL-LANE-5
#[tokio::test]
async fn a_connection_lost_in_the_middle_of_receiving_goes_on_from_the_cursor() {
    let mut server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    send_numbers(&mut alice.direct("bob").await, 1..=500).await;
    drop(alice);
    let mut had = 0;
    let mut log = Vec::new();
    for lost in 0..10 {
        let mut bob = server.connect("bob", 1).await;
        let mut lane = bob.lane(both()).await;
        assert_eq!(lane.open.next_seq.get(), had + 1);
        lane.up_to(had + 37).await;
        had += 37;
        log.extend(lane.says().into_iter().take(37));
        bob.have(both(), had).await;
        match lost {
            4 => server.restart().await,
            7 => {
                server.crash();
                server.start_again().await;
            }
            _ => bob.vanish(),
        }
    }
    let mut bob = server.connect("bob", 1).await;
    log.extend(bob.lane(both()).await.up_to(500).await.says());
    assert_eq!(log, numbers(1..=500));
}

// FUL-LANE-2, FUL-LANE-3, FUL-LANE-4, FUL-TRANS-10
#[tokio::test]
async fn two_hundred_conversations_behind_at_once_all_arrive_within_the_limit_on_lanes() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    for nonce in 1..=200 {
        let mut lane = alice.group(group("alice", nonce)).await;
        lane.put(1, &create_group(nonce, &["bob"], HistoryPolicy::All)).await;
        lane.put(2, &text(&format!("in {nonce}"))).await;
        lane.answer().await.unwrap();
        lane.answer().await.unwrap();
        lane.close().await;
    }
    drop(alice);
    let mut bob = server.connect("bob", 1).await;
    let mut seen = std::collections::HashSet::new();
    let mut reading = JoinSet::new();
    while seen.len() < 200 {
        let mut lane = bob.next_lane().await;
        lane.catch_up().await;
        assert_eq!(lane.next, Seq::new(3));
        assert!(seen.insert(lane.conversation()), "a second lane of {}", lane.conversation());
        bob.have(lane.conversation(), 2).await;
        // To its end: only then is there room for another.
        reading.spawn(async move { lane.end_at_last().await });
    }
    let (page, next) = bob.inbox_page(None, 200).await.unwrap();
    assert_eq!((page.len(), next), (200, None));
}

// FUL-LANE-4, FUL-TRANS-13
#[tokio::test]
async fn what_is_live_does_not_wait_for_what_is_behind() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let big = contents::bytes(vec![b'x'; 60_000]);
    for nonce in 1..=70 {
        let mut lane = alice.group(group("alice", nonce)).await;
        lane.send(&create_group(nonce, &["bob"], HistoryPolicy::All)).await;
        for _ in 0..5 {
            lane.send(&big).await;
        }
        lane.close().await;
    }
    // Bob reads none of it, and his windows are small.
    let options = DialOptions { stream_receive_window: 32 * 1024, ..DialOptions::default() };
    let mut bob = server.connect_with("bob", 1, options).await;
    let mut behind = bob.next_lane().await;
    behind.up_to(1).await;
    let carol = server.connect("carol", 1).await;
    let mut from_carol = carol.direct("bob").await;
    for number in 1..=5 {
        from_carol.send(&text(&number.to_string())).await;
    }
    let mut live = bob.lane(direct("carol", "bob")).await;
    assert_eq!(live.up_to(5).await.says(), numbers(1..=5));
    assert!(server.metric("fulmar_log_lanes_behind") <= 48.0);
}

// FUL-SESS-33, FUL-LANE-23
#[tokio::test]
async fn news_for_more_conversations_than_lanes_finds_a_lane_that_idles() {
    let server = TestServer::start().await;
    let mut bob = server.connect("bob", 1).await;
    let alice = server.connect("alice", 1).await;
    let mut reading = JoinSet::new();
    for nonce in 1..=100 {
        let mut lane = alice.group(group("alice", nonce)).await;
        lane.send(&create_group(nonce, &["bob"], HistoryPolicy::All)).await;
        lane.close().await;
        let mut to_bob = bob.lane(group("alice", nonce)).await;
        assert_eq!(to_bob.up_to(1).await.says(), ["-"]);
        bob.have(to_bob.conversation(), 1).await;
        reading.spawn(async move { (nonce, to_bob.end_at_last().await) });
    }
    // The first ones were ended to make room; they come back with news.
    let (nonce, end) = within("the end of a lane", reading.join_next()).await.unwrap().unwrap();
    assert_eq!(end, StreamEnd::Finished);
    let mut lane = alice.group(group("alice", nonce)).await.continue_at(2);
    lane.send(&text("back")).await;
    assert_eq!(bob.lane(group("alice", nonce)).await.up_to(2).await.says(), ["back"]);
}

// FUL-SESS-24, FUL-SESS-26, FUL-LANE-3
#[tokio::test]
async fn who_watches_as_many_as_allowed_still_gets_news_of_others() {
    let server = TestServer::start().await;
    let mut bob = server.connect("bob", 1).await;
    let alice = server.connect("alice", 1).await;
    let mut reading = JoinSet::new();
    let mut watched = Vec::new();
    for nonce in 1..=fulmar_protocol::limits::WATCHED_CONVERSATIONS_MAX {
        let nonce = u8::try_from(nonce).unwrap();
        let mut lane = alice.group(group("alice", nonce)).await;
        lane.send(&create_group(nonce, &["bob"], HistoryPolicy::All)).await;
        lane.close().await;
        watched.push(group("alice", nonce));
    }
    bob.watch(&watched).await;
    for id in &watched {
        let mut lane = bob.lane(*id).await;
        lane.catch_up().await;
        reading.spawn(async move { lane.end_at_last().await });
    }
    for number in 1..=20 {
        let carol = server.connect(&format!("carol{number}"), 1).await;
        carol.direct("bob").await.send(&text("hello")).await;
        let mut lane = bob.lane(direct(carol.user.as_str(), "bob")).await;
        assert_eq!(lane.up_to(1).await.says(), ["hello"]);
        bob.have(lane.conversation(), 1).await;
        reading.spawn(async move { lane.end_at_last().await });
    }
}

// FUL-LIM-6, FUL-LIM-5
#[tokio::test]
async fn who_does_not_read_delays_nobody_else() {
    let server = TestServer::start().await;
    let options = DialOptions { receive_window: 20_000, ..DialOptions::default() };
    let mut deaf = server.connect_with("bob", 1, options).await;
    let mut bob = server.connect("bob", 2).await;
    let mut alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    let mut to_bob = None;
    for number in 1..=300 {
        lane.send(&contents::bytes(vec![b'x'; 10_000])).await;
        if to_bob.is_none() {
            to_bob = Some(bob.lane(both()).await);
        }
        let arrived = to_bob.as_mut().unwrap().up_to(number);
        within_time(Duration::from_secs(5), "the entry on the other device", arrived).await;
    }
    alice.ping().await;
    bob.ping().await;
    // It is behind and nothing more: once it reads, it gets everything.
    let mut late = deaf.lane(both()).await;
    assert_eq!(late.up_to(300).await.delivered.len(), 300);
}
