//! Reading a conversation: where a lane starts, what comes next, and pages of what came before.
//!
//! Every seq in the range asked for is accounted for, as an entry or inside a hole.

use std::sync::Arc;

use fulmar_protocol::{
    ConversationId, CursorState, DeviceId, Direction, ErrorCode, Hole, HoleReason, Ordinal, Role, Seq,
    SeqRange, TimestampMs, Title, UserId, UserMarks,
};

use futures_util::{TryFutureExt as _, future::try_join, try_join};

use super::{Conversation, Log, LogError, StoredEntry, marks, read::Read};
use crate::{
    limits::FAN_OUT_MEMBERS_MAX,
    rows::{Head, Key, Member, ReadMarkRow},
};

/// All that a lane needs to begin, read at one moment.
#[derive(Debug)]
pub(crate) struct LaneStart {
    pub(crate) peer: Option<UserId>,
    pub(crate) title: Title,
    pub(crate) role: Option<Role>,
    pub(crate) member: Member,
    pub(crate) roster_version: u64,
    /// Its members are not told one by one: who wants to hear of it says so.
    pub(crate) large: bool,
    /// How far the user may read, and the ordinal there.
    pub(crate) head_seq: Seq,
    pub(crate) head_ordinal: Ordinal,
    pub(crate) read: ReadMarkRow,
    pub(crate) cursor: Seq,
    pub(crate) next_client_seq: fulmar_protocol::ClientSeq,
    pub(crate) marks: Vec<UserMarks>,
}

/// One page of history.
#[derive(Debug, Default)]
pub(crate) struct HistoryPage {
    pub(crate) items: Vec<HistoryItem>,
    /// Where the next page starts, if there is one.
    pub(crate) next: Option<Seq>,
    pub(crate) head: Seq,
}

/// What stands for a seq or a range of them.
#[derive(Debug)]
pub(crate) enum HistoryItem {
    Entry(StoredEntry),
    Hole(Hole),
}

impl Log {
    /// What a lane of this device for this conversation begins with; `None` when the user never was a
    /// member.
    pub(crate) async fn lane_start(
        &self,
        user: &UserId,
        device: &DeviceId,
        id: ConversationId,
    ) -> Result<Option<LaneStart>, LogError> {
        let snapshot = self.store.snapshot();
        let Some((head, member)) = head_and_member(&snapshot, user, &id).await? else {
            return Ok(None);
        };
        self.conversation(id).know(&head);
        let marks = async {
            let roster = self.roster(id).await?;
            let marks = match &roster {
                Some(roster) if roster.members.len() <= FAN_OUT_MEMBERS_MAX && member.role.is_some() => {
                    marks::of_others(&snapshot, &id, roster, user).await?
                }
                _ => Vec::new(),
            };
            Ok((roster, marks))
        };
        let (cursor, sender) = (Key::cursor(user, device, &id), Key::sender(&id, user, device));
        let (standing, cursor, window, (roster, marks), read) = try_join!(
            standing(&snapshot, &id, &head, &member),
            snapshot.get(&cursor).err_into(),
            snapshot.get(&sender).err_into(),
            marks,
            marks::read_mark(&snapshot, &id, user),
        )?;
        let cursor = cursor.map(|row| CursorState::decode(&row)).transpose();
        let cursor = cursor.map_err(|_| LogError::malformed_key("cursor"))?.map_or(Seq::ZERO, |it| it.seq());
        let window = window.map(|row| fulmar_protocol::SenderWindow::decode(&row)).transpose();
        let window = window.map_err(|_| LogError::malformed_key("sender"))?.unwrap_or_default();
        Ok(Some(LaneStart {
            peer: roster.and_then(|roster| roster.peer_of(user).cloned()),
            title: standing.title,
            role: member.role,
            member,
            roster_version: head.roster_version,
            large: head.large,
            head_seq: standing.seq,
            head_ordinal: standing.ordinal,
            read,
            cursor,
            next_client_seq: window.next_expected(),
            marks,
        }))
    }

