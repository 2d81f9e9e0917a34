//! One in-memory store that several servers share: the suite under conflicts and delays, and what may go wrong on the
//! way to it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fulmar_server::{
    Health, MemoryDisk, READ_TIME_MAX, RUN_TIME_MAX, SNAPSHOT_TIME_MAX, SharedHandle, SharedStore, Store,
    StoreError, StoreOptions, StoreTrouble,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    conformance::{conformance, conformance_of_serial},
    get, keys, number, run, run_err, set,
};

conformance!(open_in_conflict());
conformance_of_serial!(open_in_conflict());

const SYNC: Duration = Duration::from_millis(2);
const DELAY: Duration = Duration::from_millis(30);

/// Without delays: the suite runs on the machine's clock.
fn open_in_conflict() -> (Store, SharedStore) {
    let shared = SharedStore::open(&MemoryDisk::new(Duration::ZERO), StoreOptions::default());
    let handle = shared.handle(1);
    handle.set_trouble(StoreTrouble { conflicts_per_mille: 250, ..StoreTrouble::default() });
    (Store::shared(&handle), shared)
}

fn shared() -> SharedStore {
    SharedStore::open(&MemoryDisk::new(SYNC), StoreOptions::default())
}

fn troubled(shared: &SharedStore, seed: u64) -> (Store, SharedHandle) {
    let handle = shared.handle(seed);
    handle.set_trouble(StoreTrouble {
        delay_before_max: DELAY,
        delay_after_max: DELAY,
        conflicts_per_mille: 200,
        maybe_committed_per_mille: 200,
        unreachable: false,
    });
    (Store::shared(&handle), handle)
}

