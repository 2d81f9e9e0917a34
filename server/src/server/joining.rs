//! Becoming a node of a cluster: a socket for the others, links, a lease.

use std::sync::Arc;

use fulmar_protocol::Epoch;
use tokio::sync::mpsc;

use super::{ClusterOptions, ServerOptions, StartError};
use crate::{
    fanout::Hub,
    log::Log,
    metrics::Metrics,
    nodes::{
        JoinError, Node, NodeNumber, NodeOptions,
        link::{LinkEvent, LinkOptions, Links, NodeCredentials},
    },
    session::Alternatives,
    store::Store,
};

/// A node that has not joined, its log, and what comes over its links.
type Prepared = (Arc<Node>, Arc<Log>, mpsc::Receiver<LinkEvent>);

/// What a server joins with.
pub(super) struct Joining<'j> {
    pub(super) options: &'j ServerOptions,
    pub(super) cluster: &'j ClusterOptions,
    pub(super) store: &'j Store,
    pub(super) hub: &'j Arc<Hub>,
    pub(super) metrics: &'j Arc<Metrics>,
}

impl Joining<'_> {
    /// All that it takes to begin.
    pub(super) fn prepare(
        self,
        epoch: Epoch,
        alternatives: &Alternatives,
        log: impl FnOnce(&Arc<Node>) -> Arc<Log>,
    ) -> Result<Prepared, StartError> {
        let (links, events) = self.links(epoch)?;
        let options = NodeOptions {
            store: self.store.clone(),
            clock: self.options.clock.clone(),
            rng: self.options.rng.clone(),
            hub: Arc::clone(self.hub),
            metrics: Arc::clone(self.metrics),
            address: self.cluster.advertise,
            client_addresses: self.cluster.client_addresses.clone(),
            server_id: self.cluster.server_id,
            alternatives: alternatives.clone(),
            faults: self.options.faults(),
        };
        let (node, log) = Node::new(options, links, log);
        Ok((node, log, events))
    }

    fn links(&self, epoch: Epoch) -> Result<(Links, mpsc::Receiver<LinkEvent>), StartError> {
        let ClusterOptions { listen, authority, certificate, key, .. } = self.cluster;
        let credentials = NodeCredentials::read(authority, certificate, key)?;
        let socket = self.options.node_socket(self.cluster);
        let (socket, seed) = socket.map_err(|error| StartError::Listen { address: *listen, error })?;
        let options = LinkOptions {
            // Until it has one.
            number: NodeNumber::new(0),
            deployment: epoch,
            credentials,
            socket,
            seed,
            time: self.options.time_of_certificates(),
            metrics: Arc::clone(self.metrics),
        };
        Links::start(options).map_err(|error| StartError::Links(error.to_string()))
    }
}

impl From<JoinError> for StartError {
    fn from(error: JoinError) -> Self {
        Self::Cluster(error.to_string())
    }
}
