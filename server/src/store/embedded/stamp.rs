//! A row in each batch that tells it from bytes that only look like one.
//!
//! The journal pass at opening must tell a batch torn by a power cut (the last one; it is cut off) from damage
//! in the middle (what follows was acknowledged; the store must not open). It looks for whole batches behind
//! the bad spot. A message body may be made to look like a batch, so the pass believes only those that carry
//! the stamp of the run that wrote what came before: sixteen random bytes that never leave the store.

use rand::{TryRngCore, rngs::OsRng};

use crate::store::error::StoreError;

/// The stamp's key. Keys of callers never begin with 0xFF.
pub(super) const STAMP_KEY: &[u8] = &[0xFF, b's'];

/// The stamp of one run of the writer.
#[derive(Debug)]
pub(super) struct Stamp {
    run: [u8; 16],
    batch: u64,
}

impl Stamp {
    pub(super) fn random() -> Result<Self, StoreError> {
        let mut run = [0; 16];
        OsRng.try_fill_bytes(&mut run).map_err(StoreError::read)?;
        Ok(Self { run, batch: 0 })
    }

    /// The row for the next batch.
    pub(super) fn next(&mut self) -> (&'static [u8], Vec<u8>) {
        self.batch += 1;
        let mut value = Vec::with_capacity(24);
        value.extend_from_slice(&self.run);
        value.extend_from_slice(&self.batch.to_be_bytes());
        (STAMP_KEY, value)
    }
}
