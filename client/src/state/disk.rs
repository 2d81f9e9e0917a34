//! The state file: a redb database in the state folder, locked while it is open.
//!
//! Invariant: what [`Disk::commit`] returned from is on the disk. A file that is not ours, or not whole, is
//! an error with the folder's name, never a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, Durability, ReadableDatabase, StorageError, TableDefinition};

use crate::error::ClientError;
use crate::state::Stored;
use crate::state::rows::{self, Batch, ConversationRow, RowError, SCHEMA_VERSION};

const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
const FILE: &str = "client.redb";
/// Bytes of pages kept in memory. The driver holds the rows itself; this serves commits only.
const CACHE_BYTES: usize = 1_024 * 1_024;

/// An open state file.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    database: Database,
}

impl Disk {
    /// Opens or creates the file, and checks its version.
    pub(super) fn open(folder: &Path) -> Result<Self, ClientError> {
        let unusable = |cause: String| ClientError::StateUnusable { path: folder.to_owned(), cause };
        std::fs::create_dir_all(folder).map_err(|error| unusable(error.to_string()))?;
        let file = folder.join(FILE);
        let opened = guarded(|| Database::builder().set_cache_size(CACHE_BYTES).create(&file));
        let database = match opened {
            Ok(Ok(database)) => database,
            Ok(Err(error)) => return Err(refine_open(folder, error)),
            Err(cause) => return Err(damaged(folder, cause)),
        };
        let disk = Self { folder: folder.to_owned(), database };
        disk.check_version()?;
        Ok(disk)
    }

    fn check_version(&self) -> Result<(), ClientError> {
        let first =
            Batch { changes: vec![(rows::KEY_SCHEMA.to_vec(), Some(SCHEMA_VERSION.to_be_bytes().to_vec()))] };
        let found = self.guard(|| {
            let transaction = self.database.begin_write()?;
            let found = {
                let table = transaction.open_table(ROWS)?;
                let value = redb::ReadableTable::get(&table, rows::KEY_SCHEMA)?;
                value.map(|value| value.value().to_vec())
            };
            transaction.commit()?;
            Ok(found)
        })?;
        match found.as_deref().map(rows::decode_schema) {
            None => self.commit([&first]),
            Some(Ok(SCHEMA_VERSION)) => Ok(()),
            Some(Ok(found)) => {
                Err(ClientError::StateTooNew { path: self.folder.clone(), found, known: SCHEMA_VERSION })
            }
            Some(Err(error)) => Err(damaged(&self.folder, error.to_string())),
        }
    }

    /// Reads everything.
    pub(super) fn load(&self) -> Result<Stored, ClientError> {
        let raw = self.guard(|| {
            let transaction = self.database.begin_read()?;
            let table = transaction.open_table(ROWS)?;
            let mut raw = Vec::new();
            for row in redb::ReadableTable::iter(&table)? {
                let (key, value) = row?;
                raw.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(raw)
        })?;
        let mut stored = decode(&raw).map_err(|error| damaged(&self.folder, error.to_string()))?;
        stored.folder.clone_from(&self.folder);
        Ok(stored)
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Writes batches, one after another, in one transaction, and syncs.
    pub(super) fn commit<'b>(&self, batches: impl IntoIterator<Item = &'b Batch>) -> Result<(), ClientError> {
        self.guard(|| {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            {
                let mut table = transaction.open_table(ROWS)?;
                for (key, value) in batches.into_iter().flat_map(|batch| &batch.changes) {
                    match value {
                        Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
                        None => drop(table.remove(key.as_slice())?),
                    }
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }

    fn guard<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, ClientError> {
        match guarded(work) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(redb::Error::Corrupted(cause))) => Err(damaged(&self.folder, cause)),
            Ok(Err(error)) => {
                Err(ClientError::StateUnusable { path: self.folder.clone(), cause: error.to_string() })
            }
            Err(cause) => Err(damaged(&self.folder, cause)),
        }
    }
}

/// The store's own checks of a damaged file may panic; here that is an error like any other.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "its inner structure is not sound".to_owned())
}

fn damaged(folder: &Path, cause: String) -> ClientError {
    ClientError::StateDamaged { path: folder.to_owned(), cause }
}

fn refine_open(folder: &Path, error: DatabaseError) -> ClientError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            ClientError::StateInUse { path: folder.to_owned() }
        }
        DatabaseError::Storage(StorageError::Io(error))
            if !matches!(
                error.kind(),
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
            ) =>
        {
            ClientError::StateUnusable { path: folder.to_owned(), cause: error.to_string() }
        }
        other => damaged(folder, other.to_string()),
    }
}

pub(super) fn decode(raw: &[(Vec<u8>, Vec<u8>)]) -> Result<Stored, RowError> {
    let mut stored = Stored::default();
    for (key, value) in raw {
        match key.as_slice() {
            rows::KEY_SCHEMA => {}
            rows::KEY_DEVICE => stored.device = Some(rows::decode_device(value)?),
            rows::KEY_USER => stored.user = Some(rows::decode_user(value)?),
            rows::KEY_EPOCH => stored.epoch = Some(rows::decode_epoch(value)?),
            [rows::PREFIX_CONVERSATION, ..] => stored
                .conversations
                .push((rows::decode_conversation_key(key)?, ConversationRow::decode(value)?)),
            [rows::PREFIX_OUTBOX, ..] => stored.outbox.push(rows::decode_outbox(key, value)?),
            _ => return Err(RowError("key")),
        }
    }
    Ok(stored)
}
