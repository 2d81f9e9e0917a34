//! What a closure reads from and writes to in a FoundationDB transaction.
//!
//! Reads see the transaction's own writes, and leave a conflict range over what they covered; both are the client
//! library's own default. A read that fails is remembered, so that the retry loop decides about it whatever the
//! closure makes of the error.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use foundationdb::{FdbError, options::MutationType};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{errors::store_error, keyspace::Keyspace};
use crate::store::{
    account::{Account, check_key, check_limit},
    error::StoreError,
    range::KeyRange,
    tally::TransactionTally,
};

#[derive(Debug)]
pub(crate) struct FdbTransaction {
    inner: foundationdb::Transaction,
    keyspace: Arc<Keyspace>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    account: Account,
    /// The first read that the cluster failed.
    failed_read: Option<FdbError>,
}

/// How a closure left its transaction.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) inner: foundationdb::Transaction,
    /// A limit that it exceeded.
    pub(super) usable: Result<(), StoreError>,
    pub(super) failed_read: Option<FdbError>,
    pub(super) tally: TransactionTally,
}

impl FdbTransaction {
    pub(super) fn new(
        inner: foundationdb::Transaction,
        keyspace: Arc<Keyspace>,
        time_max: Duration,
        maybe_committed: bool,
    ) -> Self {
        let account = Account::new(time_max, maybe_committed);
        Self { inner, keyspace, state: Mutex::new(State { account, failed_read: None }) }
    }

    pub(super) fn leave(self) -> Left {
        let State { account, failed_read } = self.state.into_inner();
        Left { inner: self.inner, usable: account.usable(), failed_read, tally: account.tally }
    }

    pub(crate) fn maybe_committed(&self) -> bool {
        self.state.lock().account.maybe_committed()
    }

    pub(crate) async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        check_key(key)?;
        self.begin_read(|tally| tally.gets += 1)?;
        let read = self.inner.get(&self.keyspace.key(key), false);
        let value = self.read(read).await?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    pub(crate) async fn range(
        &self,
        range: KeyRange,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        check_limit(limit)?;
        let range = range.checked()?;
        self.begin_read(|tally| tally.ranges += 1)?;
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        self.read(read_range(&self.inner, &self.keyspace, &range, limit, reverse, false)).await
    }

    pub(crate) fn set(&self, key: &[u8], value: Bytes) {
        self.write(|account| {
            account.tally.sets += 1;
            account.count_row(key, &value)?;
            self.inner.set(&self.keyspace.key(key), &value);
            Ok(())
        });
    }

    pub(crate) fn clear(&self, key: &[u8]) {
        self.write(|account| {
            account.tally.clears += 1;
            check_key(key)?;
            account.count(key.len())?;
            self.inner.clear(&self.keyspace.key(key));
            Ok(())
        });
    }

    pub(crate) fn byte_max(&self, key: &[u8], value: Bytes) {
        self.write(|account| {
            account.tally.byte_maxes += 1;
            account.count_row(key, &value)?;
            self.inner.atomic_op(&self.keyspace.key(key), &value, MutationType::ByteMax);
            Ok(())
        });
    }

    pub(crate) fn clear_range(&self, range: KeyRange) {
        self.write(|account| {
            account.tally.range_clears += 1;
            let range = range.checked()?;
            account.count(range.start().len().saturating_add(range.end().len()))?;
            if !range.is_empty() {
                let (start, end) = self.keyspace.bounds(&range);
                self.inner.clear_range(&start, &end);
            }
            Ok(())
        });
    }

    /// A write; the first that exceeds a limit fails the transaction, and those after it do nothing.
    fn write(&self, write: impl FnOnce(&mut Account) -> Result<(), StoreError>) {
        let account = &mut self.state.lock().account;
        if account.has_failed() {
            return;
        }
        if let Err(error) = write(account) {
            account.fail(error);
        }
    }

    fn begin_read(&self, count: impl FnOnce(&mut TransactionTally)) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        state.account.usable()?;
        count(&mut state.account.tally);
        Ok(())
    }

    async fn read<T>(&self, read: impl Future<Output = Result<T, FdbError>>) -> Result<T, StoreError> {
        let begun = Instant::now();
        let outcome = read.await;
        let waited = begun.elapsed();
        let mut state = self.state.lock();
        state.account.waited(waited);
        outcome.map_err(|error| {
            state.failed_read.get_or_insert(error);
            store_error(error, waited)
        })
    }
}

/// All that a limit asks for, in as many parts as the cluster gives it. `limit` is not zero.
pub(super) async fn read_range(
    transaction: &foundationdb::Transaction,
    keyspace: &Keyspace,
    range: &KeyRange,
    limit: usize,
    reverse: bool,
    snapshot: bool,
) -> Result<Vec<(Bytes, Bytes)>, FdbError> {
    let mut rows = Vec::new();
    let mut next = Some(keyspace.read(range, limit, reverse));
    // As many parts as there are rows, at most: each has one.
    for part in 1..=limit {
        let Some(option) = next.take() else { break };
        let values = transaction.get_range(&option, part, snapshot).await?;
        rows.extend(values.iter().map(|row| {
            let key = Bytes::copy_from_slice(keyspace.strip(row.key()));
            (key, Bytes::copy_from_slice(row.value()))
        }));
        next = option.next_range(&values);
    }
    Ok(rows)
}
