//! The store's contract, kept by each back end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use fulmar_server::{Store, StoreError, StoreOptions};

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    for number in 0..100_u32 {
        store
            .run(move |tx| {
                Box::pin(async move {
                    tx.set(&number.to_be_bytes(), number.to_le_bytes().to_vec());
                    assert!(tx.get(&number.to_be_bytes()).await?.is_some());
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
    }
    assert!(matches!(
        Store::open(folder.path(), StoreOptions::default()).unwrap_err(),
        StoreError::Locked { .. }
    ));
    store.close().await;
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let rows = store.snapshot().range(fulmar_server::KeyRange::all(), 1000, false).await.unwrap();
    assert_eq!(rows.len(), 100);
}
