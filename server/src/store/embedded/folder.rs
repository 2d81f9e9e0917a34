//! The store's folder on disk.
//!
//! ```text
//! DIR/lock               held while a process has the store open or compacts it
//! DIR/gen-7/             the generation in use: the one with the highest number
//! DIR/gen-7/FORMAT       which version of the store wrote it
//! DIR/gen-7/SECRET       random bytes that mark its batches
//! DIR/gen-7/tree/        the tree
//! DIR/gen-8.building/    one that is being made; worth nothing until it is renamed
//! ```
//! A generation is made whole and synced under another name, and comes into use by one rename that is synced
//! before anything older is deleted. So whatever the moment of a crash, the folder opens by itself.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::stamp::Secret;
use crate::store::error::StoreError;

/// What `FORMAT` holds. It changes whenever an older server could not read what a newer one wrote.
pub(super) const FORMAT: &str = "fulmar store 1";

const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "lock";
const TREE_FOLDER: &str = "tree";
const PREFIX: &str = "gen-";
const BUILDING: &str = ".building";

/// The folder of a store, locked against everybody else.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Unlocked when it is closed.
    _lock: File,
}

/// One generation of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(u64);

impl Folder {
    /// Locks the folder, which is made if it is not there.
    pub(super) fn lock(path: &Path) -> Result<Self, StoreError> {
        create_folder(path).map_err(|error| StoreError::folder(path, error))?;
        let lock_path = path.join(LOCK_FILE);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| StoreError::folder(&lock_path, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(StoreError::folder(lock_path, error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The generation in use, if there is one. What is older or half made is deleted.
    ///
    /// All of it is synced: what a process left behind that was killed, and only the page cache has, must not be
    /// built upon.
    pub(super) fn current(&self) -> Result<Option<Generation>, StoreError> {
        let fail = |error| StoreError::folder(&self.path, error);
        let mut whole = Vec::new();
        let mut leftovers = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            let Some(number) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
            if let Ok(number) = number.parse() {
                whole.push(Generation(number));
            } else if number.ends_with(BUILDING) {
                leftovers.push(entry.path());
            }
        }
        whole.sort_unstable();
        let current = whole.pop();
        if let Some(current) = current {
            sync_all_below(&self.generation_path(current)).map_err(fail)?;
            self.check_format(current)?;
        }
        sync_folder(&self.path).map_err(fail)?;
        leftovers.extend(whole.into_iter().map(|old| self.generation_path(old)));
        for leftover in leftovers {
            remove_folder(&leftover)?;
        }
        Ok(current)
    }

    /// Makes the generation after `current` with `fill`, which is given the folder of an empty tree, and takes
    /// it into use. What came before it is deleted.
    pub(super) fn build(
        &self,
        current: Option<Generation>,
        fill: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<Generation, StoreError> {
        let next = Generation(current.map_or(1, |current| current.0 + 1));
        let building = self.path.join(format!("{PREFIX}{}{BUILDING}", next.0));
        remove_folder(&building)?;
        let fail = |error| StoreError::folder(&building, error);
        let tree = building.join(TREE_FOLDER);
        std::fs::create_dir_all(&tree).map_err(fail)?;
        std::fs::write(building.join(FORMAT_FILE), format!("{FORMAT}\n")).map_err(fail)?;
        Secret::create(&building)?;
        fill(&tree)?;
        // The tree syncs most of what it makes, but not the entries of its folders in theirs.
        sync_all_below(&building).map_err(fail)?;
        std::fs::rename(&building, self.generation_path(next)).map_err(fail)?;
        sync_folder(&self.path).map_err(fail)?;
        if let Some(current) = current {
            remove_folder(&self.generation_path(current))?;
            sync_folder(&self.path).map_err(fail)?;
        }
        Ok(next)
    }

    /// Where the tree of a generation lies.
    pub(super) fn tree_path(&self, generation: Generation) -> PathBuf {
        self.generation_path(generation).join(TREE_FOLDER)
    }

    pub(super) fn secret(&self, generation: Generation) -> Result<Secret, StoreError> {
        Secret::load(&self.generation_path(generation))
    }

    fn generation_path(&self, generation: Generation) -> PathBuf {
        self.path.join(format!("{PREFIX}{}", generation.0))
    }

    fn check_format(&self, generation: Generation) -> Result<(), StoreError> {
        let path = self.generation_path(generation).join(FORMAT_FILE);
        let bytes = std::fs::read(&path).map_err(|error| StoreError::folder(&path, error))?;
        let found = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if found == FORMAT {
            return Ok(());
        }
        Err(StoreError::UnknownFormat { path: self.path.clone(), found, known: FORMAT })
    }
}

/// Makes a folder and those above it, where they are not there, and syncs the entry of each.
fn create_folder(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)?;
    for above in std::path::absolute(path)?.ancestors().skip(1) {
        match sync_folder(above) {
            // Another's, and so not made by us; or on a file system whose folders are not synced.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => {
                break;
            }
            synced => synced?,
        }
    }
    Ok(())
}

/// Syncs the entries of a folder.
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

fn sync_all_below(path: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all_below(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_folder(path)
}

fn remove_folder(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::folder(path, error)),
        _ => Ok(()),
    }
}
