//! Sends and their answers; numbers; duplicates; what reaches whom.

use fulmar_interop_tests::{
    SendLane, TestServer, contents,
    contents::{react, reply, text},
    direct,
};
use fulmar_protocol::{Content, ErrorCode, Frame, Seq};

fn both() -> fulmar_protocol::ConversationId {
    direct("alice", "bob")
}

/// The codes of the next answers, or the seqs of those accepted.
async fn answers(lane: &mut SendLane, count: usize) -> Vec<Result<u64, ErrorCode>> {
    let mut answers = Vec::new();
    for _ in 0..count {
        answers.push(lane.answer().await.map(|it| it.seq.get()).map_err(|it| it.code));
    }
    answers
}

// FUL-SEND-1, FUL-SEND-6, FUL-CONV-2, FUL-CONV-18, FUL-LANE-1, FUL-LANE-3, FUL-LANE-6
#[tokio::test]
async fn a_first_message_needs_nothing_before_it() {
    let server = TestServer::start().await;
    let mut bob = server.connect("bob", 1).await;
    let alice = server.connect("alice", 1).await;
    let accepted = alice.direct("bob").await.ask(&text("hello")).await.unwrap();
    assert_eq!(accepted.seq, Seq::FIRST);
    let mut lane = bob.lane(both()).await;
    assert_eq!(lane.open.peer, Some(alice.user.clone()));
    assert_eq!(lane.open.role, Some(fulmar_protocol::Role::Member));
    assert_eq!(lane.open.next_client_seq.get(), 1);
    lane.catch_up().await;
    let entry = lane.delivered[0].clone();
    assert!(matches!(
        &entry,
        fulmar_interop_tests::Delivered::Entry(entry)
            if entry.sender == alice.user && entry.at == accepted.at && entry.client_seq.get() == 1
                && entry.content == text("hello").encode()
    ));
    assert_eq!(bob.direct("alice").await.send(&text("hello yourself")).await, 2);
}

// FUL-SEND-14, FUL-LANE-9, FUL-LANE-13, FUL-SEC-7
#[tokio::test]
async fn every_device_of_both_users_gets_it_and_the_sending_one_by_reference() {
    let server = TestServer::start().await;
    let mut devices = Vec::new();
    for (name, number) in [("alice", 1), ("alice", 2), ("bob", 1), ("bob", 2)] {
        devices.push(server.connect(name, number).await);
    }
    let mut lane = devices[0].direct("bob").await;
    lane.send(&text("one")).await;
    lane.send(&react(1, "👍")).await;
    for (at, device) in devices.iter_mut().enumerate() {
        let mut lane = device.lane(both()).await;
        let says = lane.up_to(2).await.says();
        assert_eq!(says, if at == 0 { ["own", "own"] } else { ["one", "-"] }, "device {at}");
    }
}

// FUL-SEND-10, FUL-SEND-14, FUL-CONV-6, FUL-CONV-8
#[tokio::test]
async fn pipelined_sends_keep_their_order_across_batches() {
    let server = TestServer::start().await;
    let mut bob = server.connect("bob", 1).await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    let total = 300;
    let (mut put, mut last_at) = (0, fulmar_protocol::TimestampMs::new(0));
    for answered in 1..=total {
        while put < total && put < answered - 1 + 64 {
            put += 1;
            lane.put(put, &text(&put.to_string())).await;
        }
        let accepted = lane.answer().await.unwrap();
        assert_eq!((accepted.client_seq.get(), accepted.seq.get()), (answered, answered));
        assert!(accepted.at >= last_at, "time goes back");
        last_at = accepted.at;
    }
    let (log, _) = bob.log(both(), total).await;
    let expected: Vec<_> = (1..=total).map(|number| number.to_string()).collect();
    assert_eq!(log.iter().map(fulmar_interop_tests::Delivered::says).collect::<Vec<_>>(), expected);
}

// FUL-SEND-12, FUL-SEND-13, FUL-SEND-14
#[tokio::test]
async fn what_is_sent_again_on_another_connection_appears_once_and_gets_the_old_answer() {
    let mut server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    let mut first = Vec::new();
    for number in 1..=5 {
        lane.put(number, &text(&number.to_string())).await;
        first.push(lane.answer().await.unwrap());
    }
    alice.vanish();
    for restarted in [false, true] {
        if restarted {
            server.restart().await;
        }
        let alice = server.connect("alice", 1).await;
        let mut lane = alice.direct("bob").await;
        for number in 2..=6 {
            lane.put(number, &text(&number.to_string())).await;
        }
        for old in &first[1..] {
            assert_eq!(lane.answer().await.unwrap(), *old);
        }
        assert_eq!(lane.answer().await.unwrap().seq, Seq::new(6));
        assert_eq!(alice.whole_log(both()).await.len(), 6);
    }
    assert_eq!(server.metric("fulmar_duplicates_removed_total"), 5.0);
}