/// Counts up once, however often it runs: the row that says so is written with it.
async fn count_once(store: &Store, id: [u8; 2]) {
    run(store, move |tx| {
        Box::pin(async move {
            let done = [b"done".as_slice(), &id].concat();
            if tx.get(&done).await?.is_some() {
                return Ok(());
            }
            let next = number(tx.get(b"count").await?) + 1;
            tx.set(b"count", next.to_be_bytes().to_vec());
            tx.set(&done, "");
            Ok(())
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn servers_with_troubled_ways_to_one_store_lose_and_double_nothing() {
    let shared = shared();
    let mut tasks = JoinSet::new();
    let mut handles = Vec::new();
    for server in 0..5_u8 {
        let (store, handle) = troubled(&shared, server.into());
        handles.push(handle);
        for task in 0..8_u8 {
            let store = store.clone();
            tasks.spawn(async move {
                for step in 0..5_u8 {
                    count_once(&store, [server * 8 + task, step]).await;
                }
            });
        }
    }
    tasks.join_all().await;
    let store = Store::shared(&shared.handle(99));
    assert_eq!(number(get(&store, b"count").await), 5 * 8 * 5);
    for handle in handles {
        let counts = handle.counts();
        assert!(counts.conflicts > 0 && counts.lost > 0 && counts.committed_and_lost > 0, "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_what_goes_wrong() {
    let mut stories = Vec::new();
    for _ in 0..2 {
        let (store, handle) = troubled(&shared(), 7);
        let begun = Instant::now();
        for step in 0..50 {
            count_once(&store, [0, step]).await;
        }
        stories.push((begun.elapsed(), handle.counts()));
    }
    assert_eq!(stories[0], stories[1]);
}

/// Once an answer was lost, a conflict after it must not make the closure forget.
#[tokio::test(start_paused = true)]
async fn maybe_committed_is_sticky() {
    let shared = shared();
    let handle = shared.handle(3);
    let store = Store::shared(&handle);
    let always = |conflicts, maybe| StoreTrouble {
        conflicts_per_mille: conflicts,
        maybe_committed_per_mille: maybe,
        ..StoreTrouble::default()
    };
    handle.set_trouble(always(0, 1_000));
    let runs = Arc::new(AtomicU64::new(0));
    let flags = Arc::new(AtomicU64::new(0));
    let (counted, raised, trouble) = (Arc::clone(&runs), Arc::clone(&flags), handle.clone());
    run(&store, move |tx| {
        // The first answer is lost, then come two conflicts.
        match counted.fetch_add(1, Ordering::Relaxed) {
            0 => trouble.set_trouble(always(1_000, 0)),
            1 => {}
            _ => trouble.set_trouble(StoreTrouble::default()),
        }
        raised.fetch_add(u64::from(tx.maybe_committed()), Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    })
    .await;
    let runs = runs.load(Ordering::Relaxed);
    assert!(runs >= 4, "{runs}");
    assert_eq!(flags.load(Ordering::Relaxed), runs - 1);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_store_fails_requests_in_a_stated_time_and_recovers() {
    let shared = shared();
    let handle = shared.handle(1);
    let store = Store::shared(&handle);
    set(&store, b"a", b"1").await;
    handle.set_trouble(StoreTrouble { unreachable: true, ..StoreTrouble::default() });
    assert_eq!(store.health(), Health::Unreachable);
    let begun = Instant::now();
    let write = run_err(&store, |tx| {
        Box::pin(async move {
            tx.set(b"b", "");
            Ok(())
        })
    });
    let snapshot = store.snapshot();
    let (write, read) = tokio::join!(write, snapshot.get(b"a"));
    assert_eq!(write, StoreError::Unreachable { waited: RUN_TIME_MAX });
    assert_eq!(read, Err(StoreError::Unreachable { waited: READ_TIME_MAX }));
    assert_eq!(begun.elapsed(), RUN_TIME_MAX);
    // The others are not concerned, and who waits when it comes back is served.
    set(&Store::shared(&shared.handle(2)), b"c", b"").await;
    let late = tokio::spawn(async move { set(&store, b"d", b"").await });
    sleep(RUN_TIME_MAX / 2).await;
    handle.set_trouble(StoreTrouble::default());
    late.await.unwrap();
    let store = Store::shared(&handle);
    assert_eq!(store.health(), Health::Good);
    assert_eq!(keys(&store).await, [b"a", b"c", b"d"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_cut_off_hears_nothing_and_harms_nobody() {
    let shared = shared();
    let (store, handle) = troubled(&shared, 11);
    let writes: Vec<_> = (0..40_u8)
        .map(|key| {
            let store = store.clone();
            tokio::spawn(async move { set(&store, &[key], b"").await })
        })
        .collect();
    sleep(DELAY / 2).await;
    handle.cut_off();
    for write in writes {
        // Answered before, or an error at once.
        let _ = timeout(Duration::from_millis(1), write).await.unwrap();
    }
    assert!(matches!(store.health(), Health::Failed { .. }));
    assert!(store.snapshot().get(b"k").await.is_err());
    sleep(DELAY * 4).await;
    let other = Store::shared(&shared.handle(12));
    let arrived = keys(&other).await.len();
    assert!(arrived > 0 && arrived < 40, "{arrived}");
    set(&other, b"on", b"").await;
}

#[tokio::test(start_paused = true)]
async fn closing_ends_one_servers_use_of_the_store() {
    let shared = shared();
    let (one, other) = (Store::shared(&shared.handle(1)), Store::shared(&shared.handle(2)));
    set(&one, b"k", b"1").await;
    one.close().await;
    assert_eq!(one.health(), Health::Closed);
    assert_eq!(get(&other, b"k").await, Some(b"1".to_vec()));
    set(&other, b"l", b"").await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_the_stores_machine_loses_nothing_that_was_answered() {
    let shared = shared();
    let store = Store::shared(&shared.handle(1));
    let mut tasks = JoinSet::new();
    for key in 0..20_u8 {
        let store = store.clone();
        tasks.spawn(async move {
            sleep(Duration::from_millis(u64::from(key))).await;
            count_once(&store, [0, key]).await;
        });
    }
    for _ in 0..6 {
        sleep(Duration::from_millis(3)).await;
        shared.crash();
    }
    tasks.join_all().await;
    assert_eq!(number(get(&store, b"count").await), 20);
}

#[tokio::test(start_paused = true)]
async fn an_old_snapshot_says_so() {
    let store = Store::shared(&shared().handle(1));
    set(&store, b"k", b"").await;
    let snapshot = store.snapshot();
    assert!(snapshot.get(b"k").await.unwrap().is_some());
    sleep(SNAPSHOT_TIME_MAX + Duration::from_millis(1)).await;
    assert_eq!(snapshot.get(b"k").await, Err(StoreError::SnapshotTooOld));
    assert!(store.snapshot().get(b"k").await.unwrap().is_some());
}
