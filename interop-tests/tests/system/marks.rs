//! Cursors of devices, marks of users, and what is unread.

use fulmar_interop_tests::{
    LogLane, TestServer, WireClient,
    contents::{react, text},
    direct,
};
use fulmar_protocol::{
    BatchNumber, Confirm, ConversationId, ErrorCode, Frame, HistoryPolicy, Ordinal, ReadMark, Seq,
};

use crate::{delivery::send_numbers, groups::founded};

fn both() -> ConversationId {
    direct("alice", "bob")
}

/// Alice with her lane, after she sent this many messages, and bob with his, who has received them.
async fn received(server: &TestServer, messages: u64) -> ((WireClient, LogLane), (WireClient, LogLane)) {
    let mut alice = server.connect("alice", 1).await;
    let mut bob = server.connect("bob", 1).await;
    send_numbers(&mut alice.direct("bob").await, 1..=messages).await;
    let mut to_alice = alice.lane(both()).await;
    to_alice.up_to(messages).await;
    let mut to_bob = bob.lane(both()).await;
    to_bob.up_to(messages).await;
    ((alice, to_alice), (bob, to_bob))
}

async fn until_marks(lane: &mut LogLane, name: &str, marks: (u64, u64)) {
    lane.until(&format!("{name} at {marks:?}"), |lane| lane.marks_of(name) == marks).await;
}

// FUL-MARK-3, FUL-MARK-16, FUL-LANE-19, FUL-LANE-20, FUL-MARK-6
#[tokio::test]
async fn delivered_is_said_only_of_what_a_device_confirmed() {
    let server = TestServer::start().await;
    let ((_alice, mut to_alice), (mut bob, _)) = received(&server, 10).await;
    assert_eq!((to_alice.marks_of("bob"), to_alice.mark_frames), ((0, 0), 0));
    bob.have(both(), 4).await;
    until_marks(&mut to_alice, "bob", (4, 0)).await;
    bob.have(both(), 10).await;
    until_marks(&mut to_alice, "bob", (10, 0)).await;
    let tablet = server.connect("alice", 2).await.lane(both()).await;
    assert_eq!(tablet.marks_of("bob"), (10, 0), "after reconnecting");
}

// FUL-MARK-16, FUL-MARK-11, FUL-MARK-7
#[tokio::test]
async fn what_was_skipped_holds_delivered_back_until_it_was_fetched() {
    let server = TestServer::start().await;
    let ((_alice, mut to_alice), (mut bob, _)) = received(&server, 10).await;
    for (skipped, delivered) in
        [(&[(5, 6), (8, 8)][..], 4), (&[(6, 6), (8, 8)], 5), (&[(8, 8)], 7), (&[], 10)]
    {
        assert_eq!(bob.confirm(&[(both(), 10, skipped)], &[]).await.codes(), []);
        until_marks(&mut to_alice, "bob", (delivered, 0)).await;
    }
    // What was once delivered stays so, whatever a device says of its state.
    assert_eq!(bob.confirm(&[(both(), 10, &[(1, 9)])], &[]).await.codes(), []);
    assert_eq!(server.connect("alice", 2).await.lane(both()).await.marks_of("bob"), (10, 0));
}

// FUL-MARK-16
#[tokio::test]
async fn a_user_has_what_the_best_of_the_devices_has() {
    let server = TestServer::start().await;
    let ((_alice, mut to_alice), (mut phone, _)) = received(&server, 10).await;
    let mut tablet = server.connect("bob", 2).await;
    tablet.lane(both()).await.up_to(10).await;
    phone.have(both(), 3).await;
    until_marks(&mut to_alice, "bob", (3, 0)).await;
    tablet.have(both(), 8).await;
    until_marks(&mut to_alice, "bob", (8, 0)).await;
    phone.have(both(), 6).await;
    phone.read(both(), 1).await;
    until_marks(&mut to_alice, "bob", (8, 1)).await;
}

