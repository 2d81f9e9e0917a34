//! What the store does when the disk fails it. Losing power is in `interop-tests/tests/power_cut`.

use std::time::Duration;

use fulmar_server::{Health, MemoryDisk, RunError, Store, StoreError, StoreFault, StoreOptions};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{get, keys, number, run_err, set};

/// Where a store is, of either back end.
enum Place {
    Folder(TempDir),
    Disk(MemoryDisk),
}

impl Place {
    fn both() -> [Self; 2] {
        [Self::Folder(tempfile::tempdir().unwrap()), Self::Disk(MemoryDisk::new(Duration::from_millis(1)))]
    }

    fn open(&self, fault: Option<StoreFault>) -> Store {
        let mut options = StoreOptions::default();
        options.fault = fault;
        match self {
            Self::Folder(folder) => Store::open(folder.path(), options).unwrap(),
            Self::Disk(disk) => Store::memory(disk, options),
        }
    }
}

/// Three good transactions, then the fault.
async fn fail_after_three(place: &Place, fault: StoreFault, wanted_reason: &str) {
    let store = place.open(Some(fault));
    for key in 0..3_u8 {
        set(&store, &[key], b"good").await;
    }
    assert_eq!(store.health(), Health::Good);

    let mut tasks = JoinSet::new();
    for key in 100..120_u8 {
        let store = store.clone();
        tasks.spawn(async move {
            run_err(&store, move |tx| {
                Box::pin(async move {
                    tx.set(&[key], "bad");
                    Ok(())
                })
            })
            .await
        });
    }
    let reason = StoreError::Failed { reason: wanted_reason.into() };
    assert!(tasks.join_all().await.iter().all(|error| *error == reason));
    assert_eq!(store.health(), Health::Failed { reason: wanted_reason.into() });

    // An abort is no answer either, nor is a transaction that only reads: it may have read what was not synced.
    let aborted = store.run(|_| Box::pin(async { Err::<(), _>(StoreError::Closed) })).await;
    assert_eq!(aborted, Err(RunError::Store(reason.clone())));
    assert_eq!(run_err(&store, |_| Box::pin(async { Ok(()) })).await, reason);

    assert_eq!(keys(&store).await, [[0], [1], [2]]);
    assert_eq!(store.snapshot().get(b"\x64").await.unwrap(), None);
    store.close().await;

    let store = place.open(None);
    for key in 0..3_u8 {
        assert_eq!(get(&store, &[key]).await, Some(b"good".to_vec()));
    }
    set(&store, b"again", b"").await;
    assert_eq!(store.health(), Health::Good);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_more_is_accepted() {
    for place in Place::both() {
        fail_after_three(&place, StoreFault::FailSyncAfter(3), "sync failed: as asked").await;
    }
}

#[tokio::test]
async fn after_a_failed_commit_nothing_more_is_accepted() {
    for place in Place::both() {
        fail_after_three(&place, StoreFault::FailCommitAfter(3), "commit failed: as asked").await;
    }
}

/// One that aborts has read what another wrote just before, in the same batch. If the sync then fails, the
/// abort's answer would tell of something that never was.
#[tokio::test]
async fn an_abort_waits_for_what_it_read() {
    for place in Place::both() {
        an_abort_waits(&place.open(Some(StoreFault::FailSyncAfter(0)))).await;
    }
}

async fn an_abort_waits(store: &Store) {
    let writer = store.clone();
    let reader = store.clone();
    let write = writer.run(|tx| {
        Box::pin(async move {
            tx.set(b"k", 7_u64.to_be_bytes().to_vec());
            Ok::<_, StoreError>(())
        })
    });
    #[derive(Debug)]
    struct Refused;
    impl From<StoreError> for Refused {
        fn from(_: StoreError) -> Self {
            Self
        }
    }
    let abort = reader.run(|tx| {
        Box::pin(async move {
            let seen = number(tx.get(b"k").await?);
            if seen == 7 { Err::<(), _>(Refused) } else { Ok(()) }
        })
    });
    let (write, abort) = tokio::join!(write, abort);
    assert!(matches!(write, Err(RunError::Store(StoreError::Failed { .. }))), "{write:?}");
    assert!(matches!(abort, Err(RunError::Store(StoreError::Failed { .. }))), "{abort:?}");
}
