//! Checking a store, and compacting one that is stopped.
//!
//! Compaction copies the live rows into a new generation and deletes the old one. So what was overwritten or
//! cleared is in no file afterwards, journals included, and no part of the tree's own merging has to be trusted
//! for it.

use std::path::Path;

use super::{Store, folder::Folder, journal, tree::Tree, view::View};
use crate::store::{error::StoreError, options::StoreOptions};

/// What a check or a compaction went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Rows.
    pub rows: u64,
    /// Bytes of their keys.
    pub key_bytes: u64,
    /// Bytes of their values.
    pub value_bytes: u64,
}

/// How far a compaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactProgress {
    /// Rows copied so far.
    pub rows_done: u64,
    /// Rows in all, an estimate that is too high where rows were overwritten.
    pub rows_estimate: u64,
}

/// Rows between two calls of a progress callback.
const PROGRESS_ROWS: u64 = 1_000;

impl Store {
    /// Reads every row of the newest synced state. Each block that is read has its checksum verified, and the
    /// order of the keys is checked. Blocks for as long as that takes.
    ///
    /// # Errors
    /// When something cannot be read, or is damaged.
    pub fn check(&self) -> Result<StoreCounts, StoreError> {
        let view = self.snapshot().view.ok_or(StoreError::Closed)?;
        let mut counts = StoreCounts::default();
        let mut last: Option<bytes::Bytes> = None;
        for row in view.everything() {
            let (key, value) = row?;
            if last.is_some_and(|last| last >= key) {
                return Err(StoreError::damaged(view.path(), "keys are out of order"));
            }
            counts.add(&key, &value);
            last = Some(key);
        }
        Ok(counts)
    }

    /// Copies the rows of a store that nobody has open into fresh files and deletes the old ones, so that what
    /// was overwritten or cleared is in no file any more. Needs as much free space as the rows take. Blocks; a
    /// crash or power cut at any moment leaves either the old files or the new ones in use.
    ///
    /// # Errors
    /// When the folder is in use, cannot be read or written, is of an unknown format, or is damaged. The store
    /// is as it was then.
    pub fn compact(
        path: impl AsRef<Path>,
        options: &StoreOptions,
        mut progress: impl FnMut(CompactProgress),
    ) -> Result<StoreCounts, StoreError> {
        let folder = Folder::lock(path.as_ref())?;
        let Some(generation) = folder.current()? else { return Ok(StoreCounts::default()) };
        let tree_path = folder.tree_path(generation);
        journal::settle(&tree_path, folder.secret(generation)?)?;
        let old = Tree::open(&tree_path, options)?;
        let mut counts = StoreCounts::default();
        folder.build(Some(generation), |path| {
            // Closed before the old generation is deleted.
            let old = old;
            let new = Tree::open(path, options)?;
            counts = copy(&old, &new, &mut progress)?;
            Ok(())
        })?;
        Ok(counts)
    }
}

fn copy(
    old: &Tree,
    new: &Tree,
    progress: &mut impl FnMut(CompactProgress),
) -> Result<StoreCounts, StoreError> {
    let fail = |error: fjall::Error| StoreError::folder(new.rows.path(), error);
    let rows_estimate = old.rows.approximate_len() as u64;
    let mut counts = StoreCounts::default();
    let mut tables = new.rows.start_ingestion().map_err(fail)?;
    for row in View::new(&old.db, &old.rows).everything() {
        let (key, value) = row?;
        tables.write(&*key, &*value).map_err(fail)?;
        counts.add(&key, &value);
        if counts.rows.is_multiple_of(PROGRESS_ROWS) {
            progress(CompactProgress { rows_done: counts.rows, rows_estimate });
        }
    }
    tables.finish().map_err(fail)?;
    progress(CompactProgress { rows_done: counts.rows, rows_estimate });
    Ok(counts)
}

impl StoreCounts {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows += 1;
        self.key_bytes += key.len() as u64;
        self.value_bytes += value.len() as u64;
    }
}
