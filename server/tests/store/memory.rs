//! The in-memory back end: the suite, and what only it does. What is about files, threads or an exclusive lock
//! (`embedded`, `maintenance`) has nothing to ask of it; its faults are asked here and in `faults`.

use std::time::Duration;

use fulmar_server::{Health, MemoryDisk, RunError, Store, StoreError, StoreFault, StoreOptions};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    conformance::{conformance, conformance_of_serial},
    get, keys, run_err, set,
};

conformance!(open());
conformance_of_serial!(open());

const SYNC: Duration = Duration::from_millis(10);

fn open() -> (Store, MemoryDisk) {
    // No time: the suite runs on the machine's clock.
    let disk = MemoryDisk::new(Duration::ZERO);
    (reopen(&disk), disk)
}

fn reopen(disk: &MemoryDisk) -> Store {
    Store::memory(disk, StoreOptions::default())
}

fn faulty(disk: &MemoryDisk, fault: StoreFault) -> Store {
    let mut options = StoreOptions::default();
    options.fault = Some(fault);
    Store::memory(disk, options)
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_exactly_what_was_answered_is_there() {
    let disk = MemoryDisk::new(SYNC);
    let mut wanted = Vec::new();
    for round in 0..20_u8 {
        let store = reopen(&disk);
        let writes: Vec<_> = (0..10_u8)
            .map(|key| {
                let store = store.clone();
                tokio::spawn(async move {
                    sleep(Duration::from_millis(u64::from(key) * 7)).await;
                    set(&store, &[round, key], b"").await;
                    vec![round, key]
                })
            })
            .collect();
        sleep(Duration::from_millis(u64::from(round) * 4 + 1)).await;
        disk.crash();
        for write in writes {
            // Whoever is not answered gets an error; nobody waits for ever.
            if let Ok(answered) = timeout(SYNC * 20, write).await.unwrap() {
                wanted.push(answered);
            }
        }
        assert_eq!(keys(&reopen(&disk)).await, wanted, "round {round}");
    }
    assert!(wanted.len() > 50 && wanted.len() < 200, "{}", wanted.len());
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_disk_crashed_is_dead_at_once() {
    let disk = MemoryDisk::new(SYNC);
    let store = reopen(&disk);
    set(&store, b"a", b"").await;
    disk.crash();
    let error = run_err(&store, |tx| {
        Box::pin(async move {
            tx.set(b"b", "");
            Ok(())
        })
    });
    assert!(matches!(error.await, StoreError::Failed { .. }));
    assert!(matches!(store.health(), Health::Failed { .. }));
    let other = reopen(&disk);
    set(&other, b"c", b"").await;
    assert_eq!(keys(&other).await, [b"a", b"c"]);
    store.close().await;
    assert_eq!(keys(&other).await, [b"a", b"c"]);
}

#[tokio::test(start_paused = true)]
async fn one_sync_takes_its_time_and_serves_all_that_wait() {
    let store = reopen(&MemoryDisk::new(SYNC));
    let begun = Instant::now();
    set(&store, b"k", b"").await;
    assert_eq!(begun.elapsed(), SYNC);
    let writes: Vec<_> = (0..100_u8)
        .map(|key| {
            let store = store.clone();
            tokio::spawn(async move { set(&store, &[key], b"").await })
        })
        .collect();
    for write in writes {
        write.await.unwrap();
    }
    assert_eq!(begun.elapsed(), SYNC * 2);
}

/// A process that is killed loses nothing that it handed to the system, answered or not.
#[tokio::test(start_paused = true)]
async fn opening_cuts_off_the_store_that_had_the_disk() {
    let disk = MemoryDisk::new(SYNC);
    let killed = reopen(&disk);
    let write = {
        let killed = killed.clone();
        tokio::spawn(async move { set(&killed, b"written", b"").await })
    };
    sleep(SYNC / 2).await;
    let store = reopen(&disk);
    set(&store, b"new", b"").await;
    assert!(write.await.is_err());
    assert!(matches!(killed.health(), Health::Failed { .. }));
    assert_eq!(keys(&store).await, [b"new".to_vec(), b"written".to_vec()]);
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_a_disk_of_its_own() {
    let disk = MemoryDisk::new(SYNC);
    let store = reopen(&disk);
    set(&store, b"a", b"1").await;
    let backup = disk.snapshot_copy();
    set(&store, b"a", b"2").await;
    set(&store, b"b", b"2").await;
    disk.restore(&backup);
    assert!(store.run(|_| Box::pin(async { Ok::<_, StoreError>(()) })).await.is_err());
    let store = reopen(&disk);
    assert_eq!((get(&store, b"a").await, get(&store, b"b").await), (Some(b"1".to_vec()), None));
    set(&store, b"a", b"3").await;
    assert_eq!(get(&reopen(&backup), b"a").await, Some(b"1".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn answers_before_the_sync_are_lost_in_a_crash() {
    let disk = MemoryDisk::new(SYNC);
    let store = faulty(&disk, StoreFault::AnswerBeforeSync);
    set(&store, b"a", b"").await;
    set(&store, b"b", b"").await;
    // The answer to `b` waited for the sync of `a`; its own is under way.
    assert_eq!(keys(&store).await, [b"a", b"b"]);
    disk.crash();
    assert_eq!(keys(&reopen(&disk)).await, [b"a"]);
}

#[tokio::test(start_paused = true)]
async fn without_syncs_a_crash_loses_everything_since_opening() {
    let disk = MemoryDisk::new(SYNC);
    let store = reopen(&disk);
    set(&store, b"before", b"").await;
    store.close().await;
    let store = faulty(&disk, StoreFault::SkipSync);
    set(&store, b"after", b"").await;
    disk.crash();
    assert_eq!(keys(&reopen(&disk)).await, [b"before"]);
}

#[tokio::test(start_paused = true)]
async fn closing_runs_what_was_handed_in_before() {
    let disk = MemoryDisk::new(SYNC);
    let store = reopen(&disk);
    let writes: Vec<_> = (0..50_u8)
        .map(|key| {
            let store = store.clone();
            tokio::spawn(async move { set(&store, &[key], b"").await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    for write in writes {
        write.await.unwrap();
    }
    assert_eq!(keys(&reopen(&disk)).await.len(), 50);
    let closed = store.run(|_| Box::pin(async { Ok::<_, StoreError>(()) })).await;
    assert_eq!(closed, Err(RunError::Store(StoreError::Closed)));
}
