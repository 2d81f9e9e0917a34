//! Checking and compacting, and what the store does about damaged files.

use std::path::{Path, PathBuf};

use fulmar_server::{KeyRange, Store, StoreCounts, StoreError, StoreOptions};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tempfile::TempDir;

use crate::{get, keys, run, set};

fn open(folder: &Path) -> Result<Store, StoreError> {
    Store::open(folder, StoreOptions::default())
}

fn compact(folder: &Path) -> StoreCounts {
    Store::compact(folder, &StoreOptions::default(), |_| ()).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

/// The files that hold any 64 bytes of the marker.
fn files_with(folder: &Path, marker: &[u8]) -> Vec<PathBuf> {
    let holds = |file: &PathBuf| {
        let content = std::fs::read(file).unwrap();
        marker.chunks(64).any(|piece| memchr::memmem::find(&content, piece).is_some())
    };
    files(folder).into_iter().filter(holds).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    for file in files(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(file, copy).unwrap();
    }
    // Empty folders matter to nobody but the tree.
    std::fs::create_dir_all(to.join("gen-1/tree/keyspaces/1/tables")).unwrap();
}

#[tokio::test]
async fn compaction_leaves_nothing_of_what_was_overwritten_or_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let markers: [[u8; 1024]; 4] = std::array::from_fn(|_| std::array::from_fn(|_| rng.random()));
    let [overwritten, cleared, cleared_by_range, kept] = &markers;
    let store = open(folder.path()).unwrap();
    set(&store, b"a", overwritten).await;
    set(&store, b"b", cleared).await;
    // Once in a table, once only in the journal.
    drop(store);
    let store = open(folder.path()).unwrap();
    set(&store, b"a", b"short").await;
    set(&store, b"c", cleared_by_range).await;
    set(&store, b"d", kept).await;
    run(&store, |tx| {
        Box::pin(async move {
            tx.clear(b"b");
            tx.clear_range(b"c"..b"d");
            Ok(())
        })
    })
    .await;
    drop(store);
    assert!(!files_with(folder.path(), overwritten).is_empty(), "the search finds what is there");

    let counts = compact(folder.path());

    assert_eq!(counts, StoreCounts { rows: 2, key_bytes: 2, value_bytes: 5 + 1024 });
    for gone in [overwritten, cleared, cleared_by_range] {
        assert!(files_with(folder.path(), gone).is_empty(), "{:?}", files_with(folder.path(), gone));
    }
    assert_eq!(files_with(folder.path(), kept).len(), 1);
    let store = open(folder.path()).unwrap();
    assert_eq!(store.check().unwrap(), counts);
    assert_eq!(get(&store, b"d").await, Some(kept.to_vec()));
}

#[tokio::test]
async fn a_compacted_store_goes_on_as_before() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..4_u8 {
        let store = open(folder.path()).unwrap();
        set(&store, &[round], &[round; 500]).await;
        set(&store, b"same", &[round]).await;
        drop(store);
        let counts = compact(folder.path());
        assert_eq!(counts.rows, u64::from(round) + 2);
    }
    let store = open(folder.path()).unwrap();
    assert_eq!(keys(&store).await.len(), 5);
    assert_eq!(get(&store, b"same").await, Some(vec![3]));
}

#[tokio::test]
async fn compacting_tells_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(compact(folder.path()), StoreCounts::default());
    let store = open(folder.path()).unwrap();
    assert_eq!(
        Store::compact(folder.path(), &StoreOptions::default(), |_| ()).unwrap_err(),
        StoreError::Locked { path: folder.path().to_owned() }
    );
    for batch in 0..5_u8 {
        run(&store, move |tx| {
            Box::pin(async move {
                for row in 0..700_u32 {
                    tx.set(&[&[batch], row.to_be_bytes().as_slice()].concat(), "value");
                }
                Ok(())
            })
        })
        .await;
    }
    drop(store);
    let mut seen = Vec::new();
    Store::compact(folder.path(), &StoreOptions::default(), |progress| seen.push(progress)).unwrap();
    assert_eq!(seen.iter().map(|progress| progress.rows_done).collect::<Vec<_>>(), [1000, 2000, 3000, 3500]);
    assert!(seen.iter().all(|progress| progress.rows_estimate >= 3500));
}

/// A store with five rows of 20,000 bytes, one batch each, copied while it is in use: as after a SIGKILL.
async fn five_batches() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("live")).unwrap();
    for row in 0..5_u8 {
        set(&store, &[row], &vec![row + 1; 20_000]).await;
    }
    let copy = folder.path().join("copy");
    copy_folder(&folder.path().join("live"), &copy);
    (folder, copy)
}

