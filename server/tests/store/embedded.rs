//! The embedded back end: the suite, and what only it does.

use std::time::Duration;

use fulmar_server::{Store, StoreError, StoreOptions};
use tempfile::TempDir;

use crate::{
    conformance::{conformance, conformance_of_serial},
    get, keys, run_err, set,
};

conformance!(open());
conformance_of_serial!(open());

fn open() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (reopen(&folder), folder)
}

fn reopen(folder: &TempDir) -> Store {
    Store::open(folder.path(), StoreOptions::default()).unwrap()
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let (store, folder) = open();
    for key in 0..20_u8 {
        set(&store, &[key], &[key]).await;
    }
    store.close().await;
    let store = reopen(&folder);
    assert_eq!(keys(&store).await.len(), 20);
    set(&store, &[20], &[20]).await;
    drop(store);
    assert_eq!(keys(&reopen(&folder)).await.len(), 21);
}

#[tokio::test]
async fn a_second_open_is_refused_by_name() {
    let (store, folder) = open();
    let second = Store::open(folder.path(), StoreOptions::default());
    assert_eq!(second.unwrap_err(), StoreError::Locked { path: folder.path().to_owned() });
    drop(store);
    drop(reopen(&folder));
}

#[tokio::test]
async fn an_unknown_format_is_refused_by_name() {
    let (store, folder) = open();
    store.close().await;
    std::fs::write(folder.path().join("gen-1/FORMAT"), "fulmar store 2\n").unwrap();
    let error = Store::open(folder.path(), StoreOptions::default()).unwrap_err();
    assert!(error.to_string().contains("\"fulmar store 2\""), "{error}");
}

#[tokio::test]
async fn a_slow_closure_is_aborted() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::default();
    options.transaction_time_max = Duration::ZERO;
    let store = Store::open(folder.path(), options).unwrap();
    let error = run_err(&store, |tx| {
        Box::pin(async move {
            tx.set(b"k", "");
            Ok(())
        })
    });
    assert_eq!(error.await, StoreError::TransactionTooSlow);
    assert_eq!(get(&store, b"k").await, None);
}

#[tokio::test]
async fn closing_runs_what_was_handed_in_before() {
    let (store, folder) = open();
    let writes: Vec<_> = (0..50_u8)
        .map(|key| {
            let store = store.clone();
            tokio::spawn(async move { set(&store, &[key], b"").await })
        })
        .collect();
    // All of them are in the queue: this runtime has one thread.
    tokio::task::yield_now().await;
    store.close().await;
    for write in writes {
        write.await.unwrap();
    }
    assert_eq!(keys(&reopen(&folder)).await.len(), 50);
}

#[tokio::test]
async fn the_last_handle_may_go_inside_a_closure() {
    let (store, folder) = open();
    let inner = store.clone();
    let write = store.run(move |tx| {
        let _inner = &inner;
        Box::pin(async move {
            tx.set(b"k", "");
            Ok::<_, StoreError>(())
        })
    });
    write.await.unwrap();
    drop(store);
    // The writer thread may still be closing.
    let store = loop {
        match Store::open(folder.path(), StoreOptions::default()) {
            Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(get(&store, b"k").await, Some(Vec::new()));
}
