//! Who is in a conversation, and how far they have it.

use fulmar_protocol::{ConversationKind, HistoryPolicy, Role, Seq, UserId};

/// A conversation and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Roster {
    /// Direct or group.
    pub kind: ConversationKind,
    /// The title of a group; empty for a direct conversation.
    pub title: String,
    /// What those who join may read of before.
    pub history_policy: HistoryPolicy,
    /// The last entry of the log.
    pub head: Seq,
    /// Its members.
    pub members: Vec<Member>,
}

/// A member of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Their role.
    pub role: Role,
    /// What they have.
    pub delivered: Seq,
    /// What they have read.
    pub read: Seq,
}
