//! Other systems, as people would run them.

use super::System;

/// All of them.
pub(crate) fn all() -> Vec<Box<dyn System>> {
    Vec::new()
}
