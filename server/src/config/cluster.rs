//! `[cluster]`: the server as one of several nodes on one store, and what it tells balancers and clients.

use std::net::SocketAddr;
use std::path::PathBuf;

use fulmar_protocol::ServerAddress;
use serde::{Deserialize, Serialize};

use super::{ConfigError, within};

/// `[cluster]`: the server as one of several nodes on one store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// Where other nodes connect, UDP. A server without it is alone.
    pub listen: Option<SocketAddr>,
    /// The address that other nodes use, where it is not `listen`.
    pub advertise: Option<SocketAddr>,
    /// The node's certificate chain, PEM, by which other nodes know it.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, PEM.
    pub key: Option<PathBuf>,
    /// The authority of all nodes' certificates, PEM.
    pub authority: Option<PathBuf>,
    /// Where clients reach this node, `HOST:PORT`: what the clients of a node that drains are told.
    pub client_addresses: Vec<String>,
    /// What a load balancer knows this node by; 0: nothing. No two nodes may have the same.
    pub server_id: u32,
    /// The secret that all nodes share: a file of 64 hexadecimal digits.
    pub secret: Option<PathBuf>,
    /// Whether connection ids show the server id to everybody, for balancers that cannot decrypt.
    pub plain_connection_ids: bool,
}

impl ClusterConfig {
    /// Addresses of one node; fewer than a client is told, so that a draining node can name several.
    const CLIENT_ADDRESSES_MAX: usize = 4;

    /// Whether the server is one of several.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.listen.is_some()
    }

    /// The address that other nodes use.
    #[must_use]
    pub fn advertised(&self) -> Option<SocketAddr> {
        self.advertise.or(self.listen)
    }

    /// Where clients reach this node.
    ///
    /// # Errors
    /// When one of them is no address: the first such.
    pub fn addresses_for_clients(&self) -> Result<Vec<ServerAddress>, ConfigError> {
        let parse = |address: &String| {
            ServerAddress::parse(address).map_err(|_| ConfigError::Contradiction {
                file: None,
                problem: format!("cluster.client_addresses: {address:?} is not HOST:PORT"),
            })
        };
        self.client_addresses.iter().map(parse).collect()
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within(
            "cluster.client_addresses (their number)",
            self.client_addresses.len(),
            0..=Self::CLIENT_ADDRESSES_MAX,
        )?;
        self.addresses_for_clients()?;
        let files = [("certificate", &self.certificate), ("key", &self.key), ("authority", &self.authority)];
        let refused = |problem: String| Err(ConfigError::Contradiction { file: None, problem });
        if self.is_on() {
            if let Some((missing, _)) = files.iter().find(|(_, path)| path.is_none()) {
                return refused(format!(
                    "cluster.listen is set, cluster.{missing} is not: fulmar cluster ca and fulmar cluster cert make \
                     all three files"
                ));
            }
        } else if let Some((set, _)) = files.iter().find(|(_, path)| path.is_some()) {
            return refused(format!(
                "cluster.{set} is set, cluster.listen is not: name the address for other nodes, or leave out both"
            ));
        } else if self.advertise.is_some() {
            return refused(
                "cluster.advertise is set, cluster.listen is not: there is nothing to advertise".into(),
            );
        }
        let address = self.advertised();
        if address.is_some_and(|address| address.ip().is_unspecified()) {
            return refused(
                "cluster.listen is on all addresses: name the one that other nodes use with cluster.advertise".into(),
            );
        }
        if address.is_some_and(|address| address.port() == 0) && self.advertise.is_some() {
            return refused("cluster.advertise has port 0: name the port that other nodes use".into());
        }
        if self.server_id != 0 && self.secret.is_none() {
            return refused(
                "cluster.server_id is set, cluster.secret is not: fulmar cluster secret makes the file"
                    .into(),
            );
        }
        if self.server_id == 0 && self.plain_connection_ids {
            return refused(
                "cluster.plain_connection_ids is set, cluster.server_id is not: there is nothing to show"
                    .into(),
            );
        }
        Ok(())
    }
}