    /// The member row of this user, and the roster version that it belongs to.
    pub(crate) async fn membership(
        &self,
        user: &UserId,
        id: ConversationId,
    ) -> Result<Option<(u64, Member)>, LogError> {
        let found = head_and_member(&self.store.snapshot(), user, &id).await?;
        Ok(found.map(|(head, member)| (head.roster_version, member)))
    }

    /// How far the user may read now; nothing where there is no such conversation for them.
    pub(crate) async fn readable_end(&self, user: &UserId, id: &ConversationId) -> Result<Seq, LogError> {
        let found = head_and_member(&self.store.snapshot(), user, id).await?;
        Ok(found.map_or(Seq::ZERO, |(head, member)| {
            if let Some(conversation) = self.held_conversation(id) {
                conversation.know(&head);
            }
            member.readable_end(head.seq)
        }))
    }

    /// Entries from `from` up to the head, at most `limit`: from memory where it reaches back that far.
    pub(crate) async fn entries(
        &self,
        conversation: &Arc<Conversation>,
        from: Seq,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, LogError> {
        if let Some(entries) = conversation.tail_from(from, limit) {
            return Ok(entries);
        }
        let last = Seq::new(from.get().saturating_add(u64::try_from(limit).unwrap_or(u64::MAX)));
        let (snapshot, id) = (self.store.snapshot(), &conversation.id);
        let head_key = Key::head(id);
        let (head, entries) =
            try_join(snapshot.get(&head_key).err_into(), read_entries(&snapshot, id, from, last, limit))
                .await?;
        // The head that these belong to: what a lane may send of them is judged by a membership not older.
        if let Some(head) = head {
            conversation.know(&Head::decode(&head)?);
        }
        Ok(entries)
    }

    /// A page of history. `from` is the first seq of the page; backward, `None` is the head.
    pub(crate) async fn history(
        &self,
        user: &UserId,
        id: ConversationId,
        from: Option<Seq>,
        direction: Direction,
        limit: usize,
    ) -> Result<HistoryPage, LogError> {
        let snapshot = self.store.snapshot();
        let Some((head, member)) = head_and_member(&snapshot, user, &id).await? else {
            return Err(LogError::Refused(ErrorCode::ConversationNotFound));
        };
        let end = member.readable_end(head.seq);
        match direction {
            Direction::Forward => {
                forward(&snapshot, &id, &member, from.unwrap_or(Seq::FIRST).max(Seq::FIRST), end, limit).await
            }
            Direction::Backward => {
                backward(&snapshot, &id, &member, from.unwrap_or(end).min(end), end, limit).await
            }
        }
    }
}

/// Head and member row, or `None` when there is no such conversation for this user.
pub(super) async fn head_and_member(
    read: &impl Read,
    user: &UserId,
    id: &ConversationId,
) -> Result<Option<(Head, Member)>, LogError> {
    let (head, member) = (Key::head(id), Key::member(id, user));
    let (Some(head), Some(member)) = try_join(read.get(&head), read.get(&member)).await? else {
        return Ok(None);
    };
    let head = Head::decode(&head)?;
    Ok(if head.exists() { Some((head, Member::decode(&member)?)) } else { None })
}

/// How a conversation stands, as far as a member may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) seq: Seq,
    pub(super) ordinal: Ordinal,
    pub(super) at: TimestampMs,
    pub(super) title: Title,
}

