//! A user's conversations: the list for people, and what a device that connects has missed.

use std::collections::HashMap;

use fulmar_protocol::{
    ConversationId, CursorState, DeviceId, HistoryPolicy, InboxItem, RosterMember as MemberItem, Seq,
    TimestampMs, Title, UserId,
};

use futures_util::future::{try_join, try_join_all, try_join3};

use super::{
    Log, LogError,
    history::{head_and_member, standing},
    marks,
    read::Read,
};
use crate::{
    rows::{InboxRow, Key, conversation_at_end},
    store::Snapshot,
};

/// Inbox rows in one read of the store.
const ROWS_PER_READ: usize = 256;
/// Members whose marks are read together.
const MEMBERS_PER_READ: usize = 128;

/// A conversation of which a device has less than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Behind {
    /// First, so that the newest sorts last.
    pub(crate) at: TimestampMs,
    pub(crate) conversation: ConversationId,
    /// How far it reaches.
    pub(crate) seq: Seq,
    /// How far the device has it.
    pub(crate) cursor: Seq,
}

/// What is said of a conversation, but for its members.
#[derive(Clone, Debug)]
pub(crate) struct RosterSummary {
    pub(crate) title: Title,
    pub(crate) history_policy: HistoryPolicy,
    pub(crate) members: Vec<MemberItem>,
    pub(crate) head: Seq,
}

/// What a device has missed, as its user's inbox says.
#[derive(Debug, Default)]
pub(crate) struct Missed {
    /// Conversations in which it is behind, newest first.
    pub(crate) behind: Vec<Behind>,
    /// There are more than were asked for.
    pub(crate) more: bool,
    /// The user's large conversations: of those only who asked for it is told.
    pub(crate) large: Vec<ConversationId>,
}

impl Log {
    /// What this device had missed at one moment; of the conversations in which it is behind at most `limit`.
    pub(crate) async fn behind(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        device: &DeviceId,
        limit: usize,
    ) -> Result<Missed, LogError> {
        let (mut behind, mut large) = (Vec::new(), Vec::new());
        let mut after = None;
        loop {
            let rows = Read::range(snapshot, &Key::inbox_after(user, after.as_ref()), ROWS_PER_READ).await?;
            let complete = rows.len() < ROWS_PER_READ;
            let reaches = rows.iter().map(async |(key, value)| {
                let id = conversation_at_end(key).ok_or(LogError::malformed_key("inbox"))?;
                let row = InboxRow::decode(value)?;
                let (seq, at) = reach(snapshot, user, &id, row).await?;
                Ok::<_, LogError>((id, row.large, seq, at))
            });
            let cursors = cursors(snapshot, user, device, after.as_ref(), rows.last());
            let (cursors, reaches) = try_join(cursors, try_join_all(reaches)).await?;
            for (id, is_large, seq, at) in reaches {
                after = Some(id);
                large.extend(is_large.then_some(id));
                let cursor = cursors.get(&id).copied().unwrap_or(Seq::ZERO);
                if seq > cursor {
                    behind.push(Behind { at, conversation: id, seq, cursor });
                }
            }
            if complete {
                break;
            }
        }
        behind.sort_unstable_by(|a, b| b.cmp(a));
        let more = behind.len() > limit;
        behind.truncate(limit);
        behind.shrink_to_fit();
        Ok(Missed { behind, more, large })
    }

