//! What a running closure reads from and writes to.
//!
//! Only the writer makes one, and it runs one closure at a time in it. The lock is there because a
//! closure's future must be `Send`; nobody ever waits for it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    base::{Base, Row, check_key, check_limit},
    overlay::{Merged, Overlay},
};
use crate::store::{
    error::StoreError,
    limits::{TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX},
    range::KeyRange,
};

#[derive(Debug)]
pub(crate) struct Workspace<B> {
    state: Mutex<State<B>>,
}

#[derive(Debug)]
struct State<B> {
    base: Arc<B>,
    /// What the closures before this one in the batch wrote.
    batch: Overlay,
    /// What this closure wrote.
    own: Overlay,
    /// Bytes that count towards the transaction's limit.
    bytes: usize,
    /// The first limit that was exceeded, or the first read that failed inside a write.
    error: Option<StoreError>,
    deadline: Instant,
    /// An earlier run of this closure may have committed.
    maybe_committed: bool,
}

impl<B: Base> Workspace<B> {
    pub(super) fn new(base: Arc<B>) -> Self {
        let state = State {
            base,
            batch: Overlay::default(),
            own: Overlay::default(),
            bytes: 0,
            error: None,
            deadline: Instant::now(),
            maybe_committed: false,
        };
        Self { state: Mutex::new(state) }
    }

    /// Makes room for the next closure.
    pub(super) fn begin(&self, time_max: Duration, maybe_committed: bool) {
        let mut state = self.state.lock();
        state.own.clear();
        state.bytes = 0;
        state.error = None;
        state.deadline = Instant::now() + time_max;
        state.maybe_committed = maybe_committed;
    }

    /// Keeps what the closure wrote.
    ///
    /// # Errors
    /// When it exceeded a limit. Then nothing is kept.
    pub(super) fn keep(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        state.usable()?;
        let State { batch, own, .. } = &mut *state;
        batch.absorb(own);
        Ok(())
    }

    /// What the batch holds so far, in bytes.
    pub(super) fn batch_bytes(&self) -> usize {
        self.state.lock().batch.bytes()
    }

    /// Ends the batch: hands out what it wrote, and starts the next one on top of another base later.
    pub(super) fn take_batch(&self) -> Overlay {
        std::mem::take(&mut self.state.lock().batch)
    }

    pub(super) fn rebase(&self, base: Arc<B>) {
        self.state.lock().base = base;
    }

    pub(crate) fn maybe_committed(&self) -> bool {
        self.state.lock().maybe_committed
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        check_key(key)?;
        let state = self.state.lock();
        state.usable()?;
        state.get(key)
    }

    pub(crate) fn range(
        &self,
        range: KeyRange,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        check_limit(limit)?;
        let range = range.checked()?;
        let state = self.state.lock();
        state.usable()?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        let mut push = |row| {
            rows.push(row?);
            Ok(rows.len() < limit)
        };
        if limit > 0 {
            state.visit(&range, reverse, &mut push)?;
        }
        Ok(rows)
    }

    pub(crate) fn set(&self, key: &[u8], value: Bytes) {
        self.write(key, |state, key| {
            state.check_value(&value)?;
            state.count(key.len() + value.len())?;
            state.own.put(key, Some(value));
            Ok(())
        });
    }

    pub(crate) fn clear(&self, key: &[u8]) {
        self.write(key, |state, key| {
            state.count(key.len())?;
            state.own.put(key, None);
            Ok(())
        });
    }

    pub(crate) fn byte_max(&self, key: &[u8], value: Bytes) {
        self.write(key, |state, key| {
            state.check_value(&value)?;
            state.count(key.len() + value.len())?;
            if state.get(&key)?.is_none_or(|present| present < value) {
                state.own.put(key, Some(value));
            }
            Ok(())
        });
    }

    pub(crate) fn clear_range(&self, range: KeyRange) {
        let mut state = self.state.lock();
        if state.error.is_some() {
            return;
        }
        if let Err(error) = range.checked().and_then(|range| state.clear_range(&range)) {
            state.error = Some(error);
        }
    }

    /// A write; the first that fails is remembered and fails the transaction.
    fn write(&self, key: &[u8], write: impl FnOnce(&mut State<B>, Bytes) -> Result<(), StoreError>) {
        let mut state = self.state.lock();
        if state.error.is_some() {
            return;
        }
        let written = check_key(key).and_then(|()| write(&mut state, Bytes::copy_from_slice(key)));
        if let Err(error) = written {
            state.error = Some(error);
        }
    }
}

impl<B: Base> State<B> {
    fn usable(&self) -> Result<(), StoreError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if Instant::now() > self.deadline { Err(StoreError::TransactionTooSlow) } else { Ok(()) }
    }

    fn check_value(&self, value: &Bytes) -> Result<(), StoreError> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(StoreError::ValueTooLong { bytes: value.len() });
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.bytes += bytes;
        if self.bytes > TRANSACTION_BYTES_MAX { Err(StoreError::TransactionTooLarge) } else { Ok(()) }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.own.get(key).or_else(|| self.batch.get(key)) {
            Some(written) => Ok(written.clone()),
            None => self.base.get(key),
        }
    }

    fn clear_range(&mut self, range: &KeyRange) -> Result<(), StoreError> {
        self.count(range.start().len() + range.end().len())?;
        if range.is_empty() {
            return Ok(());
        }
        // A cleared range may hold any number of rows; stop looking as soon as it is too much.
        let room = TRANSACTION_BYTES_MAX - self.bytes;
        let mut keys = Vec::new();
        let mut bytes = 0;
        self.visit(range, false, &mut |row: Row| {
            let (key, _) = row?;
            bytes += key.len();
            keys.push(key);
            Ok(bytes <= room)
        })?;
        self.count(bytes)?;
        for key in keys {
            self.own.put(key, None);
        }
        Ok(())
    }

    /// Shows the rows of a range that is not empty, in order, until `visit` says to stop.
    fn visit(
        &self,
        range: &KeyRange,
        reverse: bool,
        visit: &mut dyn FnMut(Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let (own, batch) = (self.own.range(range), self.batch.range(range));
        if reverse {
            let below = Merged::new(batch.rev(), self.base.rows_back(range), true);
            drain(Merged::new(own.rev(), below, true), visit)
        } else {
            let below = Merged::new(batch, self.base.rows(range), false);
            drain(Merged::new(own, below, false), visit)
        }
    }
}

fn drain(
    rows: impl Iterator<Item = Row>,
    visit: &mut dyn FnMut(Row) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    for row in rows {
        if !visit(row)? {
            break;
        }
    }
    Ok(())
}
