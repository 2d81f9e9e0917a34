//! How many entries are read at once for a reader that may be slow: what waits for it is in memory meanwhile,
//! so it is measured in bytes.

use crate::limits::{READ_AHEAD_BYTES_MAX, READ_AHEAD_ENTRIES_MAX};

/// See the module. Grows while entries are small, and follows them when they are not.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadAhead {
    entries: usize,
}

impl ReadAhead {
    pub(super) const fn new() -> Self {
        Self { entries: 4 }
    }

    /// How many to ask for.
    pub(super) const fn entries(self) -> usize {
        self.entries
    }

    /// Of entries of these sizes, how many to take: at least one, and no more than the bytes allow. The rest
    /// is read again.
    pub(super) fn take(&mut self, sizes: impl Iterator<Item = usize>) -> usize {
        let (mut taken, mut bytes) = (0_usize, 0_usize);
        for size in sizes {
            bytes = bytes.saturating_add(size);
            if taken > 0 && bytes > READ_AHEAD_BYTES_MAX {
                self.entries = taken;
                return taken;
            }
            taken += 1;
        }
        self.entries = (2 * self.entries).min(READ_AHEAD_ENTRIES_MAX);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_entries_come_many_at_once_and_large_ones_singly() {
        let mut ahead = ReadAhead::new();
        for _ in 0..10 {
            let asked = ahead.entries();
            assert_eq!(ahead.take(std::iter::repeat_n(100, asked)), asked);
        }
        assert_eq!(ahead.entries(), READ_AHEAD_ENTRIES_MAX);
        assert_eq!(ahead.take(std::iter::repeat_n(READ_AHEAD_BYTES_MAX, ahead.entries())), 1);
        assert_eq!(ahead.entries(), 1);
        assert_eq!(ahead.take(std::iter::once(2 * READ_AHEAD_BYTES_MAX)), 1, "one is always taken");
        assert_eq!(ahead.take(std::iter::empty()), 0);
    }
}
