//! The part of a cluster's keys that is this deployment's.
//!
//! Every key is preceded by the configured prefix, framed so that no prefix is the beginning of another's: as a
//! string in FoundationDB's tuple encoding. The framed prefix by itself, which is no key of callers, holds the
//! marker that says whose this is.

use foundationdb::{KeySelector, RangeOption, options::StreamingMode};

use crate::store::range::KeyRange;

/// A string in the tuple encoding, and its end.
const STRING: u8 = 0x02;
const STRING_END: u8 = 0x00;

#[derive(Debug)]
pub(super) struct Keyspace {
    prefix: Vec<u8>,
}

impl Keyspace {
    /// The prefix was checked by the configuration: it holds no zero byte.
    pub(super) fn new(prefix: &str) -> Self {
        let bytes = prefix.bytes().filter(|byte| *byte != STRING_END);
        Self { prefix: std::iter::once(STRING).chain(bytes).chain([STRING_END]).collect() }
    }

    /// Where the marker is.
    pub(super) fn marker(&self) -> &[u8] {
        &self.prefix
    }

    pub(super) fn key(&self, key: &[u8]) -> Vec<u8> {
        [&self.prefix, key].concat()
    }

    /// The caller's part of a key that a range read gave.
    pub(super) fn strip<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        key.get(self.prefix.len()..).unwrap_or_default()
    }

    /// Start and end of a checked range, the marker left out.
    pub(super) fn bounds(&self, range: &KeyRange) -> (Vec<u8>, Vec<u8>) {
        // No key is shorter than one byte, so this is the first.
        let start = if range.start().is_empty() { &[0] } else { range.start() };
        (self.key(start), self.key(range.end()))
    }

    /// A read of a checked range. `limit` is not zero, which would mean none.
    pub(super) fn read(&self, range: &KeyRange, limit: usize, reverse: bool) -> RangeOption<'static> {
        let (start, end) = self.bounds(range);
        RangeOption {
            limit: Some(limit),
            reverse,
            // All that was asked for is wanted, as soon as it can be had.
            mode: StreamingMode::WantAll,
            ..RangeOption::from((
                KeySelector::first_greater_or_equal(start),
                KeySelector::first_greater_or_equal(end),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_prefix_is_the_beginning_of_another() {
        let (short, long) = (Keyspace::new("chat"), Keyspace::new("chat2"));
        assert!(!long.key(b"k").starts_with(short.marker()));
        assert!(!short.key(b"2\0k").starts_with(long.marker()));
    }

    #[test]
    fn keys_are_given_back_as_they_were_and_the_marker_is_in_no_range() {
        let keyspace = Keyspace::new("fulmar");
        let key = keyspace.key(b"\x01k");
        assert_eq!(keyspace.strip(&key), b"\x01k");
        let (start, end) = keyspace.bounds(&KeyRange::all());
        assert!(keyspace.marker() < &start[..] && start < end);
        assert!(key > start && key < end);
    }
}
