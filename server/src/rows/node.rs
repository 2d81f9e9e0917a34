//! A node's row: how the others find it, and its lease.

use std::{fmt, net::SocketAddr};

use bytes::Bytes;
use fulmar_protocol::TimestampMs;

use super::value::{self, RowError};

/// The number of a node: new at each start, and whenever its lease was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeNumber(u64);

impl NodeNumber {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for NodeNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeRow {
    /// Where other nodes reach it.
    pub(crate) address: SocketAddr,
    /// SHA-256 of its certificate.
    pub(crate) fingerprint: [u8; 32],
    /// Where clients reach it: `host:port`.
    pub(crate) client_addresses: Vec<String>,
    /// What connection ids name it by; 0: nothing does.
    pub(crate) server_id: u32,
    /// Rises with every renewal. A lease is held as long as this rises: nobody's clock is asked.
    pub(crate) renewals: u64,
    /// The node's own time of day at the renewal, to tell clocks apart.
    pub(crate) at: TimestampMs,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Row {
    #[prost(string, tag = "1")]
    address: String,
    #[prost(bytes = "bytes", tag = "2")]
    fingerprint: Bytes,
    #[prost(string, repeated, tag = "3")]
    client_addresses: Vec<String>,
    #[prost(uint32, tag = "4")]
    server_id: u32,
    #[prost(uint64, tag = "5")]
    renewals: u64,
    #[prost(uint64, tag = "6")]
    at_ms: u64,
}

impl NodeRow {
    pub(crate) fn encode(&self) -> Bytes {
        value::encode(&Row {
            address: self.address.to_string(),
            fingerprint: Bytes::copy_from_slice(&self.fingerprint),
            client_addresses: self.client_addresses.clone(),
            server_id: self.server_id,
            renewals: self.renewals,
            at_ms: self.at.get(),
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let row: Row = value::decode("node", bytes)?;
        let malformed = || RowError::malformed("node");
        Ok(Self {
            address: row.address.parse().map_err(|_| malformed())?,
            fingerprint: row.fingerprint.as_ref().try_into().map_err(|_| malformed())?,
            client_addresses: row.client_addresses,
            server_id: row.server_id,
            renewals: row.renewals,
            at: TimestampMs::new(row.at_ms),
        })
    }
}
