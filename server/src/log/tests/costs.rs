//! What each operation reads and writes, exactly, on every back end: nobody adds a read to the hot path unseen. A
//! number that changes here changes what a message costs, and is to be weighed.

use std::time::Duration;

use fulmar_protocol::{CursorState, SessionNumber};

use super::*;
use crate::{
    log::{CursorClaim, LogError},
    rows::{Key, NodeNumber, SessionKey},
    store::{MemoryDisk, StoreTallied, StoreTally, TransactionTally},
};

/// A log on one back end, whose transactions are counted.
struct Counted {
    fixture: Fixture,
    tally: StoreTally,
}

async fn every_back_end() -> Vec<Counted> {
    let mut counted = Vec::new();
    let mut add = |store: Store, tally: StoreTally| {
        let folder = tempfile::tempdir().unwrap();
        counted.push(Counted { fixture: Fixture::on(store, folder, LimitsConfig::default(), None), tally });
    };
    let options = || {
        let tally = StoreTally::default();
        (StoreOptions { tally: Some(tally.clone()), ..StoreOptions::default() }, tally)
    };
    let (memory, tally) = options();
    add(Store::memory(&MemoryDisk::new(Duration::ZERO), memory), tally);
    let (embedded, tally) = options();
    // The folder lives as long as the test's process does.
    add(Store::open(tempfile::tempdir().unwrap().keep().join("store"), embedded).unwrap(), tally);
    #[cfg(feature = "foundationdb")]
    if let Some(cluster_file) = std::env::var_os("FULMAR_FDB_CLUSTER_FILE") {
        let (foundationdb, tally) = options();
        // A prefix for each test, which has a thread with its name.
        let thread = std::thread::current();
        let test = thread.name().and_then(|name| name.rsplit("::").next()).unwrap();
        let place = crate::store::FoundationDbOptions {
            cluster_file: cluster_file.into(),
            prefix: format!("test/{test}"),
        };
        let store = Store::open_foundationdb(&place, foundationdb).await.unwrap();
        let clear = store.run(|transaction| {
            Box::pin(async move {
                transaction.clear_range(crate::store::KeyRange::all());
                Ok::<_, crate::store::StoreError>(())
            })
        });
        clear.await.unwrap();
        add(store, tally);
    }
    counted
}

impl Counted {
    /// Since the last look; of a transaction that ran again, its last run.
    fn transaction(&self) -> TransactionTally {
        let counted = self.tally.take();
        assert_eq!(
            (counted.snapshot_gets, counted.snapshot_ranges),
            (0, 0),
            "no reads but the transaction's"
        );
        *counted.transactions.last().unwrap()
    }

    fn forget(&self) {
        let _: StoreTallied = self.tally.take();
    }

    /// A conversation that somebody has open, as those are that are written to: its roster is remembered.
    async fn direct(&self) -> (ConversationId, Arc<super::super::Conversation>) {
        let id = ConversationId::direct(&user("ann"), &user("bob"));
        let open = self.fixture.log.conversation(id);
        self.fixture.direct(2).await;
        self.forget();
        (id, open)
    }
}

const NOTHING: TransactionTally =
    TransactionTally { gets: 0, ranges: 0, sets: 0, byte_maxes: 0, clears: 0, range_clears: 0 };

#[tokio::test]
async fn a_message_in_a_direct_conversation() {
    for counted in every_back_end().await {
        let (id, _open) = counted.direct().await;
        counted.fixture.send_as("ann", id, 3, &text("3"), Some("bob")).await;
        // Head, the sender's window and count of bytes; the same and the entry; two inboxes and the own read mark.
        assert_eq!(counted.transaction(), TransactionTally { gets: 3, sets: 4, byte_maxes: 3, ..NOTHING });
    }
}

#[tokio::test]
async fn sixteen_messages_in_one_batch() {
    for counted in every_back_end().await {
        let (id, _open) = counted.direct().await;
        let mut answers = Vec::new();
        for number in 3..19 {
            let content = text("more").encode();
            answers.push(counted.fixture.submit("ann", 1, id, number, content, Some("bob")).await);
        }
        for answer in answers {
            assert!(matches!(answer.await.unwrap().unwrap(), SendOutcome::Accepted { .. }));
        }
        // Fifteen entries more, and nothing else.
        assert_eq!(counted.transaction(), TransactionTally { gets: 3, sets: 19, byte_maxes: 3, ..NOTHING });
    }
}

