//! What a client takes from the machine: sockets, randomness, and the time of day by which certificates are
//! judged. A simulation brings its own, so that a run can be repeated from a seed.
//!
//! All other time is the runtime's, which a simulation pauses.
#![cfg_attr(not(feature = "simulation"), allow(unreachable_pub, reason = "exported for simulations only"))]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, Runtime, TokioRuntime, TransportConfig};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

use crate::rng::Rng;

/// Where the sockets of a simulated client come from.
pub trait Sockets: std::fmt::Debug + Send + Sync {
    /// A socket that reaches `remote`, with a port of its own.
    ///
    /// # Errors
    /// When there is none to be had.
    fn bind(&self, remote: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>>;
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Environment {
    sockets: Option<Arc<dyn Sockets>>,
    seed: Option<u64>,
    time: Arc<dyn TimeProvider>,
    tune: Option<fn(&mut TransportConfig)>,
    jitter: bool,
}

impl Default for Environment {
    /// The machine's own.
    fn default() -> Self {
        Self { sockets: None, seed: None, time: Arc::new(DefaultTimeProvider), tune: None, jitter: true }
    }
}

impl Environment {
    /// One that has nothing of the machine: for simulations.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn simulated(sockets: Arc<dyn Sockets>, seed: u64, time: Arc<dyn TimeProvider>) -> Self {
        Self { sockets: Some(sockets), seed: Some(seed), time, tune: None, jitter: true }
    }

    /// With a last word on how QUIC is set: what a measurement varies.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn with_transport(mut self, tune: fn(&mut TransportConfig)) -> Self {
        self.tune = Some(tune);
        self
    }

    /// Without chance in the times at which a client tries again: only to show what that is good for.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    /// Has that last word.
    pub(crate) fn tune(&self, config: &mut TransportConfig) {
        if let Some(tune) = self.tune {
            tune(config);
        }
    }

    /// A source of randomness, the same one at each call when it is seeded.
    pub(crate) fn rng(&self) -> Rng {
        let rng = self.seed.map_or_else(Rng::from_os, Rng::from_seed);
        if self.jitter { rng } else { rng.without_jitter() }
    }

    pub(crate) fn time(&self) -> Arc<dyn TimeProvider> {
        Arc::clone(&self.time)
    }

    /// An endpoint that reaches `remote`.
    pub(crate) fn endpoint(&self, remote: SocketAddr) -> io::Result<Endpoint> {
        let mut config = EndpointConfig::default();
        if self.seed.is_some() {
            config.rng_seed(Some(self.rng().seed()));
        }
        Endpoint::new_with_abstract_socket(config, None, self.bind(remote)?, Arc::new(TokioRuntime))
    }

    /// A new socket that reaches `remote`, on the wildcard address, so that a change of network is followed.
    pub(crate) fn bind(&self, remote: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        if let Some(sockets) = &self.sockets {
            return sockets.bind(remote);
        }
        let local = match remote {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        TokioRuntime.wrap_udp_socket(std::net::UdpSocket::bind(local)?)
    }
}
