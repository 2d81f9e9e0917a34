//! A half-open range of keys.

use std::ops::Range;

use super::{error::StoreError, limits::KEY_BYTES_MAX};

/// The keys from `start` on and before `end`. Empty when `start >= end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    start: Vec<u8>,
    end: Vec<u8>,
}

impl KeyRange {
    /// The keys from `start` on and before `end`.
    pub fn new(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        Self { start: start.into(), end: end.into() }
    }

    /// Every key.
    pub fn all() -> Self {
        Self { start: Vec::new(), end: vec![0xFF] }
    }

    /// The keys that begin with `prefix`, itself included.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let start = prefix.into();
        let mut end = start.clone();
        while let Some(last) = end.pop() {
            if let Some(next) = last.checked_add(1) {
                end.push(next);
                return Self { start, end };
            }
        }
        Self { start, end: vec![0xFF] }
    }

    /// The keys after `key` that are in this range: where to read on.
    #[must_use]
    pub fn after(mut self, key: &[u8]) -> Self {
        self.start.clear();
        self.start.extend_from_slice(key);
        self.start.push(0);
        self
    }

    /// The keys before `key` that are in this range: where to read on backwards.
    #[must_use]
    pub fn before(mut self, key: &[u8]) -> Self {
        self.end.clear();
        self.end.extend_from_slice(key);
        self
    }

    /// The first key that may be in the range.
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// The first key behind the range.
    pub fn end(&self) -> &[u8] {
        &self.end
    }

    /// Whether no key can be in it.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// The range without what belongs to the back end; an error when a bound is no possible key.
    pub(super) fn checked(mut self) -> Result<Self, StoreError> {
        for bound in [&self.start, &self.end] {
            // One byte more than a key: the bound that comes right after the longest one.
            if bound.len() > KEY_BYTES_MAX + 1 {
                return Err(StoreError::KeyInvalid { bytes: bound.len() });
            }
        }
        if self.end.as_slice() > [0xFF].as_slice() {
            self.end = vec![0xFF];
        }
        Ok(self)
    }
}

impl<K: AsRef<[u8]>> From<Range<K>> for KeyRange {
    fn from(range: Range<K>) -> Self {
        Self::new(range.start.as_ref(), range.end.as_ref())
    }
}

impl From<&KeyRange> for KeyRange {
    fn from(range: &KeyRange) -> Self {
        range.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::KeyRange;

    #[test]
    fn a_prefix_range_ends_before_the_next_prefix() {
        assert_eq!(KeyRange::prefix(*b"ab"), KeyRange::new(*b"ab", *b"ac"));
        assert_eq!(KeyRange::prefix([1, 0xFF]), KeyRange::new([1, 0xFF], [2]));
        assert_eq!(KeyRange::prefix([]), KeyRange::all());
    }

    #[test]
    fn reading_on_begins_right_after_the_last_key() {
        assert_eq!(KeyRange::all().after(b"k").start(), b"k\0");
        assert_eq!(KeyRange::all().before(b"k"), KeyRange::new(*b"", *b"k"));
    }
}
