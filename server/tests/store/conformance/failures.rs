//! Closures that fail, and a store that is closed.

use fulmar_server::{Health, KeyRange, RunError, Store, StoreError};
use tokio::task::JoinSet;

use crate::{keys, run_err, set};

pub(crate) async fn an_aborted_closure_leaves_nothing(store: Store) {
    #[derive(Debug, PartialEq)]
    enum Own {
        Refused(u64),
        Store(StoreError),
    }
    impl From<StoreError> for Own {
        fn from(error: StoreError) -> Self {
            Self::Store(error)
        }
    }
    set(&store, b"kept", b"1").await;
    let mut tasks = JoinSet::new();
    for task in 0..32_u8 {
        let store = store.clone();
        tasks.spawn(async move {
            let ran = store
                .run(move |tx| {
                    Box::pin(async move {
                        tx.set(&[b"task".as_slice(), &[task]].concat(), "");
                        tx.clear(b"kept");
                        tx.clear_range(KeyRange::prefix(*b"task"));
                        if tx.get(b"kept").await?.is_none() {
                            return Err(Own::Refused(task.into()));
                        }
                        Ok(())
                    })
                })
                .await;
            assert_eq!(ran, Err(RunError::Aborted(Own::Refused(task.into()))));
            set(&store, &[b"good".as_slice(), &[task]].concat(), b"").await;
        });
    }
    tasks.join_all().await;
    let keys = keys(&store).await;
    assert_eq!(keys.len(), 33);
    assert!(keys.iter().all(|key| key.starts_with(b"good") || key == b"kept"));
}

pub(crate) async fn a_panic_harms_nobody_else(store: Store) {
    let mut tasks = JoinSet::new();
    for task in 0..16_u8 {
        let store = store.clone();
        tasks.spawn(async move {
            if task % 2 == 0 {
                set(&store, &[task], b"").await;
                return;
            }
            let error = run_err(&store, move |tx| {
                Box::pin(async move {
                    tx.set(&[task], "");
                    panic!("task {task}");
                })
            });
            assert_eq!(error.await, StoreError::Panicked { message: format!("task {task}").into() });
        });
    }
    tasks.join_all().await;
    assert_eq!(keys(&store).await, (0..16).step_by(2).map(|task| vec![task]).collect::<Vec<_>>());
    assert_eq!(store.health(), Health::Good);
}

pub(crate) async fn awaiting_anything_else_is_an_error(store: Store) {
    let error = run_err(&store, |tx| {
        Box::pin(async move {
            tx.set(b"k", "");
            tokio::task::yield_now().await;
            std::future::pending().await
        })
    });
    assert_eq!(error.await, StoreError::ForeignAwait);
    assert!(keys(&store).await.is_empty());
}

pub(crate) async fn a_closed_store_says_so(store: Store) {
    set(&store, b"k", b"").await;
    let other = store.clone();
    tokio::join!(store.close(), other.close());
    assert_eq!(other.health(), Health::Closed);
    assert_eq!(run_err(&other, |_| Box::pin(async { Ok(()) })).await, StoreError::Closed);
    assert_eq!(other.snapshot().get(b"k").await, Err(StoreError::Closed));
}
