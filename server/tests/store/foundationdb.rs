//! The FoundationDB back end: the suite, and what only it does. Needs the feature `foundationdb`, and a cluster whose
//! file `FULMAR_FDB_CLUSTER_FILE` names. Each test clears a prefix of its own there, and leaves its rows behind.

use std::path::PathBuf;

use fulmar_server::{FoundationDbOptions, KeyRange, Store, StoreError, StoreFault, StoreOptions};

use crate::{conformance::conformance, run};

conformance!(open().await, cfg_attr(not(feature = "foundationdb"), ignore = "no FoundationDB"));

/// The test's own part of the cluster.
fn place() -> FoundationDbOptions {
    let cluster_file = std::env::var_os("FULMAR_FDB_CLUSTER_FILE");
    let cluster_file = cluster_file.expect("FULMAR_FDB_CLUSTER_FILE names a cluster");
    // A test has a thread of its own, with its name.
    let thread = std::thread::current();
    let test = thread.name().and_then(|name| name.rsplit("::").next()).unwrap();
    FoundationDbOptions { cluster_file: PathBuf::from(cluster_file), prefix: format!("test/{test}") }
}

async fn open_with(place: &FoundationDbOptions, fault: Option<StoreFault>) -> Store {
    let mut options = StoreOptions::default();
    options.fault = fault;
    Store::open_foundationdb(place, options).await.unwrap()
}

async fn open() -> (Store, ()) {
    let store = open_with(&place(), None).await;
    run(&store, |tx| {
        Box::pin(async move {
            tx.clear_range(KeyRange::all());
            Ok(())
        })
    })
    .await;
    (store, ())
}

#[tokio::test]
#[cfg(not(feature = "foundationdb"))]
async fn a_program_without_it_says_so_in_one_line() {
    let place = FoundationDbOptions { cluster_file: PathBuf::from("fdb.cluster"), prefix: "p".to_owned() };
    let refusal = Store::open_foundationdb(&place, StoreOptions::default()).await.unwrap_err();
    assert_eq!(refusal, StoreError::NoFoundationDb);
    assert!(refusal.to_string().contains("--features foundationdb") && !refusal.to_string().contains('\n'));
}

#[cfg(feature = "foundationdb")]
mod live {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    use fulmar_server::{Health, Transaction};
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::{get, number, set};