/// Overwrites the middle of a row's value in the journal.
fn damage(copy: &Path, row: u8, bytes: &[u8]) {
    let journal = copy.join("gen-1/tree/0.jnl");
    let mut content = std::fs::read(&journal).unwrap();
    let value = vec![row + 1; 20_000];
    let start = memchr::memmem::find(&content, &value).unwrap();
    content[start + 5_000..][..bytes.len()].copy_from_slice(bytes);
    std::fs::write(&journal, content).unwrap();
}

#[tokio::test]
async fn a_batch_torn_by_a_power_cut_is_cut_off() {
    let (_folder, copy) = five_batches().await;
    damage(&copy, 4, &[0; 4096]);
    let store = open(&copy).unwrap();
    assert_eq!(keys(&store).await, [[0], [1], [2], [3]]);
    set(&store, &[9], b"").await;
    drop(store);
    assert_eq!(keys(&open(&copy).unwrap()).await, [[0], [1], [2], [3], [9]]);
}

#[tokio::test]
async fn damage_before_acknowledged_batches_is_refused() {
    let (_folder, copy) = five_batches().await;
    damage(&copy, 2, &[0; 4096]);
    let error = open(&copy).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { path, .. } if path.ends_with("0.jnl")), "{error}");
}

/// A message body is made to look like a batch. Were it believed, a power cut at the wrong moment would leave a
/// store that refuses to open.
#[tokio::test]
async fn a_body_that_looks_like_a_batch_is_not_believed() {
    let (folder, copy) = five_batches().await;
    let journal = std::fs::read(copy.join("gen-1/tree/0.jnl")).unwrap();
    let mut batch = journal[..25_000].to_vec();
    let secret = std::fs::read(copy.join("gen-1/SECRET")).unwrap();
    let at = batch.windows(16).position(|window| window == secret).unwrap();
    batch[at] ^= 1;
    let store = open(&folder.path().join("other")).unwrap();
    set(&store, b"before", b"").await;
    set(&store, b"body", &batch).await;
    let copy = folder.path().join("other-copy");
    copy_folder(&folder.path().join("other"), &copy);
    let file = copy.join("gen-1/tree/0.jnl");
    let mut content = std::fs::read(&file).unwrap();
    let body = memchr::memmem::find(&content, &batch).unwrap();
    content[body - 4] ^= 1;
    std::fs::write(&file, content).unwrap();
    assert_eq!(keys(&open(&copy).unwrap()).await, [b"before"]);
}

/// Journals are deleted without a sync of the folder. One that came back must not bring back what it held.
#[tokio::test]
async fn a_journal_that_came_back_brings_nothing_back() {
    let (_folder, copy) = five_batches().await;
    let old = std::fs::read(copy.join("gen-1/tree/0.jnl")).unwrap();
    let store = open(&copy).unwrap();
    run(&store, |tx| {
        Box::pin(async move {
            tx.clear_range(KeyRange::all());
            Ok(())
        })
    })
    .await;
    drop(store);
    std::fs::rename(copy.join("gen-1/tree/0.jnl"), copy.join("gen-1/tree/2.jnl")).unwrap();
    std::fs::write(copy.join("gen-1/tree/0.jnl"), old).unwrap();
    let store = open(&copy).unwrap();
    assert!(keys(&store).await.is_empty());
    assert!(!copy.join("gen-1/tree/0.jnl").exists());
}

#[tokio::test]
async fn a_check_finds_a_damaged_table() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    for row in 0..100_u8 {
        set(&store, &[row], &vec![row; 1000]).await;
    }
    drop(store);
    compact(folder.path());
    let table = files(&folder.path().join("gen-2/tree/keyspaces/1/tables")).remove(0);
    let mut content = std::fs::read(&table).unwrap();
    content[50_000] ^= 1;
    std::fs::write(&table, content).unwrap();
    let checked = open(folder.path()).and_then(|store| store.check());
    assert!(checked.is_err(), "{checked:?}");
}

/// What a crash in the middle of a compaction, or of making a store, leaves behind.
#[tokio::test]
async fn half_made_generations_are_swept_away() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("gen-1.building/tree")).unwrap();
    std::fs::write(folder.path().join("gen-1.building/tree/0.jnl"), "half").unwrap();
    let store = open(folder.path()).unwrap();
    set(&store, b"k", b"v").await;
    drop(store);
    compact(folder.path());
    // The old generation, deleted by half.
    std::fs::create_dir_all(folder.path().join("gen-1/tree")).unwrap();
    let store = open(folder.path()).unwrap();
    assert_eq!(get(&store, b"k").await, Some(b"v".to_vec()));
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["gen-2", "lock"]);
}
