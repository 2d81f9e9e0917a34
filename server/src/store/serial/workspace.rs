//! What a running closure reads from and writes to.
//!
//! Only the writer makes one, and it runs one closure at a time in it. The lock is there because a
//! closure's future must be `Send`; nobody ever waits for it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{
    base::{Base, Row},
    overlay::{Merged, Overlay},
};
#[cfg(feature = "fault-injection")]
use crate::store::tally::TransactionTally;
use crate::store::{
    account::{Account, check_key, check_limit},
    error::StoreError,
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
    account: Account,
}

impl<B: Base> Workspace<B> {
    pub(super) fn new(base: Arc<B>) -> Self {
        let state = State {
            base,
            batch: Overlay::default(),
            own: Overlay::default(),
            account: Account::new(Duration::ZERO, false),
        };
        Self { state: Mutex::new(state) }
    }

    /// Makes room for the next closure.
    pub(super) fn begin(&self, time_max: Duration, maybe_committed: bool) {
        let mut state = self.state.lock();
        state.own.clear();
        state.account = Account::new(time_max, maybe_committed);
    }

    /// Keeps what the closure wrote.
    ///
    /// # Errors
    /// When it exceeded a limit. Then nothing is kept.
    pub(super) fn keep(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        state.account.usable()?;
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

    /// What the closure did.
    #[cfg(feature = "fault-injection")]
    pub(super) fn tally(&self) -> TransactionTally {
        self.state.lock().account.tally
    }

    pub(crate) fn maybe_committed(&self) -> bool {
        self.state.lock().account.maybe_committed()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        check_key(key)?;
        let mut state = self.state.lock();
        state.account.usable()?;
        state.account.tally.gets += 1;
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
        let mut state = self.state.lock();
        state.account.usable()?;
        state.account.tally.ranges += 1;
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
            state.account.tally.sets += 1;
            state.account.count_row(&key, &value)?;
            state.own.put(key, Some(value));
            Ok(())
        });
    }

    pub(crate) fn clear(&self, key: &[u8]) {
        self.write(key, |state, key| {
            state.account.tally.clears += 1;
            state.account.count(key.len())?;
            state.own.put(key, None);
            Ok(())
        });
    }

    pub(crate) fn byte_max(&self, key: &[u8], value: Bytes) {
        self.write(key, |state, key| {
            state.account.tally.byte_maxes += 1;
            state.account.count_row(&key, &value)?;
            if state.get(&key)?.is_none_or(|present| present < value) {
                state.own.put(key, Some(value));
            }
            Ok(())
        });
    }

    pub(crate) fn clear_range(&self, range: KeyRange) {
        let mut state = self.state.lock();
        if state.account.has_failed() {
            return;
        }
        state.account.tally.range_clears += 1;
        if let Err(error) = range.checked().and_then(|range| state.clear_range(&range)) {
            state.account.fail(error);
        }
    }

    /// A write; the first that fails is remembered and fails the transaction.
    fn write(&self, key: &[u8], write: impl FnOnce(&mut State<B>, Bytes) -> Result<(), StoreError>) {
        let mut state = self.state.lock();
        if state.account.has_failed() {
            return;
        }
        let written = check_key(key).and_then(|()| write(&mut state, Bytes::copy_from_slice(key)));
        if let Err(error) = written {
            state.account.fail(error);
        }
    }
}

impl<B: Base> State<B> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.own.get(key).or_else(|| self.batch.get(key)) {
            Some(written) => Ok(written.clone()),
            None => self.base.get(key),
        }
    }

    fn clear_range(&mut self, range: &KeyRange) -> Result<(), StoreError> {
        self.account.count(range.start().len() + range.end().len())?;
        if range.is_empty() {
            return Ok(());
        }
        // A cleared range may hold any number of rows; stop looking as soon as it is too much.
        let room = self.account.room();
        let mut keys = Vec::new();
        let mut bytes = 0;
        self.visit(range, false, &mut |row: Row| {
            let (key, _) = row?;
            bytes += key.len();
            keys.push(key);
            Ok(bytes <= room)
        })?;
        self.account.count(bytes)?;
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
