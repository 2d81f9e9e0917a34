//! Other people's systems, as they are really run: each with a configuration and data of its own in a temporary
//! folder, TLS always on, and clients on a well-kept library.
//!
//! Their client libraries are compiled only with the feature `peers`. Why each is configured as it is, is written in
//! `docs/benchmarks.md`. Absent: installing anything; what is missing is named, with the command that installs it.

#[cfg(feature = "peers")]
mod certificate;
#[cfg(feature = "peers")]
mod connection;
#[cfg(feature = "peers")]
mod conversations;
#[cfg(feature = "peers")]
mod ejabberd;
#[cfg(feature = "peers")]
mod mosquitto;
#[cfg(feature = "peers")]
mod mqtt;
#[cfg(feature = "peers")]
mod nats;
#[cfg(feature = "peers")]
mod process;
#[cfg(feature = "peers")]
mod quic;
#[cfg(feature = "peers")]
mod rmqtt;
#[cfg(feature = "peers")]
#[cfg(test)]
mod tests;

use super::System;
use crate::error::BenchError;

/// Their names on the command line.
pub(crate) const NAMES: &[&str] = &["mosquitto", "nats", "nats-synced", "ejabberd", "rmqtt"];

/// Why a build without the feature has none.
pub(crate) const NOT_COMPILED: &str = "this fulmar-bench was built without peers; build it with: cargo build --release -p fulmar-benches --features peers";

/// All of them, installed or not; none in a build without the feature `peers`.
pub(crate) fn all() -> Vec<Box<dyn System>> {
    #[cfg(feature = "peers")]
    return vec![
        Box::new(mosquitto::Mosquitto),
        Box::new(nats::Nats(nats::Sync::Default)),
        Box::new(nats::Nats(nats::Sync::Always)),
        Box::new(ejabberd::Ejabberd),
        Box::new(rmqtt::Rmqtt),
    ];
    #[cfg(not(feature = "peers"))]
    Vec::new()
}

/// The one of that name.
pub(crate) fn named(name: &str) -> Result<Box<dyn System>, BenchError> {
    match all().into_iter().find(|peer| peer.name() == name) {
        Some(peer) => Ok(peer),
        None if NAMES.contains(&name) => Err(BenchError::Wrong(NOT_COMPILED.into())),
        None => Err(BenchError::Wrong(format!("there is no peer {name:?}; there are: {}", NAMES.join(", ")))),
    }
}
