//! The tree (fjall) as this store sets it up.
//!
//! One keyspace holds all rows. Compression is off: bodies are small or opaque. Values are not kept apart from
//! keys: few are larger than a block, and a second set of files would have to be collected and compacted.

use std::{io::ErrorKind, path::Path, time::Duration};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, config::CompressionPolicy};

use crate::store::{error::StoreError, options::StoreOptions};

const KEYSPACE: &str = "rows";

/// Journals are dropped when all that they hold is in tables. Beyond this the tree writes tables early.
const JOURNALS_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Table files that are kept open.
const OPEN_FILES_MAX: usize = 512;

/// How often a wait for the tree's own threads looks again.
const POLL: Duration = Duration::from_millis(1);

/// An open tree.
#[derive(Clone)]
pub(super) struct Tree {
    pub(super) db: Database,
    pub(super) rows: Keyspace,
}

impl Tree {
    /// Opens the tree, or makes an empty one.
    pub(super) fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let fail = |error| opening_failed(path, error);
        let db = Database::builder(path)
            .cache_size(options.cache_bytes)
            .manual_journal_persist(true)
            .max_journaling_size(JOURNALS_BYTES_MAX)
            .max_cached_files(Some(OPEN_FILES_MAX))
            .worker_threads(options.worker_threads.max(1))
            .open()
            .map_err(fail)?;
        let rows = db
            .keyspace(KEYSPACE, || {
                KeyspaceCreateOptions::default()
                    .manual_journal_persist(true)
                    .max_memtable_size(options.write_buffer_bytes)
                    .data_block_compression_policy(CompressionPolicy::disabled())
                    .index_block_compression_policy(CompressionPolicy::disabled())
            })
            .map_err(fail)?;
        Ok(Self { db, rows })
    }

    /// Waits while the tree's own threads are behind. The tree would do so inside a commit, but without an end
    /// when one of those threads has died.
    pub(super) fn wait_for_room(&self) -> Result<(), fjall::Error> {
        const SEALED_MAX: usize = 3;
        const TABLES_UNMERGED_MAX: usize = 24;
        while self.rows.sealed_memtable_count() >= SEALED_MAX
            || self.rows.l0_table_count() >= TABLES_UNMERGED_MAX
        {
            self.check()?;
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Whether the tree still accepts writes: it does not after a failure in one of its own threads.
    pub(super) fn check(&self) -> Result<(), fjall::Error> {
        self.db.persist(PersistMode::Buffer)
    }
}

fn opening_failed(path: &Path, error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Locked => StoreError::Locked { path: path.to_owned() },
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => match error.kind() {
            // A file that must be there is not, or is too short.
            ErrorKind::NotFound | ErrorKind::UnexpectedEof => StoreError::damaged(path, error),
            _ => StoreError::folder(path, error),
        },
        other => StoreError::damaged(path, other),
    }
}
