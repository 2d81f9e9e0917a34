//! Reading and writing rows.

use fulmar_server::{KeyRange, RANGE_ROWS_MAX, Store, StoreError};

use crate::{get, keys, run, set};

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

pub(crate) async fn an_empty_value_is_a_value(store: Store) {
    set(&store, b"k", b"").await;
    assert_eq!(get(&store, b"k").await, Some(Vec::new()));
    assert_eq!(get(&store, b"l").await, None);
}
