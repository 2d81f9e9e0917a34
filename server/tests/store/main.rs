//! The store's contract, kept by each back end, and what is particular to the embedded one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod conformance;
mod embedded;
mod faults;
mod foundationdb;
mod maintenance;
mod memory;
mod shared;

use fulmar_server::{RunError, Store, StoreError, Transaction};
use futures_util::future::BoxFuture;

/// Runs a closure that cannot fail by itself.
async fn run<T: Send + 'static>(
    store: &Store,
    closure: impl for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, StoreError>> + Send + Sync + 'static,
) -> T {
    store.run(closure).await.expect("the transaction succeeds")
}

async fn run_err(
    store: &Store,
    closure: impl for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<(), StoreError>> + Send + Sync + 'static,
) -> StoreError {
    match store.run(closure).await.expect_err("the transaction fails") {
        RunError::Aborted(error) | RunError::Store(error) => error,
    }
}

async fn set(store: &Store, key: &[u8], value: &[u8]) {
    let (key, value) = (key.to_vec(), value.to_vec());
    run(store, move |tx| {
        let (key, value) = (key.clone(), value.clone());
        Box::pin(async move {
            tx.set(&key, value);
            Ok(())
        })
    })
    .await;
}

async fn get(store: &Store, key: &[u8]) -> Option<Vec<u8>> {
    store.snapshot().get(key).await.expect("readable").map(Vec::from)
}

/// The keys of all rows.
async fn keys(store: &Store) -> Vec<Vec<u8>> {
    let rows = store.snapshot().range(fulmar_server::KeyRange::all(), 10_000, false).await.expect("readable");
    rows.into_iter().map(|(key, _)| key.to_vec()).collect()
}

fn number(value: Option<impl AsRef<[u8]>>) -> u64 {
    value.map_or(0, |value| u64::from_be_bytes(value.as_ref().try_into().expect("eight bytes")))
}
