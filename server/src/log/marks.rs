//! Cursors and marks: how far each device has a conversation, and what its user tells the others.
//!
//! A confirmation is one transaction for a whole batch. "Delivered" follows from the cursor, so that it is
//! never said of an entry that the device does not have.

use fulmar_protocol::{ConversationId, CursorState, DeviceId, ErrorCode, ReadMark, Seq, UserId, UserMarks};

use futures_util::{
    TryFutureExt as _,
    future::{try_join, try_join_all},
};

use super::{Log, LogError, News, Notice, StoredEntry, history::head_and_member, read::Read, roster::Roster};
use crate::{
    limits::FAN_OUT_MEMBERS_MAX,
    rows::{Key, ReadMarkRow, decode_seq, encode_seq},
    store::Transaction,
};

/// A cursor, with how far this session has sent the conversation.
#[derive(Clone, Debug)]
pub(crate) struct CursorClaim {
    pub(crate) conversation: ConversationId,
    pub(crate) cursor: CursorState,
    pub(crate) sent: Seq,
}

/// One item of a batch that was refused; the others were stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConfirmRefusal {
    pub(crate) conversation: ConversationId,
    pub(crate) code: ErrorCode,
}

/// A conversation in which a mark of the user moved.
#[derive(Clone, Copy, Debug)]
struct Moved {
    conversation: ConversationId,
    /// The read mark, which concerns the user's other devices too.
    read: bool,
}

impl Log {
    /// Stores cursors and read marks of a device; returns what was refused, once the rest is durable.
    pub(crate) async fn confirm(
        &self,
        user: &UserId,
        device: &DeviceId,
        cursors: Vec<CursorClaim>,
        reads: Vec<ReadMark>,
    ) -> Result<Vec<ConfirmRefusal>, LogError> {
        let (user_id, device) = (user.clone(), *device);
        let (moved, refused) = self
            .store
            .run(move |transaction| {
                let (user, cursors, reads) = (user_id.clone(), cursors.clone(), reads.clone());
                Box::pin(async move { confirm(transaction, &user, &device, &cursors, &reads).await })
            })
            .await?;
        for moved in moved {
            self.tell_of_marks(user, moved).await?;
        }
        Ok(refused)
    }

    /// Tells the others, and the user's own devices where it was the read mark: of their own delivered mark
    /// they are not told. Above the fan-out limit the others are not told of any.
    async fn tell_of_marks(&self, user: &UserId, moved: Moved) -> Result<(), LogError> {
        let conversation = moved.conversation;
        let roster = self.roster(conversation).await?;
        let roster = roster.filter(|roster| roster.members.len() <= FAN_OUT_MEMBERS_MAX);
        let members = roster.iter().flat_map(|roster| roster.members.keys());
        let others = members.filter(|member| *member != user);
        let users: Vec<_> = moved.read.then_some(user).into_iter().chain(others).collect();
        let notice = Notice { conversation, news: News::Marks, users, to_interested: false, appended: None };
        self.tell(notice);
        Ok(())
    }

    /// The marks of the others, and the user's own read mark, as they stand.
    pub(crate) async fn marks(
        &self,
        user: &UserId,
        id: ConversationId,
    ) -> Result<(Vec<UserMarks>, ReadMarkRow), LogError> {
        let roster = self.roster(id).await?;
        let snapshot = self.store.snapshot();
        let others = match roster {
            Some(roster) if roster.members.len() <= FAN_OUT_MEMBERS_MAX && roster.role(user).is_some() => {
                of_others(&snapshot, &id, &roster, user).await?
            }
            _ => Vec::new(),
        };
        Ok((others, read_mark(&snapshot, &id, user).await?))
    }
}

async fn confirm(
    transaction: &Transaction,
    user: &UserId,
    device: &DeviceId,
    cursors: &[CursorClaim],
    reads: &[ReadMark],
) -> Result<(Vec<Moved>, Vec<ConfirmRefusal>), LogError> {
    let mut moved: Vec<Moved> = Vec::new();
    let mut refused = Vec::new();
    let cursors = cursors.iter().map(|claim| (claim.conversation, Some(claim), None));
    let reads = reads.iter().map(|read| (read.conversation_id, None, Some(read)));
    for (conversation, claim, read) in cursors.chain(reads) {
        let result = match (claim, read) {
            (Some(claim), _) => move_cursor(transaction, user, device, claim).await?,
            (None, Some(read)) => mark_read(transaction, user, read).await?,
            (None, None) => Ok(false),
        };
        match result {
            Ok(true) => match moved.iter_mut().find(|moved| moved.conversation == conversation) {
                Some(moved) => moved.read |= read.is_some(),
                None => moved.push(Moved { conversation, read: read.is_some() }),
            },
            Ok(false) => {}
            Err(code) => refused.push(ConfirmRefusal { conversation, code }),
        }
    }
    Ok((moved, refused))
}

