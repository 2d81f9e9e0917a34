//! A row in each batch that tells it from bytes that only look like one.
//!
//! The journal pass at opening (`journal`) must tell a batch torn by a power cut, which is the last one and is
//! cut off, from damage in the middle, where what follows was acknowledged and the store must not open. It looks
//! for whole batches behind the bad spot. A message body can be made to look like a batch, so the pass believes
//! only those that begin with the secret of their generation: sixteen random bytes that never leave the store.

use std::path::Path;

use fjall::Readable;
use rand::{TryRngCore, rngs::OsRng};

use super::tree::Tree;
use crate::store::error::StoreError;

/// The stamp's key. Keys of callers never begin with 0xFF.
pub(super) const STAMP_KEY: [u8; 2] = [0xFF, b's'];

/// Length of the stamp's value: the secret and the batch's number.
pub(super) const STAMP_VALUE_BYTES: usize = 24;

const SECRET_FILE: &str = "SECRET";

/// Random bytes of one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret(pub(super) [u8; 16]);

impl Secret {
    /// Makes the secret of the generation whose folder this is.
    pub(super) fn create(generation: &Path) -> Result<(), StoreError> {
        let path = generation.join(SECRET_FILE);
        let mut secret = [0; 16];
        OsRng.try_fill_bytes(&mut secret).map_err(|error| StoreError::folder(&path, error))?;
        std::fs::write(&path, secret).map_err(|error| StoreError::folder(&path, error))
    }

    pub(super) fn load(generation: &Path) -> Result<Self, StoreError> {
        let path = generation.join(SECRET_FILE);
        let bytes = std::fs::read(&path).map_err(|error| StoreError::folder(&path, error))?;
        match bytes.try_into() {
            Ok(secret) => Ok(Self(secret)),
            Err(_) => Err(StoreError::damaged(path, "it does not hold 16 bytes")),
        }
    }
}

/// Stamps batches, which are numbered from 1 in each generation, without gaps.
#[derive(Debug)]
pub(super) struct Stamp {
    secret: Secret,
    last: u64,
}

impl Stamp {
    /// Goes on where the tree's newest batch left off.
    pub(super) fn resume(secret: Secret, tree: &Tree) -> Result<Self, StoreError> {
        let row = tree.db.snapshot().get(&tree.rows, STAMP_KEY).map_err(StoreError::read)?;
        let last = match row {
            None => 0,
            Some(value) => parse(&value, secret)
                .ok_or_else(|| StoreError::damaged(tree.rows.path(), "the stamp is not this generation's"))?,
        };
        Ok(Self { secret, last })
    }

    /// The row for the next batch.
    pub(super) fn next(&mut self) -> ([u8; 2], [u8; STAMP_VALUE_BYTES]) {
        self.last += 1;
        let mut value = [0; STAMP_VALUE_BYTES];
        let (secret, number) = value.split_at_mut(self.secret.0.len());
        secret.copy_from_slice(&self.secret.0);
        number.copy_from_slice(&self.last.to_be_bytes());
        (STAMP_KEY, value)
    }
}

/// The batch's number, when the stamp is of this generation.
pub(super) fn parse(value: &[u8], secret: Secret) -> Option<u64> {
    let number = value.strip_prefix(secret.0.as_slice())?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}
