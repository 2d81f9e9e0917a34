//! What a closure and a reader hold: [`Transaction`] and [`Snapshot`].
//!
//! Dispatch and nothing else, like `handle`. The methods are asynchronous because a back end may read over a
//! network. Those of the embedded back end are ready at the first poll; a read that misses its cache blocks the
//! thread for one read of the disk.

use std::sync::Arc;

use bytes::Bytes;

#[cfg(feature = "foundationdb")]
use super::foundationdb::{FdbSnapshot, FdbTransaction};
#[cfg(feature = "fault-injection")]
use super::tally::StoreTally;
use super::{
    embedded,
    error::StoreError,
    range::KeyRange,
    serial::{Base, Workspace},
};
#[cfg(feature = "simulation")]
use super::{memory, shared::SharedSnapshot};

/// What a closure reads from and writes to. See the module's contract.
#[derive(Debug)]
pub struct Transaction {
    back_end: InTransaction,
}

#[derive(Debug)]
enum InTransaction {
    Embedded(Arc<Workspace<embedded::View>>),
    #[cfg(feature = "foundationdb")]
    FoundationDb(Box<FdbTransaction>),
    #[cfg(feature = "simulation")]
    Memory(Arc<Workspace<memory::Rows>>),
}

/// The same call on whichever back end. `$wait` is what an asynchronous one needs behind it.
macro_rules! dispatch {
    ($self:ident, $method:ident($($argument:expr),*) $($wait:tt)*) => {
        match &$self.back_end {
            InTransaction::Embedded(workspace) => workspace.$method($($argument),*),
            #[cfg(feature = "foundationdb")]
            InTransaction::FoundationDb(transaction) => transaction.$method($($argument),*) $($wait)*,
            #[cfg(feature = "simulation")]
            InTransaction::Memory(workspace) => workspace.$method($($argument),*),
        }
    };
}

impl Transaction {
    pub(super) fn embedded(workspace: Arc<Workspace<embedded::View>>) -> Self {
        Self { back_end: InTransaction::Embedded(workspace) }
    }

    #[cfg(feature = "foundationdb")]
    pub(super) fn foundationdb(transaction: FdbTransaction) -> Self {
        Self { back_end: InTransaction::FoundationDb(Box::new(transaction)) }
    }

    /// What [`Self::foundationdb`] was given.
    #[cfg(feature = "foundationdb")]
    pub(super) fn into_foundationdb(self) -> Option<FdbTransaction> {
        match self.back_end {
            InTransaction::FoundationDb(transaction) => Some(*transaction),
            _ => None,
        }
    }

    #[cfg(feature = "simulation")]
    pub(super) fn memory(workspace: Arc<Workspace<memory::Rows>>) -> Self {
        Self { back_end: InTransaction::Memory(workspace) }
    }

    /// The value of a key, this transaction's own writes included.
    ///
    /// # Errors
    /// When the key is not a possible one, the transaction has already exceeded a limit, or reading failed.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        dispatch!(self, get(key).await)
    }

    /// At most `limit` rows of a range in the order of keys, or from its end backwards, this transaction's own
    /// writes included.
    ///
    /// # Errors
    /// As for [`Transaction::get`]; also when `limit` is more than [`super::RANGE_ROWS_MAX`].
    pub async fn range(
        &self,
        range: impl Into<KeyRange>,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        dispatch!(self, range(range.into(), limit, reverse).await)
    }

    /// Writes a row.
    pub fn set(&self, key: &[u8], value: impl Into<Bytes>) {
        dispatch!(self, set(key, value.into()));
    }

    /// Removes a row, if it is there.
    pub fn clear(&self, key: &[u8]) {
        dispatch!(self, clear(key));
    }

    /// Removes every row of a range.
    pub fn clear_range(&self, range: impl Into<KeyRange>) {
        dispatch!(self, clear_range(range.into()));
    }

    /// Sets a row to the greater of its value and this one, or to this one where there is none.
    pub fn byte_max(&self, key: &[u8], value: impl Into<Bytes>) {
        dispatch!(self, byte_max(key, value.into()));
    }

    /// Whether an earlier attempt of this closure may have committed. Sticky: once true it stays true.
    pub fn maybe_committed(&self) -> bool {
        dispatch!(self, maybe_committed())
    }
}

