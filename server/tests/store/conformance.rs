//! What every back end must keep. Each test gets an empty store; `conformance!` makes them for a back end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fulmar_server::{
    Health, KEY_BYTES_MAX, KeyRange, RANGE_ROWS_MAX, RunError, Store, StoreError, TRANSACTION_BYTES_MAX,
    VALUE_BYTES_MAX,
};
use tokio::task::JoinSet;

use crate::{get, keys, number, run, run_err, set};

/// Makes the suite's tests for one back end: `open` gives a store and what must live as long.
macro_rules! conformance {
    ($open:path) => {
        crate::conformance::conformance!($open:
            conformance:
                concurrent_increments_lose_nothing, two_that_read_each_others_row_cannot_both_succeed,
                a_row_that_appears_in_a_counted_range_is_a_conflict, only_one_fills_an_empty_range,
                byte_max_ends_at_the_greatest, byte_max_compares_like_keys, keys_are_ordered_byte_by_byte,
                a_transaction_reads_its_own_writes, clear_range_takes_start_and_leaves_end,
                ranges_read_backwards, a_range_gives_at_most_its_limit, limits_hold_exactly,
                keys_that_are_none_are_refused, a_transaction_may_be_as_large_as_its_limit,
                an_exceeded_limit_cannot_be_swallowed, a_closure_takes_effect_once,
                an_aborted_closure_leaves_nothing, a_panic_harms_nobody_else, awaiting_anything_else_is_an_error,
                a_snapshot_stays_as_it_was, an_answer_is_visible_to_readers, dropped_futures_do_no_harm,
                an_empty_value_is_a_value, a_closed_store_says_so;
            history: one_after_another_agrees_with_a_map, concurrent_histories_are_serialisable;);
    };
    ($open:path: $($module:ident: $($test:ident),*;)*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                let (store, _keep) = $open();
                crate::$module::$test(store).await;
            }
        )*)*
    };
}
pub(crate) use conformance;

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

pub(crate) async fn byte_max_compares_like_keys(store: Store) {
    let seen = run(&store, |tx| {
        Box::pin(async move {
            let mut seen = Vec::new();
            for value in [&b"\x02"[..], b"\x02\x00", b"\x01\xFF", b"\x03", b"", b"\x02\xFF"] {
                tx.byte_max(b"mark", value);
                seen.push(tx.get(b"mark").await?.unwrap().to_vec());
            }
            tx.clear(b"mark");
            tx.byte_max(b"mark", "");
            seen.push(tx.get(b"mark").await?.unwrap().to_vec());
            Ok(seen)
        })
    })
    .await;
    assert_eq!(seen, [&b"\x02"[..], b"\x02\x00", b"\x02\x00", b"\x03", b"\x03", b"\x03", b""]);
}

pub(crate) async fn keys_are_ordered_byte_by_byte(store: Store) {
    let mut wanted: Vec<Vec<u8>> = [
        &b"\0"[..],
        b"\0\0",
        b"\0\x01",
        b"\x01",
        b"a",
        b"a\0",
        b"a\xFF",
        b"aa",
        b"b",
        b"\x7F",
        b"\x80",
        b"\xFE\xFF",
    ]
    .iter()
    .map(|key| key.to_vec())
    .collect();
    for key in wanted.iter().rev() {
        set(&store, key, b"").await;
    }
    wanted.sort();
    assert_eq!(keys(&store).await, wanted);
}

