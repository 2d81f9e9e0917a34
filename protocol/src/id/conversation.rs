//! The id of a conversation.
//!
//! Byte 0 is the kind, the other 15 are the start of a hash over what makes the conversation: the two users
//! of a direct one, creator and nonce of a group. So both users compute the same id, and creating a group
//! twice creates it once. Invariant: byte 0 is a known kind.

use std::fmt;
use std::str::FromStr;

use crate::hash::Hash;
use crate::id::octets::{from_hex, octets};
use crate::id::{HexInvalid, UserId};
use crate::registry::domains;

/// The two kinds of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConversationKind {
    /// Between two users (or of one user with themselves).
    Direct,
    /// A group with roles and a title.
    Group,
}

impl ConversationKind {
    const fn octet(self) -> u8 {
        match self {
            Self::Direct => 1,
            Self::Group => 2,
        }
    }
}

octets! {
    /// 16 bytes of a client's choosing that, with the creator, make a group's id.
    GroupNonce, 16
}

/// The id of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationId([u8; 16]);

/// Why bytes or a text are not the id of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConversationIdInvalid {
    /// The first byte names no kind.
    #[error("a conversation id starts with 01 (direct) or 02 (group), not {first:02x}")]
    UnknownKind {
        /// The first byte.
        first: u8,
    },
    /// The text is not 32 hex digits.
    #[error("a conversation id is written as 32 digits: {0}")]
    Hex(#[from] HexInvalid),
}

impl ConversationId {
    /// How many bytes it has.
    pub const LENGTH: usize = 16;

    /// Checks the kind byte and takes the bytes as an id.
    ///
    /// # Errors
    /// When the first byte names no kind.
    pub const fn new(octets: [u8; 16]) -> Result<Self, ConversationIdInvalid> {
        match octets {
            [1 | 2, ..] => Ok(Self(octets)),
            [first, ..] => Err(ConversationIdInvalid::UnknownKind { first }),
        }
    }

    /// The id of the direct conversation of two users; the same whichever comes first.
    #[must_use]
    pub fn direct(one: &UserId, other: &UserId) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        let hash = Hash::new(domains::DIRECT_CONVERSATION).field(low.as_bytes()).field(high.as_bytes());
        Self::with_kind(ConversationKind::Direct, hash)
    }

    /// The id of the group that `creator` makes with `nonce`.
    #[must_use]
    pub fn group(creator: &UserId, nonce: &GroupNonce) -> Self {
        let hash = Hash::new(domains::GROUP_CONVERSATION).field(creator.as_bytes()).field(nonce.as_bytes());
        Self::with_kind(ConversationKind::Group, hash)
    }

    fn with_kind(kind: ConversationKind, hash: Hash) -> Self {
        let digest: [u8; 15] = hash.first();
        let mut octets = [0; 16];
        let (first, rest) = octets.split_at_mut(1);
        first.copy_from_slice(&[kind.octet()]);
        rest.copy_from_slice(&digest);
        Self(octets)
    }

    /// Which kind of conversation it is.
    #[must_use]
    pub const fn kind(&self) -> ConversationKind {
        match self.0 {
            [1, ..] => ConversationKind::Direct,
            _ => ConversationKind::Group,
        }
    }

    /// The bytes.
    #[must_use]
    pub const fn get(self) -> [u8; 16] {
        self.0
    }

    /// The bytes, borrowed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ConversationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ConversationId({self})")
    }
}

impl FromStr for ConversationId {
    type Err = ConversationIdInvalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(from_hex(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    #[test]
    fn both_users_compute_the_same_direct_id() {
        let (alice, bob) = (user("alice"), user("bob"));
        assert_eq!(ConversationId::direct(&alice, &bob), ConversationId::direct(&bob, &alice));
        assert_eq!(ConversationId::direct(&alice, &bob).kind(), ConversationKind::Direct);
    }

    #[test]
    fn where_one_user_id_ends_and_the_next_begins_changes_the_id() {
        let one = ConversationId::direct(&user("ab"), &user("c"));
        let other = ConversationId::direct(&user("a"), &user("bc"));
        assert_ne!(one, other);
    }

    #[test]
    fn a_conversation_id_survives_its_text_form() {
        let id = ConversationId::group(&user("alice"), &GroupNonce::new([7; 16]));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.kind(), ConversationKind::Group);
        let upper = id.to_string().to_uppercase();
        assert!(matches!(upper.parse::<ConversationId>(), Err(ConversationIdInvalid::Hex(_))));
    }

    #[test]
    fn an_unknown_kind_is_no_conversation_id() {
        assert_eq!(ConversationId::new([3; 16]), Err(ConversationIdInvalid::UnknownKind { first: 3 }));
        assert!(ConversationId::new([0; 16]).is_err());
    }
}
