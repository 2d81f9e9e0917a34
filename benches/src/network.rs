//! Where the clients and servers of a run are: on loopback, or on either side of an emulated link.
//!
//! It is opened before the runtime, because the runtime's threads, on which all clients are, must be on the clients'
//! side from their beginning.

use fulmar_network_model::Profile;
use tokio::runtime::{Builder, Runtime};

use crate::{
    error::BenchError,
    link::{Link, LinkSettings},
    place::Place,
};

/// The name that stands for loopback, without a link.
const LOOPBACK: &str = "none";

/// See the module.
pub(crate) struct Network {
    link: Option<Link>,
}

impl Network {
    /// Loopback.
    pub(crate) fn loopback() -> Self {
        Self { link: None }
    }

    /// The link of a profile. What is random on it follows from the seed.
    pub(crate) fn open(profile: &str, seed: u64) -> Result<Self, BenchError> {
        if profile == LOOPBACK {
            return Ok(Self::loopback());
        }
        let profile = Profile::by_name(profile).ok_or_else(|| {
            let known: Vec<_> = Profile::ALL.iter().map(|profile| profile.name).collect();
            BenchError::Wrong(format!(
                "there is no profile {profile:?}; there are: {LOOPBACK}, {}",
                known.join(", ")
            ))
        })?;
        Ok(Self { link: Some(Link::open(profile, seed, &LinkSettings::default())?) })
    }

    /// A place for a server, on its side. An error when the link has ended.
    pub(crate) fn place(&self) -> Result<Place, BenchError> {
        match &self.link {
            Some(link) => {
                link.stats()?;
                Place::behind(link)
            }
            None => Place::loopback(),
        }
    }

    /// Gives the clients another address. On loopback there is none to give: only the libraries that are told move on.
    pub(crate) fn change_address(&self) {
        if let Some(link) = &self.link {
            link.roam();
        }
    }

    /// A runtime whose threads are on the clients' side, as this thread is from now on.
    pub(crate) fn runtime(&self) -> Result<Runtime, BenchError> {
        let mut builder = Builder::new_multi_thread();
        builder.enable_all();
        if let Some(link) = &self.link {
            link.client().enter()?;
            let client = link.client().clone();
            // A thread on the wrong side would measure something else without a word.
            builder.on_thread_start(move || client.enter().unwrap_or_else(|error| panic!("{error}")));
        }
        Ok(builder.build()?)
    }
}