// FUL-SEND-13, FUL-SEND-15
#[tokio::test]
async fn a_number_that_jumps_is_told_which_one_is_expected() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    lane.send(&text("one")).await;
    lane.put(3, &text("three")).await;
    let refused = lane.answer().await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::ClientSeqAhead);
    assert_eq!(refused.expected_client_seq.map(|seq| seq.get()), Some(2));
    lane.put(2, &text("two")).await;
    lane.put(3, &text("three")).await;
    assert_eq!(answers(&mut lane, 2).await, [Ok(2), Ok(3)]);
}

// FUL-SEND-13, FUL-SEND-16, FUL-SEND-22
#[tokio::test]
async fn a_number_that_comes_back_with_another_body_is_refused_and_so_is_one_too_old_to_tell() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    for number in 1..=70 {
        lane.send(&text(&number.to_string())).await;
    }
    lane.put(7, &text("7")).await;
    lane.put(6, &text("6")).await;
    // From then on nothing on the lane is to be trusted: another device counts under this one's id.
    lane.put(71, &text("71")).await;
    let reused = ErrorCode::ClientSeqReused;
    assert_eq!(answers(&mut lane, 3).await, [Ok(7), Err(reused), Err(reused)]);
    lane.close().await;
    let mut lane = alice.direct("bob").await;
    lane.put(70, &text("another")).await;
    assert_eq!(answers(&mut lane, 1).await, [Err(reused)]);
    assert_eq!(alice.whole_log(both()).await.len(), 70);
    // Another device counts for itself.
    let other = server.connect("alice", 2).await;
    assert_eq!(other.direct("bob").await.send(&text("another")).await, 71);
}

// FUL-SEND-16, FUL-SEND-17, FUL-SEND-18
#[tokio::test]
async fn a_refusal_for_good_takes_its_number_and_is_repeated() {
    let mut server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    lane.send(&text("one")).await;
    let misplaced = contents::set_title("not a group");
    assert_eq!(lane.refused(&misplaced).await, ErrorCode::NotPermitted);
    lane.put(2, &misplaced).await;
    assert_eq!(answers(&mut lane, 1).await, [Err(ErrorCode::NotPermitted)]);
    assert_eq!(lane.send(&text("two")).await, 2, "under number 3");
    drop(alice);
    server.restart().await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    lane.put(2, &misplaced).await;
    lane.put(2, &text("another body")).await;
    let refused = [Err(ErrorCode::NotPermitted), Err(ErrorCode::ClientSeqReused)];
    assert_eq!(answers(&mut lane, 2).await, refused);
    assert_eq!(alice.whole_log(both()).await.len(), 2);
}

// FUL-SEND-16, FUL-SEND-19, FUL-ERR-6
#[tokio::test]
async fn a_refusal_that_time_mends_takes_no_number() {
    let server = TestServer::with_config(|config| {
        config.limits.sends_burst = 3;
        config.limits.sends_per_second = 1;
    })
    .await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    for number in 1..=5 {
        lane.put(number, &text(&number.to_string())).await;
    }
    assert_eq!(answers(&mut lane, 3).await, [Ok(1), Ok(2), Ok(3)]);
    let refused = lane.answer().await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RateLimited);
    let wait = refused.retry_after.expect("how long to wait");
    assert!(!wait.is_zero() && wait.as_secs() <= 1, "{wait:?}");
    assert_eq!(lane.answer().await.unwrap_err().code, ErrorCode::RateLimited);
    // A real wait: for as long as the server said.
    tokio::time::sleep(wait).await;
    lane.put(4, &text("4")).await;
    assert_eq!(answers(&mut lane, 1).await, [Ok(4)]);
}

// FUL-SEND-6, FUL-SEND-16, FUL-CONV-12, FUL-CONV-18
#[tokio::test]
async fn a_conversation_begins_with_a_message_or_a_group_and_nothing_else() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    for content in [react(1, "👍"), contents::edit(1, "x"), contents::redact(1), contents::set_title("x")] {
        lane.put(1, &content).await;
        let answer = answers(&mut lane, 1).await;
        assert_eq!(answer, [Err(ErrorCode::TargetNotFound)], "{content:?}");
    }
    lane.put(1, &reply("to nothing", 1)).await;
    assert_eq!(answers(&mut lane, 1).await, [Err(ErrorCode::TargetNotFound)]);
    lane.put(1, &text("hello")).await;
    assert_eq!(answers(&mut lane, 1).await, [Ok(1)], "none of them took the number");
    let mut group = alice.group(contents::group("alice", 1)).await;
    assert_eq!(group.refused(&text("hello")).await, ErrorCode::ConversationNotFound);
}

// FUL-CONV-4, FUL-SEND-2
#[tokio::test]
async fn notes_to_oneself_are_a_conversation_like_any_other() {
    let server = TestServer::start().await;
    let phone = server.connect("alice", 1).await;
    let mut tablet = server.connect("alice", 2).await;
    phone.direct("alice").await.send(&text("buy milk")).await;
    let mut lane = tablet.lane(direct("alice", "alice")).await;
    assert_eq!(lane.open.peer, Some(phone.user.clone()));
    assert_eq!(lane.catch_up().await.says(), ["buy milk"]);
    assert_eq!(lane.unread(), 0);
}