#[tokio::test]
async fn a_message_in_a_group_of_twenty() {
    let others: Vec<String> = (1..20).map(|number| format!("user{number}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    for counted in every_back_end().await {
        let id = counted.fixture.group(&others, HistoryPolicy::All).await;
        let _open = counted.fixture.log.conversation(id);
        counted.fixture.send_as("ann", id, 2, &text("2"), None).await;
        counted.forget();
        counted.fixture.send_as("ann", id, 3, &text("3"), None).await;
        // An inbox row for each member.
        assert_eq!(counted.transaction(), TransactionTally { gets: 3, sets: 4, byte_maxes: 21, ..NOTHING });
    }
}

#[tokio::test]
async fn a_connect() {
    for counted in every_back_end().await {
        let (id, _open) = counted.direct().await;
        let (ann, bob) = (user("ann"), user("bob"));
        counted.fixture.log.register_device(&bob, &device(&bob, 1), None).await.unwrap();
        counted.forget();
        let log = &counted.fixture.log;
        log.register_device(&bob, &device(&bob, 1), None).await.unwrap();
        let registered = counted.transaction();
        // Owner of the device, the time before which tokens are refused; blocks.
        assert_eq!(registered, TransactionTally { gets: 2, ranges: 1, sets: 1, ..NOTHING });
        // In a cluster: that its node has a lease; the user's sessions; the session's row, and its copy under the node.
        let node = NodeNumber::new(1);
        let lease = counted.fixture.store.run(move |transaction| {
            transaction.set(&Key::node(node), "a lease");
            Box::pin(async { Ok::<_, LogError>(()) })
        });
        lease.await.unwrap();
        counted.forget();
        let session = SessionKey { device: device(&bob, 1), number: SessionNumber::new(1), node };
        log.register_device(&bob, &device(&bob, 1), Some(session)).await.unwrap();
        let registered = counted.transaction();
        assert_eq!(registered, TransactionTally { gets: 3, ranges: 2, sets: 3, ..NOTHING });
        log.behind(&log.snapshot(), &bob, &device(&bob, 1), 10).await.unwrap();
        let inbox = counted.tally.take();
        assert_eq!((inbox.snapshot_gets, inbox.snapshot_ranges), (0, 2), "inbox and cursors");
        log.lane_start(&ann, &device(&ann, 1), id).await.unwrap();
        let lane = counted.tally.take();
        assert_eq!((lane.snapshot_gets, lane.snapshot_ranges), (9, 0));
    }
}

#[tokio::test]
async fn a_cursor_and_a_mark() {
    for counted in every_back_end().await {
        let id = counted.fixture.direct(3).await;
        let bob = user("bob");
        counted.forget();
        let mut cursor = CursorState::default();
        cursor.confirm(Seq::new(3));
        let cursor = CursorClaim { conversation: id, cursor, sent: Seq::new(3) };
        counted.fixture.log.confirm(&bob, &device(&bob, 1), vec![cursor], Vec::new()).await.unwrap();
        let confirmed = counted.tally.take();
        assert_eq!(
            confirmed.transactions.last(),
            Some(&TransactionTally { gets: 1, sets: 1, byte_maxes: 1, ..NOTHING })
        );
        let read = fulmar_protocol::ReadMark { conversation_id: id, seq: Seq::new(2) };
        counted.fixture.log.confirm(&bob, &device(&bob, 1), Vec::new(), vec![read]).await.unwrap();
        let marked = counted.tally.take();
        assert_eq!(marked.transactions.last(), Some(&TransactionTally { gets: 4, byte_maxes: 1, ..NOTHING }));
    }
}

#[test]
fn conflict_ranges_follow_from_reads_and_writes() {
    let tally = TransactionTally { gets: 2, ranges: 1, sets: 3, byte_maxes: 4, clears: 5, range_clears: 6 };
    assert_eq!((tally.read_conflict_ranges(), tally.write_conflict_ranges()), (3, 18));
}
