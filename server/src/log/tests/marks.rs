//! Cursors, marks, and the arithmetic of unread.

use fulmar_protocol::{CursorState, ReadMark, SeqRange};

use super::*;
use crate::log::CursorClaim;

fn claim(id: ConversationId, seq: u64, sent: u64) -> CursorClaim {
    let mut cursor = CursorState::default();
    cursor.confirm(Seq::new(seq));
    CursorClaim { conversation: id, cursor, sent: Seq::new(sent) }
}

fn read(id: ConversationId, seq: u64) -> ReadMark {
    ReadMark { conversation_id: id, seq: Seq::new(seq) }
}

async fn unread(fixture: &Fixture, name: &str, id: ConversationId) -> u64 {
    let user = user(name);
    let start = fixture.log.lane_start(&user, &device(&user, 1), id).await.unwrap().unwrap();
    start.head_ordinal.get() - start.read.ordinal.get()
}

#[tokio::test]
async fn delivered_is_what_a_device_confirmed_and_others_see_it() {
    let fixture = Fixture::new();
    let id = fixture.direct(5).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let refused = fixture.log.confirm(&bob, &device(&bob, 1), vec![claim(id, 4, 5)], vec![]).await.unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    let (marks, _) = fixture.log.marks(&ann, id).await.unwrap();
    assert_eq!((marks[0].delivered_seq, marks[0].read_seq), (Seq::new(4), Seq::ZERO));
    // A cursor never goes back, and neither does the mark.
    fixture.log.confirm(&bob, &device(&bob, 1), vec![claim(id, 2, 5)], vec![]).await.unwrap();
    assert_eq!(fixture.log.marks(&ann, id).await.unwrap().0[0].delivered_seq, Seq::new(4));
    let start = fixture.log.lane_start(&bob, &device(&bob, 1), id).await.unwrap().unwrap();
    assert_eq!(start.cursor, Seq::new(4));
}

#[tokio::test]
async fn a_skipped_range_holds_delivered_back_until_it_was_fetched() {
    let fixture = Fixture::new();
    let id = fixture.direct(9).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let mut cursor = CursorState::default();
    cursor.skip(SeqRange::new(Seq::new(1)..=Seq::new(4)).unwrap());
    cursor.confirm(Seq::new(9));
    let skipping = CursorClaim { conversation: id, cursor: cursor.clone(), sent: Seq::new(9) };
    fixture.log.confirm(&bob, &device(&bob, 1), vec![skipping], vec![]).await.unwrap();
    assert!(fixture.log.marks(&ann, id).await.unwrap().0.is_empty());
    cursor.fetched(SeqRange::new(Seq::new(1)..=Seq::new(4)).unwrap());
    let whole = CursorClaim { conversation: id, cursor, sent: Seq::new(9) };
    fixture.log.confirm(&bob, &device(&bob, 1), vec![whole], vec![]).await.unwrap();
    assert_eq!(fixture.log.marks(&ann, id).await.unwrap().0[0].delivered_seq, Seq::new(9));
}

#[tokio::test]
async fn claims_beyond_what_was_sent_or_what_there_is_are_refused_one_by_one() {
    let fixture = Fixture::new();
    let id = fixture.direct(3).await;
    let nowhere = ConversationId::direct(&user("bob"), &user("eve"));
    let bob = user("bob");
    let reads = vec![read(id, 4), read(nowhere, 1), read(id, 2)];
    let refused = fixture.log.confirm(&bob, &device(&bob, 1), vec![claim(id, 3, 2)], reads).await.unwrap();
    let refused: Vec<_> = refused.iter().map(|refusal| (refusal.conversation, refusal.code)).collect();
    assert_eq!(
        refused,
        [
            (id, ErrorCode::CursorBeyondSent),
            (id, ErrorCode::MarkBeyondHead),
            (nowhere, ErrorCode::ConversationNotFound)
        ]
    );
    assert_eq!(unread(&fixture, "bob", id).await, 1, "the good one was stored");
}

#[tokio::test]
async fn unread_counts_messages_of_others_and_nothing_else() {
    let fixture = Fixture::new();
    let id = fixture.group(&["bob"], HistoryPolicy::All).await;
    assert_eq!(unread(&fixture, "bob", id).await, 0, "creation");
    fixture.send("ann", id, &text("one")).await.unwrap();
    fixture.send("ann", id, &text("two")).await.unwrap();
    fixture.send("ann", id, &add(&["cid"])).await.unwrap();
    assert_eq!(unread(&fixture, "bob", id).await, 2, "a join does not count");
    assert_eq!(unread(&fixture, "cid", id).await, 0, "what came before joining is no news");
    assert_eq!(unread(&fixture, "ann", id).await, 0, "one's own");
    let bob = user("bob");
    fixture.log.confirm(&bob, &device(&bob, 1), vec![], vec![read(id, 2)]).await.unwrap();
    assert_eq!(unread(&fixture, "bob", id).await, 1);
    fixture.send("bob", id, &text("three")).await.unwrap();
    assert_eq!(unread(&fixture, "bob", id).await, 0, "who writes has read");
    assert_eq!(unread(&fixture, "ann", id).await, 1);
    assert_eq!(unread(&fixture, "cid", id).await, 1);
}

#[tokio::test]
async fn a_former_member_has_no_unread_growing_behind_their_back() {
    let fixture = Fixture::new();
    let id = fixture.group(&["bob"], HistoryPolicy::All).await;
    fixture.send("ann", id, &text("one")).await.unwrap();
    let remove = fulmar_protocol::RemoveMembers { users: users(&["bob"]) };
    fixture.send("ann", id, &Content::RemoveMembers(remove)).await.unwrap();
    for _ in 0..5 {
        fixture.send("ann", id, &text("more")).await.unwrap();
    }
    assert_eq!(unread(&fixture, "bob", id).await, 1);
}

#[tokio::test]
async fn a_full_batch_that_names_a_conversation_again_and_again_moves_nothing_back() {
    let fixture = Fixture::new();
    let id = fixture.direct(9).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let cursors = (0..128).map(|number| claim(id, 9 - number % 9, 9)).collect();
    let reads = (0..128).map(|number| read(id, 9 - number % 9)).collect();
    let refused = fixture.log.confirm(&bob, &device(&bob, 1), cursors, reads).await.unwrap();
    assert!(refused.is_empty(), "{refused:?}");
    let marks = fixture.log.marks(&ann, id).await.unwrap().0;
    assert_eq!((marks[0].delivered_seq, marks[0].read_seq), (Seq::new(9), Seq::new(9)));
    let start = fixture.log.lane_start(&bob, &device(&bob, 1), id).await.unwrap().unwrap();
    assert_eq!(start.cursor, Seq::new(9));
}
