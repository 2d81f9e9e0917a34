//! What is held, what is forgotten, and what outlives a restart.

use super::*;
use crate::{
    clock::ManualClock,
    rows::ticket_of,
    store::{Store, StoreOptions},
};

const SETTINGS: SettingsDigest = [7; 16];

struct World {
    hands: ManualClock,
    metrics: Arc<Metrics>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let hands = ManualClock::new(TimestampMs::new(1_000_000_000_000));
        Self { hands, metrics: Metrics::new(), folder: tempfile::tempdir().unwrap() }
    }

    fn tickets(&self, tickets_max: usize) -> Arc<Tickets> {
        self.tickets_under(tickets_max, SETTINGS)
    }

    fn tickets_under(&self, tickets_max: usize, settings: SettingsDigest) -> Arc<Tickets> {
        Tickets::new(tickets_max, settings, Some(0), self.hands.clock(), Arc::clone(&self.metrics))
    }

    fn tickets_of(&self, server_id: Option<u32>) -> Arc<Tickets> {
        Tickets::new(1_000, SETTINGS, server_id, self.hands.clock(), Arc::clone(&self.metrics))
    }

    fn store(&self) -> Store {
        Store::open(self.folder.path().join("store"), StoreOptions::default()).unwrap()
    }

    fn metric(&self, name: &str) -> String {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name}")).to_owned()
    }
}

fn id(number: u8) -> Vec<u8> {
    vec![number; TICKET_ID_BYTES]
}

fn session(number: u8) -> Vec<u8> {
    vec![number; 100]
}

fn give(tickets: &Tickets, numbers: impl IntoIterator<Item = u8>) {
    for number in numbers {
        assert!(tickets.put(id(number), session(number)));
    }
}

/// Takes them all; those that are still good.
fn good(tickets: &Tickets, numbers: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let take = |number: &u8| {
        let taken = tickets.take(&id(*number));
        assert!(taken.as_ref().is_none_or(|taken| *taken == session(*number)));
        taken.is_some()
    };
    numbers.into_iter().filter(take).collect()
}

async fn rows(store: &Store) -> usize {
    store.snapshot().range(Key::tickets(0), 10_000, false).await.unwrap().len()
}

// FUL-TRANS-18
#[test]
fn a_ticket_is_taken_once() {
    let world = World::new();
    let tickets = world.tickets(10);
    give(&tickets, [1]);
    assert_eq!(tickets.get(&id(1)), None, "nobody looks without taking");
    assert_eq!(good(&tickets, [1, 1]), [1]);
    assert_eq!(tickets.take(b"of another length"), None);
    assert_eq!(world.metric("fulmar_tickets_refused_total"), "2");
    assert!(!tickets.put(id(2), vec![0; SESSION_BYTES_MAX + 1]), "the client is given none");
    assert!(!tickets.put(b"short".to_vec(), session(3)));
    assert_eq!(world.metric("fulmar_tickets"), "0");
}

#[test]
fn one_too_many_pushes_the_oldest_out() {
    let world = World::new();
    let tickets = world.tickets(3);
    give(&tickets, 1..=5);
    assert_eq!(world.metric("fulmar_tickets"), "3");
    // One given again under the same name is a new one.
    give(&tickets, [3, 6]);
    assert_eq!(good(&tickets, 1..=6), [3, 5, 6]);
    give(&tickets, 0..=255);
    assert_eq!(good(&tickets, 0..=255), [253, 254, 255]);
    let held = tickets.held.lock();
    assert!(held.by_id.is_empty() && held.order.is_empty() && held.to_clear.is_empty());
}

#[test]
fn what_waits_to_be_written_is_bounded_and_the_oldest_gives_way() {
    let world = World::new();
    let tickets = world.tickets(1_000_000);
    for number in 0..=u64::try_from(TICKET_WRITES_PENDING_MAX).unwrap() {
        let mut id = id(0);
        id[..8].copy_from_slice(&number.to_be_bytes());
        assert!(tickets.put(id, session(1)));
    }
    assert_eq!(tickets.held.lock().unwritten.len(), TICKET_WRITES_PENDING_MAX);
    assert_eq!(tickets.take(&id(0)), Some(session(1)), "it is good as long as the process lasts");
}

#[test]
fn a_ticket_lasts_a_day() {
    let world = World::new();
    let tickets = world.tickets(10);
    give(&tickets, [1, 2]);
    world.hands.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(good(&tickets, [1]), [1]);
    world.hands.advance(Duration::from_secs(1));
    assert_eq!(good(&tickets, [2]), [0; 0]);
    give(&tickets, [3, 4]);
    world.hands.advance(Duration::from_secs(24 * 3600));
    give(&tickets, [5]);
    tickets.forget_expired();
    assert_eq!(world.metric("fulmar_tickets"), "1");
}

