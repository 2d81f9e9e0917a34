//! Isolation: what closures and readers may see of each other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fulmar_server::{KeyRange, Store};
use tokio::task::JoinSet;

use crate::{get, keys, number, run, set};

pub(crate) async fn concurrent_increments_lose_nothing(store: Store) {
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..25 {
                run(&store, |tx| {
                    Box::pin(async move {
                        let next = number(tx.get(b"counter").await?) + 1;
                        tx.set(b"counter", next.to_be_bytes().to_vec());
                        Ok(())
                    })
                })
                .await;
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(number(get(&store, b"counter").await), 16 * 25);
}

/// Two doctors, one of whom must stay: each goes home only if the other is still there.
pub(crate) async fn two_that_read_each_others_row_cannot_both_succeed(store: Store) {
    for round in 0..20_u8 {
        let doctor = move |which: u8| vec![round, which];
        set(&store, &doctor(0), b"there").await;
        set(&store, &doctor(1), b"there").await;
        let mut tasks = JoinSet::new();
        for me in 0..2 {
            let store = store.clone();
            tasks.spawn(async move {
                run(&store, move |tx| {
                    Box::pin(async move {
                        if tx.get(&doctor(1 - me)).await?.is_some() {
                            tx.clear(&doctor(me));
                        }
                        Ok(())
                    })
                })
                .await;
            });
        }
        tasks.join_all().await;
        let left = store.snapshot().range(KeyRange::prefix([round]), 10, false).await.unwrap();
        assert_eq!(left.len(), 1, "round {round}");
    }
}

pub(crate) async fn a_row_that_appears_in_a_counted_range_is_a_conflict(store: Store) {
    const SEATS: usize = 5;
    let mut tasks = JoinSet::new();
    for guest in 0..40_u8 {
        let store = store.clone();
        tasks.spawn(async move {
            run(&store, move |tx| {
                Box::pin(async move {
                    let taken = tx.range(KeyRange::prefix(*b"seat"), 100, false).await?;
                    if taken.len() < SEATS {
                        tx.set(&[b"seat".as_slice(), &[guest]].concat(), "");
                    }
                    Ok(())
                })
            })
            .await;
        });
    }
    tasks.join_all().await;
    assert_eq!(keys(&store).await.len(), SEATS);
}

pub(crate) async fn only_one_fills_an_empty_range(store: Store) {
    let mut tasks = JoinSet::new();
    for owner in 0..30_u8 {
        let store = store.clone();
        tasks.spawn(async move {
            run(&store, move |tx| {
                Box::pin(async move {
                    // Some look from one end, some from the other, and their rows lie far apart.
                    if tx.range(b"a"..b"z", 1, owner % 2 == 0).await?.is_empty() {
                        tx.set(&[b'b' + owner % 20, owner], "mine");
                    }
                    Ok(())
                })
            })
            .await;
        });
    }
    tasks.join_all().await;
    assert_eq!(keys(&store).await.len(), 1);
}

pub(crate) async fn byte_max_ends_at_the_greatest(store: Store) {
    let mut tasks = JoinSet::new();
    for writer in 0..8_u64 {
        let store = store.clone();
        tasks.spawn(async move {
            for step in 0..25_u64 {
                let value = (step * 7 + writer * 13) % 200;
                run(&store, move |tx| {
                    Box::pin(async move {
                        tx.byte_max(b"mark", value.to_be_bytes().to_vec());
                        Ok(())
                    })
                })
                .await;
                assert!(number(get(&store, b"mark").await) >= value);
            }
        });
    }
    tasks.join_all().await;
    let greatest = (0..8).flat_map(|writer| (0..25).map(move |step| (step * 7 + writer * 13) % 200)).max();
    assert_eq!(Some(number(get(&store, b"mark").await)), greatest);
}

pub(crate) async fn a_closure_takes_effect_once(store: Store) {
    let runs = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let runs = runs.clone();
        run(&store, move |tx| {
            runs.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                // Written so that running after one's own success does no harm.
                if tx.maybe_committed() && tx.get(b"done").await?.is_some() {
                    return Ok(());
                }
                let next = number(tx.get(b"count").await?) + 1;
                tx.set(b"count", next.to_be_bytes().to_vec());
                Ok(())
            })
        })
        .await;
    }
    assert_eq!(number(get(&store, b"count").await), 10);
    assert!(runs.load(Ordering::Relaxed) >= 10);
}

pub(crate) async fn a_snapshot_stays_as_it_was(store: Store) {
    set(&store, b"k", b"1").await;
    // It is taken at its first read at the latest.
    let before = store.snapshot();
    assert_eq!(before.get(b"k").await.unwrap(), Some(Bytes::from("1")));
    set(&store, b"k", b"2").await;
    set(&store, b"l", b"2").await;
    assert_eq!(before.get(b"k").await.unwrap(), Some(Bytes::from("1")));
    assert_eq!(before.range(KeyRange::all(), 10, false).await.unwrap().len(), 1);
    assert_eq!(get(&store, b"k").await, Some(b"2".to_vec()));
}

pub(crate) async fn an_answer_is_visible_to_readers(store: Store) {
    let mut tasks = JoinSet::new();
    for task in 0..8_u8 {
        let store = store.clone();
        tasks.spawn(async move {
            for step in 0..20_u64 {
                set(&store, &[task], &step.to_be_bytes()).await;
                assert_eq!(number(get(&store, &[task]).await), step);
            }
        });
    }
    tasks.join_all().await;
}

pub(crate) async fn dropped_futures_do_no_harm(store: Store) {
    for step in 0..200_u64 {
        let closure_store = store.clone();
        let write = async move {
            run(&closure_store, move |tx| {
                Box::pin(async move {
                    let count = number(tx.get(b"a").await?) + 1;
                    tx.set(b"a", count.to_be_bytes().to_vec());
                    tx.set(b"b", count.to_be_bytes().to_vec());
                    Ok(())
                })
            })
            .await;
        };
        drop(tokio::time::timeout(Duration::from_micros(step * 3), write).await);
    }
    set(&store, b"end", b"").await;
    let (a, b) = (number(get(&store, b"a").await), number(get(&store, b"b").await));
    assert_eq!(a, b);
    assert!(a <= 200);
}
