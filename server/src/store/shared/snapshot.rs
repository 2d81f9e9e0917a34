//! Reading a state of the shared store, as one server does.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    handle::SharedHandle,
    way::{InMemory, Way},
};
#[cfg(feature = "foundationdb")]
use crate::store::foundationdb::FdbSnapshot;
use crate::store::{
    error::StoreError, limits::SNAPSHOT_TIME_MAX, memory::Rows, range::KeyRange, serial::Base,
};

#[derive(Debug)]
pub(in crate::store) struct SharedSnapshot {
    handle: SharedHandle,
    state: State,
}

#[derive(Debug)]
enum State {
    Memory(Arc<InMemory>, OnceLock<Taken>),
    #[cfg(feature = "foundationdb")]
    FoundationDb(FdbSnapshot),
}

/// A state in memory, and when it was taken.
#[derive(Debug)]
struct Taken {
    rows: Option<Arc<Rows>>,
    at: Instant,
}

impl SharedSnapshot {
    /// `at_once`: the state is taken now, and else at the first read. The contract allows both; a cluster knows the
    /// latter alone.
    pub(super) fn new(handle: SharedHandle, at_once: bool) -> Self {
        let state = match handle.way() {
            Way::Memory(place) => {
                let taken = OnceLock::new();
                if at_once {
                    taken.get_or_init(|| take(place));
                }
                State::Memory(Arc::clone(place), taken)
            }
            #[cfg(feature = "foundationdb")]
            Way::FoundationDb { store, .. } => State::FoundationDb(store.snapshot()),
        };
        Self { handle, state }
    }

    /// A state with all that this server's closures have committed.
    pub(super) fn of_commits(handle: SharedHandle, at_once: bool) -> Self {
        match handle.way() {
            Way::Memory(_) => Self::new(handle, at_once),
            #[cfg(feature = "foundationdb")]
            Way::FoundationDb { store, .. } => {
                let state = State::FoundationDb(store.snapshot_of_commits());
                Self { handle, state }
            }
        }
    }

    pub(in crate::store) async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.handle.arrive().await?;
        match &self.state {
            State::Memory(place, taken) => rows(place, taken)?.get_checked(key),
            #[cfg(feature = "foundationdb")]
            State::FoundationDb(snapshot) => snapshot.get(key).await,
        }
    }

    pub(in crate::store) async fn range(
        &self,
        range: KeyRange,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.handle.arrive().await?;
        match &self.state {
            State::Memory(place, taken) => rows(place, taken)?.range_checked(range, limit, reverse),
            #[cfg(feature = "foundationdb")]
            State::FoundationDb(snapshot) => snapshot.range(range, limit, reverse).await,
        }
    }
}

/// The newest state that was synced.
fn take(place: &InMemory) -> Taken {
    Taken { rows: place.store().status().base.load_full(), at: Instant::now() }
}

fn rows<'t>(place: &InMemory, taken: &'t OnceLock<Taken>) -> Result<&'t Rows, StoreError> {
    let taken = taken.get_or_init(|| take(place));
    if taken.at.elapsed() > SNAPSHOT_TIME_MAX {
        return Err(StoreError::SnapshotTooOld);
    }
    taken.rows.as_deref().ok_or(StoreError::Closed)
}