    /// Runs a closure during whose first run somebody else writes `key`, after it has read with `read`. Gives how
    /// often it ran.
    async fn runs_with_a_write_between(
        read: impl for<'t> Fn(&'t Transaction) -> BoxFuture<'t, ()> + Send + Sync + 'static,
        key: &'static [u8],
    ) -> u64 {
        let (store, ()) = open().await;
        for key in [b"b", b"d", b"f"] {
            set(&store, key, b"0").await;
        }
        let runs = Arc::new(AtomicU64::new(0));
        let (counted, other) = (Arc::clone(&runs), store.clone());
        run(&store, move |tx| {
            let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
            let other = other.clone();
            let reading = read(tx);
            Box::pin(async move {
                reading.await;
                if first {
                    set(&other, key, b"1").await;
                }
                tx.set(b"written", "");
                Ok(())
            })
        })
        .await;
        runs.load(Ordering::Relaxed)
    }

    fn get_b(tx: &Transaction) -> BoxFuture<'_, ()> {
        Box::pin(async move { drop(tx.get(b"b").await.unwrap()) })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_point_read_conflicts_with_its_key_alone() {
        assert_eq!(runs_with_a_write_between(get_b, b"b").await, 2);
        assert_eq!(runs_with_a_write_between(get_b, b"c").await, 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_range_read_conflicts_with_what_it_covered() {
        fn whole(tx: &Transaction) -> BoxFuture<'_, ()> {
            Box::pin(async move { drop(tx.range(b"a"..b"e", 10, false).await.unwrap()) })
        }
        assert_eq!(runs_with_a_write_between(whole, b"c").await, 2, "a phantom");
        assert_eq!(runs_with_a_write_between(whole, b"e").await, 1, "past its end");
        fn empty(tx: &Transaction) -> BoxFuture<'_, ()> {
            Box::pin(async move { drop(tx.range(b"x"..b"z", 10, false).await.unwrap()) })
        }
        assert_eq!(runs_with_a_write_between(empty, b"y").await, 2, "a range that was empty");
        fn limited(tx: &Transaction) -> BoxFuture<'_, ()> {
            Box::pin(async move { assert_eq!(tx.range(b"a"..b"z", 2, false).await.unwrap().len(), 2) })
        }
        assert_eq!(runs_with_a_write_between(limited, b"c").await, 2, "within what the limit let it read");
        assert_eq!(runs_with_a_write_between(limited, b"e").await, 1, "behind the last row that it gave");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn writes_that_read_nothing_do_not_conflict() {
        fn blind(tx: &Transaction) -> BoxFuture<'_, ()> {
            tx.byte_max(b"b", "1");
            tx.clear_range(b"c"..b"e");
            Box::pin(async {})
        }
        assert_eq!(runs_with_a_write_between(blind, b"b").await, 1);
        assert_eq!(runs_with_a_write_between(blind, b"d").await, 1);
    }

    /// The crate's own loop forgets at a conflict that an earlier answer was lost.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn maybe_committed_is_sticky() {
        drop(open().await);
        let store = open_with(&place(), Some(StoreFault::LoseAnswerThenConflict)).await;
        let flags = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let seen = Arc::clone(&flags);
        run(&store, move |tx| {
            seen.lock().push(tx.maybe_committed());
            Box::pin(async move {
                let next = number(tx.get(b"count").await?) + 1;
                tx.set(b"count", next.to_be_bytes().to_vec());
                Ok(())
            })
        })
        .await;
        assert_eq!(*flags.lock(), [false, true, true]);
        // Not written to bear it, so it counts each of them.
        assert_eq!(number(get(&store, b"count").await), 3);
    }

    #[tokio::test]
    async fn prefixes_keep_deployments_apart() {
        let (store, ()) = open().await;
        set(&store, b"k", b"1").await;
        let mut other = place();
        other.prefix.push('2');
        let other = open_with(&other, None).await;
        assert_eq!(get(&other, b"k").await, None);
        run(&other, |tx| {
            Box::pin(async move {
                tx.clear_range(KeyRange::all());
                Ok(())
            })
        })
        .await;
        assert_eq!(get(&store, b"k").await, Some(b"1".to_vec()));
    }

    #[tokio::test]
    async fn a_prefix_with_keys_of_others_is_refused_by_name() {
        let mut place = place();
        drop(open_with(&place, None).await);
        let path = place.cluster_file.to_str().unwrap();
        let database = ::foundationdb::Database::from_path(path).unwrap();
        let framed = |prefix: &str, rest: &[u8]| [&[2], prefix.as_bytes(), &[0], rest].concat();
        let write = async |key: Vec<u8>, value: &[u8]| {
            let transaction = database.create_trx().unwrap();
            transaction.set(&key, value);
            transaction.commit().await.unwrap();
        };
        place.prefix.push_str("/foreign");
        write(framed(&place.prefix, b"theirs"), b"").await;
        let refusal =
            Store::open_foundationdb(&place, StoreOptions::default()).await.unwrap_err().to_string();
        assert!(refusal.contains("/foreign") && refusal.contains("theirs"), "{refusal}");
        place.prefix.push_str("/newer");
        write(framed(&place.prefix, b""), b"fulmar store 2").await;
        let refusal =
            Store::open_foundationdb(&place, StoreOptions::default()).await.unwrap_err().to_string();
        assert!(refusal.contains("\"fulmar store 2\""), "{refusal}");
    }

    #[tokio::test]
    async fn a_wrong_cluster_file_is_refused_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut place = place();
        drop(open_with(&place, None).await);
        place.cluster_file = folder.path().join("fdb.cluster");
        for (content, wanted) in [
            (None, "No such file"),
            (Some("nonsense"), "description:id@host:port"),
            // Nobody listens there. The one test that waits: it takes the 5 s that a start waits.
            (Some("fdb:nobody@127.0.0.1:9"), "does not answer within 5 s"),
        ] {
            if let Some(content) = content {
                std::fs::write(&place.cluster_file, content).unwrap();
            }
            let opening = Store::open_foundationdb(&place, StoreOptions::default());
            let refusal = tokio::time::timeout(Duration::from_secs(9), opening).await.unwrap();
            let refusal = refusal.unwrap_err().to_string();
            assert!(refusal.contains(wanted) && !refusal.contains('\n'), "{refusal}");
        }
    }

    #[tokio::test]
    async fn what_the_cluster_does_itself_is_said() {
        let (store, ()) = open().await;
        assert_eq!(store.health(), Health::Good);
        assert_eq!(store.check(), Err(StoreError::DoneByCluster));
    }
}
