//! A conversation as the list of conversations shows it.

use fulmar_protocol::{ConversationId, ConversationKind, Role, Seq, TimestampMs, UserId};

/// One conversation of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxItem {
    /// Its id.
    pub conversation: ConversationId,
    /// Direct or group.
    pub kind: ConversationKind,
    /// The other user of a direct conversation.
    pub peer: Option<UserId>,
    /// The title of a group; empty for a direct conversation.
    pub title: String,
    /// The last entry of the log that the user may read.
    pub head: Seq,
    /// The user's read mark.
    pub read: Seq,
    /// Messages after the read mark.
    pub unread: u64,
    /// When the last entry was accepted.
    pub last_at: TimestampMs,
    /// The user's role; `None` when no longer a member.
    pub role: Option<Role>,
    /// How far this device has the log, as the server knows it.
    pub cursor: Seq,
}
