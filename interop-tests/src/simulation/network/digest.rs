//! A hash over what happened, to compare two runs by: FNV-1a, because it is a few lines and nobody attacks it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) const fn new() -> Self {
        Self(OFFSET)
    }

    /// Adds a packet that was somewhere at a moment.
    pub(super) fn packet(&mut self, at: Duration, from: SocketAddr, to: SocketAddr, bytes: usize) {
        self.bytes(&at.as_nanos().to_le_bytes());
        self.address(from);
        self.address(to);
        self.bytes(&bytes.to_le_bytes());
    }

    pub(super) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    pub(super) fn ip(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
    }

    pub(super) const fn get(self) -> u64 {
        self.0
    }

    fn address(&mut self, address: SocketAddr) {
        self.ip(address.ip());
        self.bytes(&address.port().to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }
}
