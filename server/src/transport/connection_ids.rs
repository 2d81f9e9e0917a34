//! Connection ids that a load balancer can read: QUIC-LB (draft-ietf-quic-load-balancers-21).
//!
//! A client that changes its address keeps its connection, and a balancer that goes by addresses would send it to
//! another node. So each id says which node gave it: a first octet (the configuration's number in its upper three
//! bits, the length of the rest in the others), the node's server id in [`SERVER_ID_BYTES`], and a nonce. Without a
//! key all of that is readable by everybody. With one, server id and nonce fill a block of AES, which is encrypted in a
//! single pass.
//!
//! Holds: no two ids of one node are the same, as far as random nonces differ. A node can tell whether an id may be
//! its own, and drops a packet of unknown origin at the cost of one id (`validate`). With a key that needs the
//! inverse, which is as cheap.
//!
//! Absent: the four passes that the draft has for other lengths, as a full block costs less to make and to check; more
//! than one configuration at a time: to change key or server id is to restart the node.

use std::sync::Arc;

use aws_lc_rs::cipher::{AES_128, DecryptingKey, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::cipher::{DecryptionContext, EncryptionContext};
use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};

use crate::clock::Rng;

/// Octets of a server id.
pub(crate) const SERVER_ID_BYTES: usize = 4;
/// Octets of a key.
pub(crate) const KEY_BYTES: usize = 16;
/// Octets of a nonce with a key: server id and nonce fill a block. Without one: as many as the draft asks for at
/// least, and then some, so that ids drawn at random do not meet.
const NONCE_BYTES_ENCRYPTED: usize = BLOCK_BYTES - SERVER_ID_BYTES;
const NONCE_BYTES_PLAIN: usize = 8;
const BLOCK_BYTES: usize = 16;
/// Our configuration's number. 7 stands for "none".
const CONFIGURATION: u8 = 0;
const CONFIGURATION_SHIFT: u32 = 5;

/// Names a node to load balancers; 0 stands for none, and is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerId(u32);

impl ServerId {
    /// The id, unless it is 0.
    pub(crate) fn new(id: u32) -> Option<Self> {
        (id != 0).then_some(Self(id))
    }

    pub(crate) fn octets(self) -> [u8; SERVER_ID_BYTES] {
        self.0.to_be_bytes()
    }
}

/// AES has no key for it: the library refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library takes no AES key")]
pub(crate) struct KeyRefused;

/// How ids are written and read.
#[derive(Clone)]
pub(crate) struct Scheme {
    server_id: ServerId,
    cipher: Option<Arc<Cipher>>,
}

/// AES on one block.
struct Cipher {
    encrypting: EncryptingKey,
    decrypting: DecryptingKey,
}

impl Cipher {
    fn new(key: &[u8; KEY_BYTES]) -> Result<Self, KeyRefused> {
        let unbound = || UnboundCipherKey::new(&AES_128, key).map_err(|_| KeyRefused);
        Ok(Self {
            encrypting: EncryptingKey::ecb(unbound()?).map_err(|_| KeyRefused)?,
            decrypting: DecryptingKey::ecb(unbound()?).map_err(|_| KeyRefused)?,
        })
    }

    fn encrypt(&self, block: &mut [u8; BLOCK_BYTES]) -> bool {
        self.encrypting.less_safe_encrypt(block, EncryptionContext::None).is_ok()
    }

    fn decrypt(&self, block: &mut [u8; BLOCK_BYTES]) -> bool {
        self.decrypting.decrypt(block, DecryptionContext::None).is_ok()
    }
}

impl Scheme {
    /// Ids that everybody can read.
    pub(crate) fn plain(server_id: ServerId) -> Self {
        Self { server_id, cipher: None }
    }

    /// Ids that only who has the key can read.
    pub(crate) fn encrypted(server_id: ServerId, key: &[u8; KEY_BYTES]) -> Result<Self, KeyRefused> {
        Ok(Self { server_id, cipher: Some(Arc::new(Cipher::new(key)?)) })
    }

    /// What makes ids of this scheme, with nonces from `rng`.
    pub(crate) fn generator(&self, rng: Rng) -> Generator {
        Generator { scheme: self.clone(), rng }
    }

    /// Octets after the first.
    fn rest_bytes(&self) -> usize {
        if self.cipher.is_some() { BLOCK_BYTES } else { SERVER_ID_BYTES + NONCE_BYTES_PLAIN }
    }

    /// The id with this nonce, of which only as much is used as there is room for.
    fn id(&self, nonce: [u8; NONCE_BYTES_ENCRYPTED]) -> ConnectionId {
        let mut block = [0; BLOCK_BYTES];
        let (server_id, rest) = block.split_at_mut(SERVER_ID_BYTES);
        server_id.copy_from_slice(&self.server_id.octets());
        rest.copy_from_slice(&nonce);
        if let Some(cipher) = &self.cipher
            && !cipher.encrypt(&mut block)
        {
            // Never seen of a block of the right length. Random octets lead to any node, not to a wrong answer.
            rest_of_random(&mut block, nonce);
        }
        let mut id = Vec::with_capacity(1 + BLOCK_BYTES);
        id.push(first_octet(self.rest_bytes()));
        id.extend(block.iter().take(self.rest_bytes()));
        ConnectionId::new(&id)
    }