    /// A page of the user's conversations, by id; and where the next page starts.
    pub(crate) async fn inbox(
        &self,
        user: &UserId,
        device: &DeviceId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<(Vec<InboxItem>, Option<ConversationId>), LogError> {
        let snapshot = self.store.snapshot();
        // One more, to know whether there is a next page.
        let range = Key::inbox_after(user, after.as_ref());
        let mut rows = Read::range(&snapshot, &range, limit.saturating_add(1)).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let ids =
            rows.iter().map(|(key, _)| conversation_at_end(key).ok_or(LogError::malformed_key("inbox")));
        let ids: Vec<ConversationId> = ids.collect::<Result<_, _>>()?;
        let cursors = cursors(&snapshot, user, device, after.as_ref(), rows.last());
        let items = ids.iter().map(|id| self.inbox_item(&snapshot, user, *id));
        let (cursors, items) = try_join(cursors, try_join_all(items)).await?;
        let mut items: Vec<InboxItem> = items.into_iter().flatten().collect();
        for item in &mut items {
            item.cursor_seq = cursors.get(&item.conversation_id).copied().unwrap_or(Seq::ZERO);
        }
        Ok((items, ids.last().copied().filter(|_| more)))
    }

    /// One conversation, as its user may know it; the device's cursor is not looked up.
    async fn inbox_item(
        &self,
        snapshot: &Snapshot,
        user: &UserId,
        id: ConversationId,
    ) -> Result<Option<InboxItem>, LogError> {
        let standing = async {
            let Some((head, member)) = head_and_member(snapshot, user, &id).await? else { return Ok(None) };
            Ok(Some((standing(snapshot, &id, &head, &member).await?, member.role)))
        };
        let (standing, read, roster) =
            try_join3(standing, marks::read_mark(snapshot, &id, user), self.roster(id)).await?;
        Ok(standing.map(|(standing, role)| InboxItem {
            conversation_id: id,
            peer: roster.and_then(|roster| roster.peer_of(user).cloned()),
            title: standing.title,
            head_seq: standing.seq,
            head_ordinal: standing.ordinal,
            read_seq: read.seq,
            read_ordinal: read.ordinal,
            last_at: standing.at,
            role,
            cursor_seq: Seq::ZERO,
        }))
    }

    /// Who is in the conversation, for one who may read it. A former member sees it without members.
    pub(crate) async fn roster_summary(
        &self,
        user: &UserId,
        id: ConversationId,
    ) -> Result<Option<RosterSummary>, LogError> {
        let snapshot = self.store.snapshot();
        let Some((head, member)) = head_and_member(&snapshot, user, &id).await? else {
            return Ok(None);
        };
        let mut members = Vec::new();
        if let (Some(_), Some(roster)) = (member.role, self.roster(id).await?) {
            let all: Vec<_> = roster.members.iter().collect();
            for some in all.chunks(MEMBERS_PER_READ) {
                let marks = try_join_all(some.iter().map(|(user, _)| marks::of_user(&snapshot, &id, user)));
                members.extend(some.iter().zip(marks.await?).map(|((user, member), marks)| MemberItem {
                    user: (*user).clone(),
                    role: member.role,
                    delivered_seq: marks.delivered_seq,
                    read_seq: marks.read_seq,
                }));
            }
        }
        let standing = standing(&snapshot, &id, &head, &member).await?;
        Ok(Some(RosterSummary {
            title: standing.title,
            history_policy: head.history_policy,
            members,
            head: standing.seq,
        }))
    }
}

/// How far an inbox row reaches. For a large group the row stands still, and the head is read.
async fn reach(
    read: &impl Read,
    user: &UserId,
    id: &ConversationId,
    row: InboxRow,
) -> Result<(Seq, TimestampMs), LogError> {
    if !row.large {
        return Ok((row.seq, row.at));
    }
    match head_and_member(read, user, id).await? {
        Some((head, member)) => Ok((member.readable_end(head.seq), head.at)),
        None => Ok((row.seq, row.at)),
    }
}

/// The device's cursors of the conversations in one page of inbox rows: both are ordered by conversation.
async fn cursors(
    read: &impl Read,
    user: &UserId,
    device: &DeviceId,
    after: Option<&ConversationId>,
    last: Option<&(bytes::Bytes, bytes::Bytes)>,
) -> Result<HashMap<ConversationId, Seq>, LogError> {
    let Some(last) = last.and_then(|(key, _)| conversation_at_end(key)) else {
        return Ok(HashMap::new());
    };
    let range = Key::cursors_between(user, device, after, &last);
    // A cursor exists only where there is an inbox row, so that the page's size bounds this too.
    let rows = read.range(&range, ROWS_PER_READ).await?;
    rows.iter()
        .map(|(key, value)| {
            let id = conversation_at_end(key).ok_or(LogError::malformed_key("cursor"))?;
            let cursor = CursorState::decode(value).map_err(|_| LogError::malformed_key("cursor"))?;
            Ok((id, cursor.seq()))
        })
        .collect()
}