// FUL-TRANS-18, FUL-SEC-12
#[tokio::test]
async fn a_ticket_outlives_a_restart_and_is_taken_once_across_it() {
    let world = World::new();
    let store = world.store();
    let tickets = world.tickets(1_000);
    give(&tickets, 1..=200);
    assert_eq!(good(&tickets, [7]), [7]);
    tickets.write(&store).await;
    assert_eq!(rows(&store).await, 199, "there was no row of the one that was taken before");
    assert_eq!(good(&tickets, [8]), [8]);
    tickets.write(&store).await;
    assert_eq!(rows(&store).await, 198);
    assert_eq!(world.metric("fulmar_tickets_stored_total"), "199");

    let after = world.tickets(1_000);
    after.load(&store).await.unwrap();
    assert_eq!(world.metric("fulmar_tickets"), "198");
    assert_eq!(good(&after, 1..=10), [1, 2, 3, 4, 5, 6, 9, 10]);
    after.write(&store).await;
    assert_eq!(rows(&store).await, 190);
}

// FUL-TRANS-19
#[tokio::test]
async fn tickets_of_other_settings_expired_ones_and_too_many_are_cleared_at_the_start() {
    let world = World::new();
    let store = world.store();
    let tickets = world.tickets(1_000);
    give(&tickets, [1]);
    world.hands.advance(Duration::from_secs(3600));
    give(&tickets, 2..=9);
    tickets.write(&store).await;

    let other = world.tickets_under(1_000, [8; 16]);
    other.load(&store).await.unwrap();
    assert_eq!(good(&other, 1..=9), [0; 0]);
    assert_eq!(rows(&store).await, 9, "cleared behind, not at once");

    let fewer = world.tickets(5);
    fewer.load(&store).await.unwrap();
    fewer.write(&store).await;
    assert_eq!(rows(&store).await, 5);
    assert_eq!(good(&fewer, 1..=9), [5, 6, 7, 8, 9], "the newest are kept");

    give(&fewer, [20]);
    fewer.write(&store).await;
    world.hands.set(TimestampMs::new(1_000_000_000_000 - 1));
    let set_back = world.tickets(5);
    set_back.load(&store).await.unwrap();
    assert_eq!(good(&set_back, [20]), [0; 0], "a clock that was set back prolongs nothing");
    set_back.write(&store).await;
    assert_eq!(rows(&store).await, 0);
}

// FUL-TRANS-18
#[tokio::test]
async fn servers_of_one_store_have_tickets_of_their_own() {
    let world = World::new();
    let store = world.store();
    let given = world.tickets_of(Some(7));
    give(&given, [1, 2]);
    given.write(&store).await;
    for other in [Some(0), Some(8), None] {
        let other = world.tickets_of(other);
        other.load(&store).await.unwrap();
        assert_eq!(good(&other, [1, 2]), [0; 0]);
        other.write(&store).await;
    }
    let again = world.tickets_of(Some(7));
    again.load(&store).await.unwrap();
    assert_eq!(good(&again, [1, 2]), [1, 2]);
}

#[tokio::test]
async fn a_server_without_rows_of_its_own_writes_none() {
    let world = World::new();
    let store = world.store();
    let tickets = world.tickets_of(None);
    give(&tickets, [1, 2]);
    tickets.write(&store).await;
    assert_eq!(rows(&store).await, 0);
    assert_eq!(good(&tickets, [1]), [1]);
}

#[tokio::test]
async fn a_row_that_does_not_decode_is_cleared_and_harms_nothing() {
    let world = World::new();
    let store = world.store();
    let tickets = world.tickets(10);
    give(&tickets, [1]);
    tickets.write(&store).await;
    let (key, _) = store.snapshot().range(Key::tickets(0), 1, false).await.unwrap().remove(0);
    assert!(ticket_of(&key).is_some());
    store
        .run(move |transaction| {
            let key = key.clone();
            Box::pin(async move {
                transaction.set(&key, &b"\x09rubbish"[..]);
                let mut short = key.to_vec();
                short.truncate(12);
                transaction.set(&short, &b""[..]);
                Ok::<_, crate::store::StoreError>(())
            })
        })
        .await
        .unwrap();
    let after = world.tickets(10);
    after.load(&store).await.unwrap();
    assert_eq!(good(&after, [1]), [0; 0]);
    after.write(&store).await;
    assert_eq!(rows(&store).await, 0);
}
