//! `RosterRequest` asks who is in a conversation. `Roster` is the conversation without its members;
//! `RosterMembers` are some of the members, until the end of the stream.

use super::prelude::*;
use super::subject::{any_kind_from_wire, kind_to_wire};
use crate::content::{HistoryPolicy, Role};
use crate::id::{ConversationId, ConversationKind, Seq, UserId};
use crate::text::Title;

/// Asks who is in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RosterRequest {
    /// The conversation.
    pub conversation_id: ConversationId,
}

/// The conversation, without its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// Which kind it is.
    pub kind: ConversationKind,
    /// The title of a group.
    pub title: Title,
    /// What new members see of the past.
    pub history_policy: HistoryPolicy,
    /// How many members there are.
    pub members: u32,
    /// Where the log ends.
    pub head_seq: Seq,
}

/// Some of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterMembers {
    /// At most `roster_members_per_frame_max`.
    pub members: Vec<RosterMember>,
}

/// One member. Both users of a direct conversation have the role of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterMember {
    /// The user.
    pub user: UserId,
    /// The role.
    pub role: Role,
    /// Some device of the user has everything up to here.
    pub delivered_seq: Seq,
    /// The user has read up to here.
    pub read_seq: Seq,
}

impl Payload for RosterRequest {
    type Wire = wire::RosterRequest;

    fn to_wire(&self) -> wire::RosterRequest {
        wire::RosterRequest { conversation_id: bytes(self.conversation_id.as_bytes()) }
    }

    fn from_wire(wire: wire::RosterRequest) -> Result<Self, PayloadError> {
        Ok(Self { conversation_id: conversation_id("conversation_id", &wire.conversation_id)? })
    }
}

impl Payload for Roster {
    type Wire = wire::Roster;

    fn to_wire(&self) -> wire::Roster {
        wire::Roster {
            kind: kind_to_wire(self.kind),
            title: self.title.to_string(),
            history_policy: self.history_policy.to_wire(),
            members: self.members,
            head_seq: self.head_seq.get(),
        }
    }

    fn from_wire(wire: wire::Roster) -> Result<Self, PayloadError> {
        Ok(Self {
            kind: any_kind_from_wire(wire.kind)?,
            title: text("title", &wire.title, Title::parse)?,
            history_policy: HistoryPolicy::from_wire("history_policy", wire.history_policy)?,
            members: wire.members,
            head_seq: Seq::new(wire.head_seq),
        })
    }
}

impl Payload for RosterMembers {
    type Wire = wire::RosterMembers;

    fn to_wire(&self) -> wire::RosterMembers {
        let member = |member: &RosterMember| wire::RosterMember {
            user: member.user.to_string(),
            role: member.role.to_wire(),
            delivered_seq: member.delivered_seq.get(),
            read_seq: member.read_seq.get(),
        };
        wire::RosterMembers { members: self.members.iter().map(member).collect() }
    }

    fn from_wire(wire: wire::RosterMembers) -> Result<Self, PayloadError> {
        let checked = |wire: &wire::RosterMember| {
            Ok(RosterMember {
                user: user_id("members.user", &wire.user)?,
                role: Role::from_wire("members.role", wire.role)?,
                delivered_seq: Seq::new(wire.delivered_seq),
                read_seq: Seq::new(wire.read_seq),
            })
        };
        Ok(Self { members: wire.members.iter().map(checked).collect::<Result<_, _>>()? })
    }
}
