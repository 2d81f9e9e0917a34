//! What the store does when the disk fails it. Losing power is in `interop-tests/tests/power_cut`.

use fulmar_server::{Health, RunError, Store, StoreError, StoreFault, StoreOptions};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{get, keys, number, run_err, set};

fn open(folder: &TempDir, fault: Option<StoreFault>) -> Store {
    let mut options = StoreOptions::default();
    options.fault = fault;
    Store::open(folder.path(), options).unwrap()
}

/// Three good transactions, then the fault.
async fn fail_after_three(fault: StoreFault, wanted_reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Some(fault));
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

    let store = open(&folder, None);
    for key in 0..3_u8 {
        assert_eq!(get(&store, &[key]).await, Some(b"good".to_vec()));
    }
    set(&store, b"again", b"").await;
    assert_eq!(store.health(), Health::Good);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_more_is_accepted() {
    fail_after_three(StoreFault::FailSyncAfter(3), "sync failed: as asked").await;
}

#[tokio::test]
async fn after_a_failed_commit_nothing_more_is_accepted() {
    fail_after_three(StoreFault::FailCommitAfter(3), "commit failed: as asked").await;
}

/// One that aborts has read what another wrote just before, in the same batch. If the sync then fails, the
/// abort's answer would tell of something that never was.
#[tokio::test]
async fn an_abort_waits_for_what_it_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, Some(StoreFault::FailSyncAfter(0)));
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