pub(crate) async fn a_transaction_reads_its_own_writes(store: Store) {
    for key in [b"a", b"c", b"e"] {
        set(&store, key, b"old").await;
    }
    let (rows, backwards, cleared) = run(&store, |tx| {
        Box::pin(async move {
            tx.set(b"b", "new");
            tx.set(b"c", "new");
            tx.clear(b"e");
            tx.set(b"f", "gone");
            tx.clear_range(b"f"..b"g");
            let rows = tx.range(KeyRange::all(), 10, false).await?;
            let backwards = tx.range(KeyRange::all(), 10, true).await?;
            Ok((rows, backwards, tx.get(b"e").await?))
        })
    })
    .await;
    let wanted = [(&b"a"[..], &b"old"[..]), (b"b", b"new"), (b"c", b"new")];
    assert_eq!(rows.iter().map(|(key, value)| (&key[..], &value[..])).collect::<Vec<_>>(), wanted);
    assert_eq!(backwards, rows.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(cleared, None);
    assert_eq!(keys(&store).await, [b"a", b"b", b"c"]);
}

pub(crate) async fn clear_range_takes_start_and_leaves_end(store: Store) {
    for key in [&b"a"[..], b"b", b"b\0", b"c", b"d", b"\xFE\xFF"] {
        set(&store, key, b"").await;
    }
    let clear = |start: &'static [u8], end: &'static [u8]| {
        run(&store, move |tx| {
            Box::pin(async move {
                tx.clear_range(start..end);
                Ok(())
            })
        })
    };
    clear(b"b", b"b").await;
    clear(b"d", b"a").await;
    assert_eq!(keys(&store).await.len(), 6);
    clear(b"b", b"b\0").await;
    assert_eq!(keys(&store).await, [&b"a"[..], b"b\0", b"c", b"d", b"\xFE\xFF"]);
    clear(b"b", b"d").await;
    assert_eq!(keys(&store).await, [&b"a"[..], b"d", b"\xFE\xFF"]);
    clear(b"", b"\xFF\xFF").await;
    assert!(keys(&store).await.is_empty());
}

pub(crate) async fn ranges_read_backwards(store: Store) {
    for key in 0..10_u8 {
        set(&store, &[key], &[key]).await;
    }
    let read = |start: u8, end: u8, limit, reverse| {
        let snapshot = store.snapshot();
        async move {
            let rows = snapshot.range([start]..[end], limit, reverse).await.unwrap();
            rows.into_iter().map(|(key, _)| key[0]).collect::<Vec<_>>()
        }
    };
    assert_eq!(read(2, 6, 10, false).await, [2, 3, 4, 5]);
    assert_eq!(read(2, 6, 10, true).await, [5, 4, 3, 2]);
    assert_eq!(read(2, 6, 2, true).await, [5, 4]);
    assert_eq!(read(6, 2, 2, true).await, [0_u8; 0]);
    assert_eq!(read(6, 6, 2, true).await, [0_u8; 0]);
}

pub(crate) async fn a_range_gives_at_most_its_limit(store: Store) {
    for key in 0..5_u8 {
        set(&store, &[key], b"").await;
    }
    let lengths = run(&store, |tx| {
        Box::pin(async move {
            tx.set(&[9], "");
            let mut lengths = Vec::new();
            for limit in [0, 1, 5, 6, 7, RANGE_ROWS_MAX] {
                lengths.push(tx.range(KeyRange::all(), limit, false).await?.len());
                lengths.push(tx.range(KeyRange::all(), limit, true).await?.len());
            }
            Ok(lengths)
        })
    })
    .await;
    assert_eq!(lengths, [0, 0, 1, 1, 5, 5, 6, 6, 6, 6, 6, 6]);
    let too_long = store.snapshot().range(KeyRange::all(), RANGE_ROWS_MAX + 1, false).await;
    assert_eq!(too_long, Err(StoreError::RangeTooLong { rows: RANGE_ROWS_MAX + 1 }));
}

pub(crate) async fn limits_hold_exactly(store: Store) {
    let set_sized = |key: usize, value: usize| {
        let store = store.clone();
        async move {
            store
                .run(move |tx| {
                    Box::pin(async move {
                        tx.set(&vec![b'k'; key], vec![0; value]);
                        Ok::<_, StoreError>(())
                    })
                })
                .await
        }
    };
    assert_eq!(set_sized(KEY_BYTES_MAX, VALUE_BYTES_MAX).await, Ok(()));
    let key_too_long = StoreError::KeyInvalid { bytes: KEY_BYTES_MAX + 1 };
    assert_eq!(set_sized(KEY_BYTES_MAX + 1, 0).await, Err(RunError::Store(key_too_long.clone())));
    let value_too_long = StoreError::ValueTooLong { bytes: VALUE_BYTES_MAX + 1 };
    assert_eq!(set_sized(1, VALUE_BYTES_MAX + 1).await, Err(RunError::Store(value_too_long)));
    assert_eq!(keys(&store).await, [vec![b'k'; KEY_BYTES_MAX]]);
    assert_eq!(get(&store, &[b'k'; KEY_BYTES_MAX]).await, Some(vec![0; VALUE_BYTES_MAX]));
    assert_eq!(store.snapshot().get(&[b'k'; KEY_BYTES_MAX + 1]).await, Err(key_too_long));
    let after_longest = KeyRange::all().after(&[b'k'; KEY_BYTES_MAX]);
    assert_eq!(store.snapshot().range(after_longest, 1, false).await, Ok(Vec::new()));
}

pub(crate) async fn keys_that_are_none_are_refused(store: Store) {
    for key in [&b""[..], b"\xFF", b"\xFFs"] {
        let refused = StoreError::KeyInvalid { bytes: key.len() };
        assert_eq!(store.snapshot().get(key).await, Err(refused.clone()));
        let key = key.to_vec();
        let written = run_err(&store, move |tx| {
            let key = key.clone();
            Box::pin(async move {
                tx.byte_max(&key, "v");
                Ok(())
            })
        });
        assert_eq!(written.await, refused);
    }
    assert!(keys(&store).await.is_empty());
}

pub(crate) async fn a_transaction_may_be_as_large_as_its_limit(store: Store) {
    let write = |bytes: usize| {
        let store = store.clone();
        async move {
            store
                .run(move |tx| {
                    Box::pin(async move {
                        let mut left = bytes;
                        for row in 0_u8.. {
                            let length = left.min(VALUE_BYTES_MAX);
                            if length == 0 {
                                break;
                            }
                            tx.set(&[row], vec![row; length - 1]);
                            left -= length;
                        }
                        Ok::<_, StoreError>(())
                    })
                })
                .await
        }
    };
    assert_eq!(write(TRANSACTION_BYTES_MAX).await, Ok(()));
    assert_eq!(write(TRANSACTION_BYTES_MAX + 1).await, Err(RunError::Store(StoreError::TransactionTooLarge)));
    assert_eq!(keys(&store).await.len(), TRANSACTION_BYTES_MAX / VALUE_BYTES_MAX);
}

pub(crate) async fn an_exceeded_limit_cannot_be_swallowed(store: Store) {
    let error = run_err(&store, |tx| {
        Box::pin(async move {
            tx.set(b"before", "");
            tx.set(b"bad", vec![0; VALUE_BYTES_MAX + 1]);
            assert!(tx.get(b"before").await.is_err());
            tx.set(b"after", "");
            Ok(())
        })
    });
    assert_eq!(error.await, StoreError::ValueTooLong { bytes: VALUE_BYTES_MAX + 1 });
    assert!(keys(&store).await.is_empty());
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

pub(crate) async fn a_snapshot_stays_as_it_was(store: Store) {
    set(&store, b"k", b"1").await;
    let before = store.snapshot();
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

pub(crate) async fn an_empty_value_is_a_value(store: Store) {
    set(&store, b"k", b"").await;
    assert_eq!(get(&store, b"k").await, Some(Vec::new()));
    assert_eq!(get(&store, b"l").await, None);
}

pub(crate) async fn a_closed_store_says_so(store: Store) {
    set(&store, b"k", b"").await;
    let other = store.clone();
    tokio::join!(store.close(), other.close());
    assert_eq!(other.health(), Health::Closed);
    assert_eq!(run_err(&other, |_| Box::pin(async { Ok(()) })).await, StoreError::Closed);
    assert_eq!(other.snapshot().get(b"k").await, Err(StoreError::Closed));
}