/// For a current member that is the head; a former one learns of nothing after the end of the membership.
pub(super) async fn standing(
    read: &impl Read,
    id: &ConversationId,
    head: &Head,
    member: &Member,
) -> Result<Standing, LogError> {
    let seq = member.readable_end(head.seq);
    if member.role.is_some() {
        return Ok(Standing { seq, ordinal: head.ordinal, at: head.at, title: title(read, id).await? });
    }
    let title = Title::parse(&member.title_when_left).map_err(|_| LogError::malformed_key("member"))?;
    let (ordinal, at) = match read.get(&Key::entry(id, seq)).await? {
        Some(frame) => {
            let entry = StoredEntry::decode(&frame)?;
            (entry.ordinal, entry.at)
        }
        None => (Ordinal::ZERO, TimestampMs::new(0)),
    };
    Ok(Standing { seq, ordinal, at, title })
}

/// The title now. For members only.
pub(super) async fn title(read: &impl Read, id: &ConversationId) -> Result<Title, LogError> {
    let Some(row) = read.get(&Key::title(id)).await? else {
        return Ok(Title::default());
    };
    let title = std::str::from_utf8(&row).ok().and_then(|title| Title::parse(title).ok());
    title.ok_or(LogError::malformed_key("title"))
}

async fn read_entries(
    read: &impl Read,
    id: &ConversationId,
    first: Seq,
    last: Seq,
    limit: usize,
) -> Result<Vec<StoredEntry>, LogError> {
    let rows = read.range(&Key::entries(id, first, last), limit).await?;
    rows.iter().map(|(_, frame)| StoredEntry::decode(frame)).collect()
}

async fn forward(
    read: &impl Read,
    id: &ConversationId,
    member: &Member,
    from: Seq,
    end: Seq,
    limit: usize,
) -> Result<HistoryPage, LogError> {
    let mut page = HistoryPage { head: end, ..HistoryPage::default() };
    let mut next = from;
    let mut room = limit;
    while next <= end && room > 0 {
        let Some(readable) = member.next_readable(next).filter(|readable| *readable <= end) else {
            page.items.extend(hidden(next, end));
            return Ok(page);
        };
        if readable > next {
            page.items.extend(hidden(next, readable.previous()));
            next = readable;
        }
        let last = member.interval_of(next).and_then(|interval| interval.last).unwrap_or(end).min(end);
        let entries = read_entries(read, id, next, last, room).await?;
        let Some(reached) = entries.last().map(|entry| entry.seq) else { break };
        room = room.saturating_sub(entries.len());
        page.items.extend(entries.into_iter().map(HistoryItem::Entry));
        next = reached.next();
    }
    page.next = (next <= end).then_some(next);
    Ok(page)
}

async fn backward(
    read: &impl Read,
    id: &ConversationId,
    member: &Member,
    from: Seq,
    end: Seq,
    limit: usize,
) -> Result<HistoryPage, LogError> {
    let mut page = HistoryPage { head: end, ..HistoryPage::default() };
    let mut next = from;
    let mut room = limit;
    while next > Seq::ZERO && room > 0 {
        let Some(readable) = member.previous_readable(next) else {
            page.items.extend(hidden(Seq::FIRST, next));
            return Ok(page);
        };
        if readable < next {
            page.items.extend(hidden(readable.next(), next));
            next = readable;
        }
        let first = member.interval_of(next).map_or(Seq::FIRST, |interval| interval.first);
        let rows = read.range_backward(&Key::entries(id, first, next), room).await?;
        let entries: Vec<_> =
            rows.iter().map(|(_, frame)| StoredEntry::decode(frame)).collect::<Result<_, _>>()?;
        let Some(reached) = entries.last().map(|entry| entry.seq) else { break };
        room = room.saturating_sub(entries.len());
        page.items.extend(entries.into_iter().map(HistoryItem::Entry));
        next = reached.previous();
    }
    page.next = (next > Seq::ZERO).then_some(next);
    Ok(page)
}

/// A hole for what lies outside the membership; none where there is nothing in between.
fn hidden(first: Seq, last: Seq) -> Option<HistoryItem> {
    let range = SeqRange::new(first..=last)?;
    Some(HistoryItem::Hole(Hole { range, reason: HoleReason::Hidden }))
}