/// A fixed, durable state of the store. Keeps old rows from being reclaimed while it lives: drop it soon.
#[derive(Debug, Clone)]
pub struct Snapshot {
    back_end: OfSnapshot,
    #[cfg(feature = "fault-injection")]
    tally: Option<StoreTally>,
}

/// None: of a store that was closed.
#[derive(Debug, Clone)]
enum OfSnapshot {
    Embedded(Option<Arc<embedded::View>>),
    #[cfg(feature = "foundationdb")]
    FoundationDb(Arc<FdbSnapshot>),
    #[cfg(feature = "simulation")]
    Memory(Option<Arc<memory::Rows>>),
    #[cfg(feature = "simulation")]
    Shared(Arc<SharedSnapshot>),
}

impl From<OfSnapshot> for Snapshot {
    fn from(back_end: OfSnapshot) -> Self {
        Self {
            back_end,
            #[cfg(feature = "fault-injection")]
            tally: None,
        }
    }
}

impl Snapshot {
    pub(super) fn embedded(view: Option<Arc<embedded::View>>) -> Self {
        OfSnapshot::Embedded(view).into()
    }

    #[cfg(feature = "foundationdb")]
    pub(super) fn foundationdb(snapshot: FdbSnapshot) -> Self {
        OfSnapshot::FoundationDb(Arc::new(snapshot)).into()
    }

    #[cfg(feature = "simulation")]
    pub(super) fn memory(rows: Option<Arc<memory::Rows>>) -> Self {
        OfSnapshot::Memory(rows).into()
    }

    #[cfg(feature = "simulation")]
    pub(super) fn shared(snapshot: SharedSnapshot) -> Self {
        OfSnapshot::Shared(Arc::new(snapshot)).into()
    }

    /// Counts what is read through it.
    #[cfg(feature = "fault-injection")]
    pub(super) fn counted(self, tally: Option<StoreTally>) -> Self {
        Self { tally, ..self }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the key is not a possible one, the store is closed, or reading failed.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        #[cfg(feature = "fault-injection")]
        if let Some(tally) = &self.tally {
            tally.snapshot_get();
        }
        match &self.back_end {
            OfSnapshot::Embedded(view) => open(view)?.get_checked(key),
            #[cfg(feature = "foundationdb")]
            OfSnapshot::FoundationDb(snapshot) => snapshot.get(key).await,
            #[cfg(feature = "simulation")]
            OfSnapshot::Memory(rows) => open(rows)?.get_checked(key),
            #[cfg(feature = "simulation")]
            OfSnapshot::Shared(snapshot) => snapshot.get(key).await,
        }
    }

    /// At most `limit` rows of a range in the order of keys, or from its end backwards.
    ///
    /// # Errors
    /// As for [`Snapshot::get`]; also when `limit` is more than [`super::RANGE_ROWS_MAX`].
    pub async fn range(
        &self,
        range: impl Into<KeyRange>,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        #[cfg(feature = "fault-injection")]
        if let Some(tally) = &self.tally {
            tally.snapshot_range();
        }
        match &self.back_end {
            OfSnapshot::Embedded(view) => open(view)?.range_checked(range.into(), limit, reverse),
            #[cfg(feature = "foundationdb")]
            OfSnapshot::FoundationDb(snapshot) => snapshot.range(range.into(), limit, reverse).await,
            #[cfg(feature = "simulation")]
            OfSnapshot::Memory(rows) => open(rows)?.range_checked(range.into(), limit, reverse),
            #[cfg(feature = "simulation")]
            OfSnapshot::Shared(snapshot) => snapshot.range(range.into(), limit, reverse).await,
        }
    }
}

fn open<B>(base: &Option<Arc<B>>) -> Result<&B, StoreError> {
    base.as_deref().ok_or(StoreError::Closed)
}
