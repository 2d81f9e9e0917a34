//! What a node holds among the rows of users and conversations: its sessions, and its interest in large
//! conversations.
//!
//! Each stands there, where it is looked for, and once more under the node's number, so that it is found when the
//! node is gone.

use bytes::Bytes;
use fulmar_protocol::{ConversationId, DeviceId, SessionNumber, UserId};

use super::{Key, NodeNumber};
use crate::store::Transaction;

/// A session of a user: on which node, of which device, with which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionKey {
    pub(crate) device: DeviceId,
    pub(crate) number: SessionNumber,
    pub(crate) node: NodeNumber,
}

impl SessionKey {
    /// The session of a row of `sessions`: the last fields of its key.
    pub(crate) fn at_end(key: &[u8]) -> Option<Self> {
        let (rest, node) = key.split_last_chunk::<8>()?;
        let (rest, number) = rest.split_last_chunk::<8>()?;
        let device = rest.last_chunk::<16>()?;
        Some(Self {
            device: DeviceId::new(*device),
            number: SessionNumber::new(u64::from_be_bytes(*number)),
            node: NodeNumber::new(u64::from_be_bytes(*node)),
        })
    }
}

/// A row that a node holds among those of users and conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Session(UserId, SessionKey),
    Interest(ConversationId),
}

impl Held {
    /// What a row of `all_held` is about.
    pub(crate) fn of_key(key: &[u8], node: NodeNumber) -> Option<Self> {
        let (kind, rest) = key.get(10..)?.split_first()?;
        match kind {
            b's' => {
                let (rest, number) = rest.split_last_chunk::<8>()?;
                let (user, device) = rest.split_last_chunk::<16>()?;
                let (length, user) = user.split_first()?;
                let user = (user.len() == usize::from(*length)).then(|| std::str::from_utf8(user))?.ok()?;
                let number = SessionNumber::new(u64::from_be_bytes(*number));
                let session = SessionKey { device: DeviceId::new(*device), number, node };
                Some(Self::Session(UserId::parse(user).ok()?, session))
            }
            b'c' => Some(Self::Interest(ConversationId::new(rest.try_into().ok()?).ok()?)),
            _ => None,
        }
    }

    /// The row itself.
    pub(crate) fn key(&self, node: NodeNumber) -> Key {
        match self {
            Self::Session(user, session) => Key::session(user, session),
            Self::Interest(conversation) => Key::interest(conversation, node),
        }
    }
}

/// Writes a row that a node holds.
pub(crate) fn hold(transaction: &Transaction, node: NodeNumber, held: &Held) {
    transaction.set(&held.key(node), Bytes::new());
    transaction.set(&Key::held(node, held), Bytes::new());
}

/// Clears a row that a node held.
pub(crate) fn release(transaction: &Transaction, node: NodeNumber, held: &Held) {
    transaction.clear(&held.key(node));
    transaction.clear(&Key::held(node, held));
}
