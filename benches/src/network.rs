//! Where the clients and servers of a run are: on loopback, or on either side of an emulated link.
//!
//! It is opened before the runtime, because the runtime's threads, on which all clients are, must be on the clients'
//! side from their beginning.

use tokio::runtime::{Builder, Runtime};

use crate::{error::BenchError, place::Place};

/// The name that stands for loopback, without a link.
pub(crate) const LOOPBACK: &str = "none";

/// See the module.
pub(crate) struct Network(());

impl Network {
    /// Loopback.
    pub(crate) fn loopback() -> Self {
        Self(())
    }

    /// The link of a profile. What is random on it follows from the seed.
    pub(crate) fn open(profile: &str, _seed: u64) -> Result<Self, BenchError> {
        if profile == LOOPBACK {
            return Ok(Self::loopback());
        }
        Err(BenchError::Wrong(format!(
            "--profile {profile}: this build has no emulated link; run with --profile {LOOPBACK}"
        )))
    }

    /// A place for a server, on its side.
    #[expect(clippy::unused_self, reason = "a link has a place of its own")]
    pub(crate) fn place(&self) -> Result<Place, BenchError> {
        Place::loopback()
    }

    /// Gives the clients another address. On loopback there is none to give: only the libraries that are told move on.
    #[expect(clippy::unused_self, reason = "a link has addresses to give")]
    pub(crate) fn change_address(&self) {}

    /// A runtime whose threads are on the clients' side, as this thread is from now on.
    #[expect(clippy::unused_self, reason = "a link has a side to be on")]
    pub(crate) fn runtime(&self) -> Result<Runtime, BenchError> {
        Ok(Builder::new_multi_thread().enable_all().build()?)
    }
}
