//! Pages of history, and where a lane starts.

use fulmar_protocol::{Direction, RemoveMembers};

use super::*;

fn seqs(page: &crate::log::history::HistoryPage) -> Vec<u64> {
    page.items
        .iter()
        .filter_map(|item| match item {
            crate::log::HistoryItem::Entry(entry) => Some(entry.seq.get()),
            crate::log::HistoryItem::Hole(_) => None,
        })
        .collect()
}

#[tokio::test]
async fn pages_go_both_ways_and_meet_without_gap_or_repeat() {
    let fixture = Fixture::new();
    let id = fixture.direct(10).await;
    let bob = user("bob");
    for (direction, mut expected) in
        [(Direction::Forward, (1..=10).collect::<Vec<_>>()), (Direction::Backward, (1..=10).rev().collect())]
    {
        let mut from = None;
        let mut all = Vec::new();
        loop {
            let page = fixture.log.history(&bob, id, from, direction, 4).await.unwrap();
            assert_eq!(page.head, Seq::new(10));
            assert!(page.items.len() <= 4);
            all.extend(seqs(&page));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(all, std::mem::take(&mut expected), "{direction:?}");
    }
}

#[tokio::test]
async fn a_page_past_the_end_is_empty() {
    let fixture = Fixture::new();
    let id = fixture.direct(3).await;
    let page = fixture.log.history(&user("bob"), id, Some(Seq::new(4)), Direction::Forward, 9).await.unwrap();
    assert!(page.items.is_empty() && page.next.is_none(), "{page:?}");
    let beyond = Some(Seq::MAX);
    let page = fixture.log.history(&user("bob"), id, beyond, Direction::Backward, 2).await.unwrap();
    assert_eq!(seqs(&page), [3, 2]);
}

#[tokio::test]
async fn a_lane_starts_at_the_cursor_and_knows_how_the_conversation_stands() {
    let fixture = Fixture::new();
    let id = fixture.direct(5).await;
    let bob = user("bob");
    let start = fixture.log.lane_start(&bob, &device(&bob, 1), id).await.unwrap().unwrap();
    assert_eq!((start.cursor, start.head_seq), (Seq::ZERO, Seq::new(5)));
    assert_eq!(start.peer, Some(user("ann")));
    assert_eq!(start.head_ordinal.get() - start.read.ordinal.get(), 5, "unread");
    let ann = user("ann");
    let start = fixture.log.lane_start(&ann, &device(&ann, 1), id).await.unwrap().unwrap();
    assert_eq!(start.head_ordinal, start.read.ordinal, "one's own messages are not unread");
    assert_eq!(start.next_client_seq, ClientSeq::new(6));
    assert!(fixture.log.lane_start(&user("eve"), &device(&ann, 9), id).await.unwrap().is_none());
}

#[tokio::test]
async fn entries_are_the_same_from_memory_and_from_the_store() {
    let fixture = Fixture::new();
    let id = fixture.direct(20).await;
    let held = fixture.log.conversation(id);
    fixture.send("ann", id, &text("in memory")).await.unwrap();
    let from_memory = fixture.log.entries(&held, Seq::new(21), 10).await.unwrap();
    assert!(from_memory[0].accepted.is_some(), "it came from memory");
    drop(held);
    let from_store = fixture.log.entries(&fixture.log.conversation(id), Seq::new(21), 10).await.unwrap();
    assert_eq!(from_store[0].frame, from_memory[0].frame);
    assert!(from_store[0].accepted.is_none(), "it came from the store");
}

/// One batch that removes somebody and goes on tells them of its end, which they may not read. Whoever looks for
/// what a device lacks must not find that again and again.
#[tokio::test]
async fn who_was_removed_reads_to_the_removal_whatever_the_inbox_says() {
    let fixture = Fixture::new();
    let id = fixture.group(&["bob"], HistoryPolicy::All).await;
    let remove = Content::RemoveMembers(RemoveMembers { users: users(&["bob"]) });
    let removed = fixture.submit("ann", 1, id, 2, remove.encode(), None).await;
    let after = fixture.submit("ann", 1, id, 3, text("among us").encode(), None).await;
    removed.await.unwrap().unwrap();
    after.await.unwrap().unwrap();
    let bob = user("bob");
    let Missed { behind, .. } =
        fixture.log.behind(&fixture.log.snapshot(), &bob, &device(&bob, 1), 10).await.unwrap();
    assert_eq!(
        behind.iter().map(|behind| (behind.seq, behind.cursor)).collect::<Vec<_>>(),
        [(Seq::new(3), Seq::ZERO)]
    );
    assert_eq!(fixture.log.readable_end(&bob, &id).await.unwrap(), Seq::new(2));
    assert_eq!(fixture.log.readable_end(&user("eve"), &id).await.unwrap(), Seq::ZERO);
}
