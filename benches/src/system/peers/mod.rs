//! Other systems, as people would run them.

use super::System;
use crate::error::BenchError;

/// All of them.
pub(crate) fn all() -> Vec<Box<dyn System>> {
    Vec::new()
}

/// The one of that name.
pub(crate) fn named(name: &str) -> Result<Box<dyn System>, BenchError> {
    all()
        .into_iter()
        .find(|peer| peer.name() == name)
        .ok_or_else(|| BenchError::Wrong(format!("there is no peer {name:?}: this build has none")))
}