    /// Whether this node can have given the id.
    fn is_own(&self, id: &[u8]) -> bool {
        let Some((first, rest)) = id.split_first() else { return false };
        if *first != first_octet(self.rest_bytes()) || rest.len() != self.rest_bytes() {
            return false;
        }
        match &self.cipher {
            None => rest.starts_with(&self.server_id.octets()),
            Some(cipher) => <[u8; BLOCK_BYTES]>::try_from(rest).is_ok_and(|mut block| {
                cipher.decrypt(&mut block) && block.starts_with(&self.server_id.octets())
            }),
        }
    }
}

fn rest_of_random(block: &mut [u8; BLOCK_BYTES], nonce: [u8; NONCE_BYTES_ENCRYPTED]) {
    for (octet, random) in block.iter_mut().zip(nonce.iter().cycle()) {
        *octet = *random;
    }
}

/// The number of the configuration and the length of the rest.
fn first_octet(rest_bytes: usize) -> u8 {
    CONFIGURATION << CONFIGURATION_SHIFT | u8::try_from(rest_bytes).unwrap_or(0x1f) & 0x1f
}

/// Makes and knows the ids of one node.
pub(crate) struct Generator {
    scheme: Scheme,
    rng: Rng,
}

impl ConnectionIdGenerator for Generator {
    fn generate_cid(&mut self) -> ConnectionId {
        self.scheme.id(self.rng.octets())
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        if self.scheme.is_own(id) { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        1 + self.scheme.rest_bytes()
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const KEY: [u8; KEY_BYTES] =
        [0x8f, 0x95, 0xf0, 0x92, 0x45, 0x76, 0x5f, 0x80, 0x25, 0x69, 0x34, 0xe5, 0x0c, 0x66, 0x20, 0x7f];

    fn server(id: u32) -> ServerId {
        ServerId::new(id).unwrap()
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// The first 12 octets of what follows, with zeros where there are fewer.
    fn nonce(text: &str) -> [u8; NONCE_BYTES_ENCRYPTED] {
        let mut octets = hex(text);
        octets.resize(NONCE_BYTES_ENCRYPTED, 0);
        octets.try_into().unwrap()
    }

    /// Of draft-ietf-quic-load-balancers-21, appendix B.2: the example with 16 octets. Its server id has 8 octets; an
    /// id does not show where it ends and the nonce begins. Its configuration is number 2, ours number 0.
    #[test]
    fn an_encrypted_id_is_that_of_the_draft() {
        let scheme = Scheme::encrypted(server(0xed79_3a51), &KEY).unwrap();
        let id = scheme.id(nonce("d49b8f5fee080dbf48c0d1e5"));
        assert_eq!(id[1..], hex("4dd2d05a7b0de9b2b9907afb5ecf8cc3"));
        assert_eq!(id[0] | 2 << CONFIGURATION_SHIFT, 0x50);
    }

    /// Of appendix B.1: server id and nonce stand there as they are.
    #[test]
    fn a_plain_id_can_be_read() {
        let id = Scheme::plain(server(0xc460_5e45)).id(nonce("04cc4f0102030405"));
        assert_eq!(id[..], hex("0cc4605e4504cc4f0102030405"));
    }

    #[test]
    fn a_node_knows_its_own_ids_and_no_others() {
        let other_key = [7; KEY_BYTES];
        let schemes = [
            Scheme::plain(server(1)),
            Scheme::plain(server(2)),
            Scheme::encrypted(server(1), &KEY).unwrap(),
            Scheme::encrypted(server(2), &KEY).unwrap(),
            Scheme::encrypted(server(1), &other_key).unwrap(),
        ];
        for (own, scheme) in schemes.iter().enumerate() {
            let mut generator = scheme.generator(Rng::seeded(1));
            let id = generator.generate_cid();
            assert_eq!(id.len(), generator.cid_len());
            for (nth, other) in schemes.iter().enumerate() {
                let knows = other.generator(Rng::seeded(2)).validate(&id).is_ok();
                assert_eq!(knows, nth == own, "{own} and {nth}");
            }
            for wrong in [&id[..id.len() - 1], &id[..1], &[], &[0xff; 17], &[0; 13]] {
                assert!(!scheme.is_own(wrong), "{wrong:?}");
            }
        }
    }

    #[test]
    fn no_two_ids_are_the_same_and_encrypted_ones_do_not_show_the_node() {
        let mut generator = Scheme::encrypted(server(1), &KEY).unwrap().generator(Rng::seeded(1));
        let ids: HashSet<_> = (0..1_000).map(|_| generator.generate_cid()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id[1..5] != [0, 0, 0, 1]));
    }
}