// FUL-MARK-17, FUL-LANE-19, FUL-LANE-7
#[tokio::test]
async fn read_marks_only_grow_and_are_seen_live_and_after_reconnecting_and_restarting() {
    let mut server = TestServer::start().await;
    let ((_alice, mut to_alice), (mut bob, _)) = received(&server, 10).await;
    bob.read(both(), 5).await;
    until_marks(&mut to_alice, "bob", (0, 5)).await;
    bob.read(both(), 3).await;
    bob.read(both(), 5).await;
    bob.read(both(), 7).await;
    until_marks(&mut to_alice, "bob", (0, 7)).await;
    server.restart().await;
    let tablet = server.connect("alice", 2).await.lane(both()).await;
    assert_eq!((tablet.marks_of("bob"), tablet.open.read_seq), ((0, 7), Seq::new(10)));
}

// FUL-MARK-21, FUL-MARK-22, FUL-LANE-17, FUL-MARK-19, FUL-CONV-7
#[tokio::test]
async fn unread_is_the_same_on_both_of_a_users_devices() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut from_alice = alice.direct("bob").await;
    from_alice.send(&text("1")).await;
    let (mut phone, mut tablet) = (server.connect("bob", 1).await, server.connect("bob", 2).await);
    let mut lanes = [phone.lane(both()).await, tablet.lane(both()).await];
    let mut from_tablet = tablet.direct("alice").await;
    from_alice.send(&text("2")).await;
    from_alice.send(&react(1, "👍")).await;
    from_alice.send(&text("4")).await;
    for lane in &mut lanes {
        assert_eq!(lane.up_to(4).await.unread(), 3, "a reaction does not count");
    }
    phone.read(both(), 3).await;
    for lane in &mut lanes {
        lane.until("the read mark", |lane| lane.read == (Seq::new(3), Ordinal::new(2))).await;
        assert_eq!(lane.unread(), 1);
    }
    from_tablet.send(&react(4, "👀")).await;
    for lane in &mut lanes {
        assert_eq!(lane.up_to(5).await.unread(), 0, "who reacts has read");
    }
    from_alice.send(&text("6")).await;
    for lane in &mut lanes {
        assert_eq!(lane.up_to(6).await.unread(), 1);
    }
    from_tablet.send(&text("7")).await;
    for lane in &mut lanes {
        assert_eq!(lane.up_to(7).await.unread(), 0, "one's own does not count");
    }
    from_alice.send(&text("8")).await;
    let item = phone.inbox_item(both()).await.unwrap();
    assert_eq!(item.head_ordinal.get() - item.read_ordinal.get(), 1);
    let again = server.connect("bob", 3).await.lane(both()).await;
    assert_eq!(again.open.head_ordinal.get() - again.open.read_ordinal.get(), 1);
}

// FUL-MARK-19, FUL-LANE-19
#[tokio::test]
async fn who_answers_has_read() {
    let server = TestServer::start().await;
    let ((_alice, mut to_alice), (bob, _)) = received(&server, 3).await;
    bob.direct("alice").await.send(&text("an answer, and no word of a mark")).await;
    to_alice.up_to(4).await;
    until_marks(&mut to_alice, "bob", (0, 4)).await;
}

// FUL-MARK-8, FUL-MARK-10, FUL-MARK-12, FUL-MARK-18, FUL-MARK-3, FUL-LIM-3
#[tokio::test]
async fn each_wrong_item_is_named_and_the_others_are_stored() {
    let server = TestServer::start().await;
    let ((alice, mut to_alice), (mut bob, _)) = received(&server, 20).await;
    let nowhere = direct("bob", "nobody");
    let seventeen: Vec<_> = (0..17).map(|number| (1 + number, 1 + number)).collect();
    let apart: Vec<_> = (0..17).map(|number| (1 + 2 * number, 1 + 2 * number)).collect();
    let invalid: [&[(u64, u64)]; 6] =
        [&[(3, 5), (5, 6)], &[(3, 5), (6, 7)], &[(6, 7), (3, 4)], &[(19, 21)], &seventeen, &apart];
    for skipped in invalid {
        let confirmation = bob.confirm(&[(both(), 20, skipped)], &[]).await;
        assert_eq!(confirmation.codes(), [ErrorCode::CursorInvalid], "{skipped:?}");
        assert_eq!(confirmation.problems[0].conversation_id, Some(both()));
        assert!(confirmation.confirmed);
    }
    let confirmation = bob
        .confirm(&[(both(), 21, &[]), (nowhere, 1, &[])], &[(both(), 21), (nowhere, 1), (both(), 5)])
        .await;
    let mut codes = confirmation.codes();
    codes.sort_by_key(|code| code.code());
    let beyond = ErrorCode::CursorBeyondSent;
    assert_eq!(
        codes,
        [ErrorCode::ConversationNotFound, beyond, beyond, ErrorCode::MarkBeyondHead],
        "the good one is not named"
    );
    until_marks(&mut to_alice, "bob", (0, 5)).await;
    let (_, members) = alice.roster(both()).await.unwrap();
    assert_eq!(members[1].delivered_seq, Seq::ZERO, "no cursor was taken");
}

