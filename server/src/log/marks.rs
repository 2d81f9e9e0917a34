//! Cursors and marks: how far each device has a conversation, and what its user tells the others.
//!
//! A confirmation is one transaction for a whole batch. "Delivered" follows from the cursor, so that it is
//! never said of an entry that the device does not have.

use std::collections::BTreeMap;

use fulmar_protocol::{ConversationId, CursorState, DeviceId, ErrorCode, ReadMark, Seq, UserId, UserMarks};

use futures_util::{
    TryFutureExt as _,
    future::{try_join, try_join_all, try_join3},
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
    // One trip to the store for the whole batch.
    let (stored, markable) = try_join(
        try_join_all(
            cursors.iter().map(|claim| stored_cursor(transaction, user, device, claim.conversation)),
        ),
        try_join_all(reads.iter().map(|read| mark_to_set(transaction, user, read))),
    )
    .await?;
    // A batch may name a conversation more than once.
    let mut stored: BTreeMap<_, _> = stored.into_iter().collect();
    let mut outcomes = Vec::with_capacity(cursors.len() + reads.len());
    for claim in cursors {
        let stored = stored.entry(claim.conversation).or_default();
        outcomes.push((claim.conversation, false, move_cursor(transaction, user, device, claim, stored)));
    }
    for (read, mark) in reads.iter().zip(markable) {
        let id = read.conversation_id;
        if let Ok(Some(mark)) = &mark {
            transaction.byte_max(&Key::read_mark(&id, user), mark.encode());
        }
        outcomes.push((id, true, mark.map(|mark| mark.is_some())));
    }
    let mut moved: Vec<Moved> = Vec::new();
    let mut refused = Vec::new();
    for (conversation, read, outcome) in outcomes {
        match outcome {
            Ok(true) => match moved.iter_mut().find(|moved| moved.conversation == conversation) {
                Some(moved) => moved.read |= read,
                None => moved.push(Moved { conversation, read }),
            },
            Ok(false) => {}
            Err(code) => refused.push(ConfirmRefusal { conversation, code }),
        }
    }
    Ok((moved, refused))
}

async fn stored_cursor(
    transaction: &Transaction,
    user: &UserId,
    device: &DeviceId,
    id: ConversationId,
) -> Result<(ConversationId, CursorState), LogError> {
    let row = transaction.get(&Key::cursor(user, device, &id)).await?;
    let stored = row.map(|row| CursorState::decode(&row)).transpose();
    Ok((id, stored.map_err(|_| LogError::malformed_key("cursor"))?.unwrap_or_default()))
}

/// `Ok(true)` when a mark moved that others may see.
fn move_cursor(
    transaction: &Transaction,
    user: &UserId,
    device: &DeviceId,
    claim: &CursorClaim,
    stored: &mut CursorState,
) -> Result<bool, ErrorCode> {
    let (id, cursor) = (claim.conversation, &claim.cursor);
    if cursor.seq() > claim.sent.max(stored.seq()) {
        return Err(ErrorCode::CursorBeyondSent);
    }
    if cursor.seq() < stored.seq() || cursor == stored {
        // An older batch that was overtaken, or the same again.
        return Ok(false);
    }
    transaction.set(&Key::cursor(user, device, &id), cursor.encode());
    let delivered = cursor.delivered_up_to();
    let is_more = delivered > stored.delivered_up_to();
    if is_more {
        transaction.byte_max(&Key::delivered_mark(&id, user), encode_seq(delivered));
    }
    *stored = cursor.clone();
    Ok(is_more)
}

/// What the user's read mark is to become; none when it is as far already.
async fn mark_to_set(
    transaction: &Transaction,
    user: &UserId,
    read: &ReadMark,
) -> Result<Result<Option<ReadMarkRow>, ErrorCode>, LogError> {
    let id = read.conversation_id;
    let entry = Key::entry(&id, read.seq);
    let (standing, mark, entry) = try_join3(
        head_and_member(transaction, user, &id),
        read_mark(transaction, &id, user),
        transaction.get(&entry).err_into(),
    )
    .await?;
    let Some((head, member)) = standing else {
        return Ok(Err(ErrorCode::ConversationNotFound));
    };
    if read.seq > member.readable_end(head.seq) || read.seq == Seq::ZERO {
        return Ok(Err(ErrorCode::MarkBeyondHead));
    }
    if read.seq <= mark.seq {
        return Ok(Ok(None));
    }
    let entry = StoredEntry::decode(&entry.ok_or(LogError::malformed_key("entry"))?)?;
    Ok(Ok(Some(ReadMarkRow { seq: read.seq, ordinal: entry.ordinal })))
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
