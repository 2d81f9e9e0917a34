//! The sizes that are allowed to be over their limit: `xtask/allow-list.toml`.
//!
//! The list may only shrink: an entry that is no longer needed, or that allows more than there is,
//! is a finding.

use serde::Deserialize;

use super::Tree;

/// Where the list stands.
pub(crate) const ALLOW_LIST: &str = "xtask/allow-list.toml";

/// Something over its limit, and why it reads better so.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Allowed {
    /// The file.
    pub(crate) path: String,
    /// The function; absent where the whole file is meant.
    pub(crate) function: Option<String>,
    /// Its lines now.
    pub(crate) lines: usize,
    /// Why.
    pub(crate) reason: String,
}

/// The whole list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowList {
    #[serde(default)]
    pub(crate) allowed: Vec<Allowed>,
}

impl AllowList {
    /// Reads the list of a tree; no file is an empty list.
    pub(crate) fn of(tree: &Tree) -> Result<Self, String> {
        match tree.file(ALLOW_LIST) {
            Some(file) => toml::from_str(&file.text).map_err(|error| error.to_string()),
            None => Ok(Self::default()),
        }
    }
}
