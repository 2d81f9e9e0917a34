//! Writes that are not in the base yet, and reading through them.
//!
//! A closure reads through two overlays: its own writes, and those of the closures before it in the batch.
//! The upper one wins; both win over the base below.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, btree_map},
    iter::Peekable,
    ops::Bound,
};

use bytes::Bytes;

use super::Row;
use crate::store::range::KeyRange;

/// What each row counts beyond its key and value, for the memory and the journal that it takes.
pub(crate) const OVERLAY_ROW_BYTES: usize = 24;

/// Rows written (`Some`) and cleared (`None`), by key.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    rows: BTreeMap<Bytes, Option<Bytes>>,
    bytes: usize,
}

impl Overlay {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Option<Bytes>> {
        self.rows.get(key)
    }

    pub(super) fn put(&mut self, key: Bytes, value: Option<Bytes>) {
        self.bytes += OVERLAY_ROW_BYTES + key.len() + value.as_ref().map_or(0, Bytes::len);
        self.rows.insert(key, value);
    }

    /// What was put in, in bytes, overwritten rows included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.bytes = 0;
    }

    /// Moves everything of `upper` into this one; `upper` wins and is left empty.
    pub(super) fn absorb(&mut self, upper: &mut Overlay) {
        self.bytes += upper.bytes;
        upper.bytes = 0;
        self.rows.extend(std::mem::take(&mut upper.rows));
    }

    pub(crate) fn into_rows(self) -> btree_map::IntoIter<Bytes, Option<Bytes>> {
        self.rows.into_iter()
    }

    /// The rows of a range that is not empty.
    pub(super) fn range(&self, range: &KeyRange) -> btree_map::Range<'_, Bytes, Option<Bytes>> {
        self.rows.range::<[u8], _>((Bound::Included(range.start()), Bound::Excluded(range.end())))
    }
}

/// Two sources of rows in one order of keys; `upper` wins, and its cleared rows hide those of `lower`.
pub(super) struct Merged<'o, U, L>
where
    U: Iterator<Item = (&'o Bytes, &'o Option<Bytes>)>,
    L: Iterator<Item = Row>,
{
    upper: Peekable<U>,
    lower: Peekable<L>,
    reverse: bool,
}

impl<'o, U, L> Merged<'o, U, L>
where
    U: Iterator<Item = (&'o Bytes, &'o Option<Bytes>)>,
    L: Iterator<Item = Row>,
{
    pub(super) fn new(upper: U, lower: L, reverse: bool) -> Self {
        Self { upper: upper.peekable(), lower: lower.peekable(), reverse }
    }
}

impl<'o, U, L> Iterator for Merged<'o, U, L>
where
    U: Iterator<Item = (&'o Bytes, &'o Option<Bytes>)>,
    L: Iterator<Item = Row>,
{
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        loop {
            let order = match (self.upper.peek(), self.lower.peek()) {
                (_, Some(Err(_))) | (None, _) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some((upper, _)), Some(Ok((lower, _)))) => {
                    let order = upper.as_ref().cmp(lower.as_ref());
                    if self.reverse { order.reverse() } else { order }
                }
            };
            if order == Ordering::Greater {
                return self.lower.next();
            }
            if order == Ordering::Equal {
                self.lower.next();
            }
            if let Some((key, Some(value))) = self.upper.next() {
                return Some(Ok((key.clone(), value.clone())));
            }
        }
    }
}
