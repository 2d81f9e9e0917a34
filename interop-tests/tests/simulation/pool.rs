//! How many storms run at once.

use std::num::NonZeroUsize;

/// One per core.
pub(crate) fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
