//! Checking a store, and compacting one that is stopped.
//!
//! Compaction copies the live rows into a new generation and deletes the old one. So what was overwritten or
//! cleared is in no file afterwards, journals included, and no part of the tree's own merging has to be trusted
//! for it.

use std::path::Path;

use super::{EmbeddedStore, folder::Folder, journal, tree::Tree, view::View};
use crate::store::{
    counts::{CompactProgress, StoreCounts},
    error::StoreError,
    options::StoreOptions,
};

/// Rows between two calls of a progress callback.
const PROGRESS_ROWS: u64 = 1_000;

impl EmbeddedStore {
    pub(in crate::store) fn check(&self) -> Result<StoreCounts, StoreError> {
        let view = self.status().base.load_full().ok_or(StoreError::Closed)?;
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
}

pub(in crate::store) fn compact(
    path: &Path,
    options: &StoreOptions,
    mut progress: impl FnMut(CompactProgress),
) -> Result<StoreCounts, StoreError> {
    let folder = Folder::lock(path)?;
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
