//! Limits, exactly and one past.

use fulmar_server::{
    KEY_BYTES_MAX, KeyRange, RunError, Store, StoreError, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX,
};

use crate::{get, keys, run_err};

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
