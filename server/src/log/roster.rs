//! Who is in a conversation now. Loaded whole and shared: an append, a typing notice and a fan-out all
//! ask it, and the version in the head tells whether it is still true.
//!
//! Former members are not in it. What they may still read stands in their member row.

use std::collections::BTreeMap;

use fulmar_protocol::{ConversationId, ConversationKind, HistoryPolicy, Role, UserId};

use super::{LogError, read::Read};
use crate::rows::{Head, Key, Member, user_at_end};

/// Members in one read of the store.
const MEMBERS_PER_READ: usize = 1_000;

/// What a current member may do, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RosterMember {
    pub(crate) role: Role,
    pub(crate) wrote: bool,
}

/// The current members of a conversation at one version.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    pub(crate) version: u64,
    pub(crate) kind: ConversationKind,
    pub(crate) history_policy: HistoryPolicy,
    pub(crate) members: BTreeMap<UserId, RosterMember>,
    /// In a direct conversation: whether the first of the two, in byte order, blocks the second.
    pub(crate) first_blocks: bool,
    /// And the reverse.
    pub(crate) second_blocks: bool,
}

impl Roster {
    pub(crate) fn of(id: &ConversationId, head: &Head) -> Self {
        Self {
            version: head.roster_version,
            kind: id.kind(),
            history_policy: head.history_policy,
            members: BTreeMap::new(),
            first_blocks: head.first_blocks,
            second_blocks: head.second_blocks,
        }
    }

    /// Reads the roster that belongs to `head`.
    pub(crate) async fn load(read: &impl Read, id: &ConversationId, head: &Head) -> Result<Self, LogError> {
        let mut roster = Self::of(id, head);
        let mut range = Key::members(id);
        let prefix_length = range.start().len();
        loop {
            let rows = read.range(&range, MEMBERS_PER_READ).await?;
            let complete = rows.len() < MEMBERS_PER_READ;
            if let Some((last, _)) = rows.last() {
                range = range.after(last);
            }
            for (key, value) in rows {
                let user = user_at_end(&key, prefix_length).ok_or(LogError::malformed_key("member"))?;
                let member = Member::decode(&value)?;
                if let Some(role) = member.role {
                    roster.members.insert(user, RosterMember { role, wrote: member.wrote });
                }
            }
            if complete {
                return Ok(roster);
            }
        }
    }

    pub(crate) fn role(&self, user: &UserId) -> Option<Role> {
        self.members.get(user).map(|member| member.role)
    }

    pub(crate) fn wrote(&self, user: &UserId) -> bool {
        self.members.get(user).is_some_and(|member| member.wrote)
    }

    /// The other user of a direct conversation; oneself in a conversation with oneself.
    pub(crate) fn peer_of<'a>(&'a self, user: &'a UserId) -> Option<&'a UserId> {
        if self.kind != ConversationKind::Direct {
            return None;
        }
        Some(self.members.keys().find(|member| *member != user).unwrap_or(user))
    }

    /// Whether one of the two in a direct conversation blocks the other.
    pub(crate) fn any_block(&self) -> bool {
        self.first_blocks || self.second_blocks
    }

    /// Whether somebody blocks `user` in this direct conversation.
    pub(crate) fn blocks(&self, user: &UserId) -> bool {
        let is_first = self.members.keys().next() == Some(user);
        if is_first { self.second_blocks } else { self.first_blocks }
    }
}