// FUL-MARK-4
#[tokio::test]
async fn a_batch_with_too_many_items_is_refused_as_a_whole() {
    let server = TestServer::start().await;
    let ((_alice, mut to_alice), (mut bob, _)) = received(&server, 1).await;
    let read = ReadMark { conversation_id: both(), seq: Seq::FIRST };
    let batch = BatchNumber::new(7);
    bob.control(&Frame::Confirm(Confirm { batch, cursors: Vec::new(), reads: vec![read; 129] })).await;
    let refusal = bob.confirmation(batch).await;
    assert_eq!((refusal.confirmed, refusal.codes()), (false, vec![ErrorCode::TooManyInBatch]));
    let batch = BatchNumber::new(8);
    bob.control(&Frame::Confirm(Confirm { batch, cursors: Vec::new(), reads: vec![read; 128] })).await;
    let confirmation = bob.confirmation(batch).await;
    assert_eq!((confirmation.confirmed, confirmation.codes()), (true, vec![]));
    until_marks(&mut to_alice, "bob", (0, 1)).await;
}

// FUL-MARK-7, FUL-MARK-5, FUL-MARK-10
#[tokio::test]
async fn a_cursor_never_goes_back_and_a_lost_one_is_confirmed_again() {
    let server = TestServer::start().await;
    let (_alice, (mut bob, _)) = received(&server, 10).await;
    bob.have(both(), 6).await;
    bob.have(both(), 2).await;
    bob.vanish();
    let mut bob = server.connect("bob", 1).await;
    let mut lane = bob.lane(both()).await;
    assert_eq!(lane.open.next_seq, Seq::new(7));
    // A second device has its own.
    let mut tablet = server.connect("bob", 2).await;
    assert_eq!(tablet.lane(both()).await.open.next_seq, Seq::FIRST);
    lane.up_to(10).await;
    bob.have(both(), 10).await;
    assert_eq!(bob.inbox_item(both()).await.unwrap().cursor_seq, Seq::new(10));
    assert_eq!(tablet.inbox_item(both()).await.unwrap().cursor_seq, Seq::ZERO);
}

// FUL-LANE-7, FUL-LANE-19, FUL-SESS-27
#[tokio::test]
async fn in_a_group_everybody_sees_the_marks_of_everybody_else() {
    let server = TestServer::start().await;
    let (mut alice, mut lane, id) = founded(&server, &["bob", "carol"], HistoryPolicy::FromJoining).await;
    lane.send(&text("hello")).await;
    let (mut bob, mut carol) = (server.connect("bob", 1).await, server.connect("carol", 1).await);
    for (client, read) in [(&mut bob, 2), (&mut carol, 1)] {
        client.lane(id).await.up_to(2).await;
        client.have(id, 2).await;
        client.read(id, read).await;
    }
    let mut to_alice = alice.lane(id).await;
    until_marks(&mut to_alice, "bob", (2, 2)).await;
    until_marks(&mut to_alice, "carol", (2, 1)).await;
    alice.have(id, 2).await;
    // Nothing is new to bob when he comes back, but he watches: marks go on arriving.
    bob.vanish();
    let mut bob = server.connect("bob", 1).await;
    bob.watch(&[id]).await;
    let mut to_bob = bob.lane(id).await;
    assert_eq!((to_bob.marks_of("alice"), to_bob.marks_of("carol")), ((2, 2), (2, 1)));
    assert_eq!(to_bob.marks_of("bob"), (0, 0), "one's own are not among them");
    carol.read(id, 2).await;
    until_marks(&mut to_bob, "carol", (2, 2)).await;
}
