//! The secret that the nodes of a cluster share, and the keys that are made from it.
//!
//! A client that comes to another node brings what the former one gave it: proof of its address, and connection ids.
//! Every node can read both, as each makes the same keys from the same 32 bytes (HKDF with SHA-256, RFC 5869).
//!
//! The key of stateless resets is made for each server id: a reset says that a connection is gone, and who could say
//! so for a node that lives, or could be made to say so, would end its connections. A node answers only for ids with
//! its own server id.
//!
//! Absent: the keys of TLS tickets. Tickets are remembered, not sealed, so that each is used once; a ticket of
//! another node is not known, and its client waits for a round trip.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::{hkdf, rand};

use super::connection_ids::{self, ServerId};
use crate::watched_files::{FileError, read_bounded};

const SECRET_BYTES: usize = 32;
/// 64 digits and what may be around them.
const FILE_BYTES_MAX: u64 = 1_024;
const RESET_KEY_BYTES: usize = 64;
/// Names this use of the secret and no other.
const SALT: &[u8] = b"fulmar cluster secret 1";

/// See the module. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterSecret([u8; SECRET_BYTES]);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum ClusterSecretError {
    /// Its file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It does not hold what it should.
    #[error("{} does not hold 64 hexadecimal digits: make one with fulmar cluster secret", path.display())]
    NotHex {
        /// The file.
        path: PathBuf,
    },
    /// The system has no randomness to give.
    #[error("the system gives no randomness")]
    NoRandomness,
}

impl ClusterSecret {
    /// A new one, which nobody can foretell.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn random() -> Result<Self, ClusterSecretError> {
        let mut octets = [0; SECRET_BYTES];
        rand::fill(&mut octets).map_err(|_| ClusterSecretError::NoRandomness)?;
        Ok(Self(octets))
    }

    /// Reads it from a file with 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Self, ClusterSecretError> {
        let text = read_bounded(path, FILE_BYTES_MAX)?;
        Self::parse(&text).ok_or_else(|| ClusterSecretError::NotHex { path: path.to_owned() })
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        if text.len() != SECRET_BYTES * 2 {
            return None;
        }
        let mut octets = [0; SECRET_BYTES];
        for (octet, digits) in octets.iter_mut().zip(text.chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'));
            *octet = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())?;
        }
        Some(Self(octets))
    }

    /// What its file holds.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// The key that a load balancer needs to read connection ids, in hexadecimal digits.
    #[must_use]
    pub fn connection_id_key_hex(&self) -> String {
        hex(&self.connection_id_key())
    }

    /// The key of connection ids.
    pub(crate) fn connection_id_key(&self) -> [u8; connection_ids::KEY_BYTES] {
        self.derive(&[b"connection ids"])
    }

    /// The key of stateless resets of one node.
    pub(crate) fn reset_key(&self, server_id: ServerId) -> [u8; RESET_KEY_BYTES] {
        self.derive(&[b"stateless resets", &server_id.octets()])
    }

    /// What the keys of address tokens are made from.
    pub(crate) fn token_key(&self) -> hkdf::Prk {
        let octets: [u8; SECRET_BYTES] = self.derive(&[b"address tokens"]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&octets)
    }

    fn derive<const N: usize>(&self, info: &[&[u8]]) -> [u8; N] {
        let mut key = [0; N];
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(&self.0);
        let filled = secret.expand(info, Octets(N)).and_then(|expanded| expanded.fill(&mut key));
        // It fails for keys of more than 8,160 octets only, and the longest here has 64.
        debug_assert!(filled.is_ok(), "a key of {N} octets");
        key
    }
}

/// How many octets are wanted.
struct Octets(usize);

impl hkdf::KeyType for Octets {
    fn len(&self) -> usize {
        self.0
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClusterSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(octet: u8) -> ClusterSecret {
        ClusterSecret([octet; SECRET_BYTES])
    }

    #[test]
    fn nodes_with_one_secret_have_the_same_keys_and_each_use_has_its_own() {
        let (one, same, other) = (secret(1), secret(1), secret(2));
        assert_eq!(one.connection_id_key(), same.connection_id_key());
        assert_ne!(one.connection_id_key(), other.connection_id_key());
        let (first, second) = (ServerId::new(1).unwrap(), ServerId::new(2).unwrap());
        assert_eq!(one.reset_key(first), same.reset_key(first));
        assert_ne!(one.reset_key(first), one.reset_key(second));
        assert_ne!(one.reset_key(first), other.reset_key(first));
        assert_ne!(one.reset_key(first)[..16], one.connection_id_key());
    }

    /// A balancer is set up with it: it must not change with an update.
    #[test]
    fn keys_are_the_same_for_ever() {
        assert_eq!(secret(1).connection_id_key_hex(), "a1e968e13f113dd2d18dc46942576aca");
    }

    #[test]
    fn what_one_node_sealed_another_opens() {
        use quinn_proto::crypto::HandshakeTokenKey as _;
        let (one, same, other) = (secret(1).token_key(), secret(1).token_key(), secret(2).token_key());
        let mut sealed = b"an address".to_vec();
        one.aead_from_hkdf(b"random").seal(&mut sealed, b"").unwrap();
        assert!(other.aead_from_hkdf(b"random").open(&mut sealed.clone(), b"").is_err());
        assert_eq!(same.aead_from_hkdf(b"random").open(&mut sealed, b"").unwrap(), b"an address");
    }

    #[test]
    fn a_file_holds_64_digits_and_nothing_else() {
        let made = ClusterSecret::random().unwrap();
        assert_eq!(made.to_hex().len(), 64);
        for text in [made.to_hex(), made.to_hex() + "\n", made.to_hex().to_uppercase()] {
            assert!(ClusterSecret::parse(text.as_bytes()).unwrap() == made);
        }
        let digits = "a".repeat(62);
        for wrong in [
            "",
            "ab",
            &digits,
            &(digits.clone() + "+1"),
            &(digits.clone() + "g1"),
            &(digits.clone() + "abab"),
        ] {
            assert!(ClusterSecret::parse(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert_eq!(format!("{made:?}"), "ClusterSecret");
    }
}