/// `Ok(true)` when a mark moved that others may see.
async fn move_cursor(
    transaction: &Transaction,
    user: &UserId,
    device: &DeviceId,
    claim: &CursorClaim,
) -> Result<Result<bool, ErrorCode>, LogError> {
    let id = claim.conversation;
    let key = Key::cursor(user, device, &id);
    let stored = match transaction.get(&key).await? {
        Some(row) => CursorState::decode(&row).map_err(|_| LogError::malformed_key("cursor"))?,
        None => CursorState::default(),
    };
    let cursor = &claim.cursor;
    if cursor.seq() > claim.sent.max(stored.seq()) {
        return Ok(Err(ErrorCode::CursorBeyondSent));
    }
    if cursor.seq() < stored.seq() || *cursor == stored {
        // An older batch that was overtaken, or the same again.
        return Ok(Ok(false));
    }
    transaction.set(&key, cursor.encode());
    let delivered = cursor.delivered_up_to();
    if delivered <= stored.delivered_up_to() {
        return Ok(Ok(false));
    }
    transaction.byte_max(&Key::delivered_mark(&id, user), encode_seq(delivered));
    Ok(Ok(true))
}

async fn mark_read(
    transaction: &Transaction,
    user: &UserId,
    read: &ReadMark,
) -> Result<Result<bool, ErrorCode>, LogError> {
    let id = read.conversation_id;
    let Some((head, member)) = head_and_member(transaction, user, &id).await? else {
        return Ok(Err(ErrorCode::ConversationNotFound));
    };
    let end = member.readable_end(head.seq);
    if read.seq > end || read.seq == Seq::ZERO {
        return Ok(Err(ErrorCode::MarkBeyondHead));
    }
    if read.seq <= read_mark(transaction, &id, user).await?.seq {
        return Ok(Ok(false));
    }
    let entry = transaction.get(&Key::entry(&id, read.seq)).await?;
    let entry = entry.map(|frame| StoredEntry::decode(&frame)).transpose()?;
    let Some(entry) = entry else {
        return Err(LogError::malformed_key("entry"));
    };
    let mark = ReadMarkRow { seq: read.seq, ordinal: entry.ordinal };
    transaction.byte_max(&Key::read_mark(&id, user), mark.encode());
    Ok(Ok(true))
}

/// The user's own read mark.
pub(super) async fn read_mark(
    read: &impl Read,
    id: &ConversationId,
    user: &UserId,
) -> Result<ReadMarkRow, LogError> {
    let row = read.get(&Key::read_mark(id, user)).await?;
    Ok(row.map(|row| ReadMarkRow::decode(&row)).transpose()?.unwrap_or(ReadMarkRow::NONE))
}

/// One member's marks.
pub(super) async fn of_user(
    read: &impl Read,
    id: &ConversationId,
    user: &UserId,
) -> Result<UserMarks, LogError> {
    let delivered = Key::delivered_mark(id, user);
    let (delivered, read) = try_join(read.get(&delivered).err_into(), read_mark(read, id, user)).await?;
    let delivered = delivered.map(|row| decode_seq(&row)).transpose()?.unwrap_or(Seq::ZERO);
    let read_seq = read.seq;
    Ok(UserMarks { user: user.clone(), delivered_seq: delivered, read_seq })
}

/// The marks of everybody else in the conversation.
pub(super) async fn of_others(
    read: &impl Read,
    id: &ConversationId,
    roster: &Roster,
    user: &UserId,
) -> Result<Vec<UserMarks>, LogError> {
    let others = roster.members.keys().filter(|member| *member != user);
    let mut marks = try_join_all(others.map(|member| of_user(read, id, member))).await?;
    marks.retain(|of_member| of_member.delivered_seq.max(of_member.read_seq) > Seq::ZERO);
    Ok(marks)
}