// FUL-CONV-12, FUL-CONV-13, FUL-CONV-14, FUL-CONV-9
#[tokio::test]
async fn replies_edits_and_reactions_need_a_message_that_is_there() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let bob = server.connect("bob", 1).await;
    let mut from_alice = alice.direct("bob").await;
    let mut from_bob = bob.direct("alice").await;
    from_alice.send(&text("one")).await;
    assert_eq!(from_bob.send(&reply("two", 1)).await, 2);
    assert_eq!(from_bob.send(&react(1, "👍")).await, 3);
    assert_eq!(from_bob.send(&react(1, "👍")).await, 4, "once more is no error");
    assert_eq!(from_alice.send(&contents::edit(1, "one, better")).await, 5);
    assert_eq!(from_bob.send(&reply("to a reaction", 3)).await, 6);
    let refusals: [(Content, ErrorCode); 7] = [
        (contents::edit(1, "mine now"), ErrorCode::NotPermitted),
        (contents::redact(1), ErrorCode::NotPermitted),
        (reply("?", 99), ErrorCode::TargetNotFound),
        (react(99, "👍"), ErrorCode::TargetNotFound),
        (contents::edit(99, "x"), ErrorCode::TargetNotFound),
        (contents::redact(99), ErrorCode::TargetNotFound),
        (react(3, "👍"), ErrorCode::TargetNotSuitable),
    ];
    for (content, code) in refusals {
        assert_eq!(from_bob.refused(&content).await, code, "{content:?}");
    }
    assert_eq!(
        from_alice.refused(&contents::edit(5, "an edit of an edit")).await,
        ErrorCode::TargetNotSuitable
    );
}

// FUL-CONV-13
#[tokio::test]
async fn a_message_is_edited_a_hundred_times_and_no_more() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    lane.send(&text("one")).await;
    lane.send(&text("two")).await;
    for number in 0..100 {
        lane.send(&contents::edit(1, &number.to_string())).await;
    }
    assert_eq!(lane.refused(&contents::edit(1, "once more")).await, ErrorCode::TooManyEdits);
    lane.send(&contents::edit(2, "another message")).await;
    lane.send(&contents::redact(1)).await;
    let log = alice.whole_log(both()).await;
    let left = log.iter().filter(|entry| entry.says() != "-").count();
    assert_eq!(left, 2, "the second message and its edit are all that still says something");
}

// FUL-SEND-3, FUL-SEND-4
#[tokio::test]
async fn a_second_lane_is_refused_and_the_first_left_alone_until_it_ends() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut first = alice.direct("bob").await;
    first.send(&text("one")).await;
    let mut second = alice.direct("bob").await;
    assert_eq!(second.stream.stopped().await, ErrorCode::LaneAlreadyOpen);
    let end = second.stream.end().await;
    assert_eq!(end, fulmar_interop_tests::StreamEnd::Reset(ErrorCode::LaneAlreadyOpen));
    first.put(2, &text("two")).await;
    first.stream.finish();
    assert!(matches!(first.stream.frame().await, Frame::Accepted(accepted) if accepted.seq == Seq::new(2)));
    assert_eq!(first.stream.end().await, fulmar_interop_tests::StreamEnd::Finished);
    assert_eq!(alice.direct("bob").await.continue_at(3).send(&text("three")).await, 3);
}

// FUL-SEND-5, FUL-SEND-11
#[tokio::test]
async fn more_than_sixty_four_unanswered_end_the_lane_and_no_more_than_it() {
    let server = TestServer::start().await;
    let mut alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    let sends = (1..=2_000).map(|number| {
        let client_seq = fulmar_protocol::ClientSeq::new(number);
        Frame::Send(fulmar_protocol::Send { client_seq, content: text("quick").encode() })
    });
    let mut bytes = bytes::BytesMut::new();
    sends.for_each(|send| send.encode(&mut bytes));
    lane.stream.write_bytes(bytes).await;
    let mut answered = 0;
    let end = loop {
        match fulmar_interop_tests::within("an answer", lane.stream.next()).await {
            Ok(Frame::Accepted(accepted)) => answered = accepted.client_seq.get(),
            Ok(other) => panic!("{other:?}"),
            Err(end) => break end,
        }
    };
    assert_eq!(end, fulmar_interop_tests::StreamEnd::Reset(ErrorCode::TooManyUnanswered));
    alice.ping().await;
    // What was taken in before is in the log, answered or not, and counts.
    let mut lane = alice.direct("bob").await;
    let expected = lane.expected().await;
    assert!(expected > answered && expected > 64, "{expected} {answered}");
    assert_eq!(alice.whole_log(both()).await.len() as u64, expected - 1);
    lane.continue_at(expected).send(&text("more")).await;
}
