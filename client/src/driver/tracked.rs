//! One conversation as the driver keeps it: what is to be sent, how far the app has the log, and what the
//! others have.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use fulmar_protocol::{
    ClientSeq, ConversationId, CursorState, LaneOpen, Outbox, OutboxLimits, ReadProgress, ReadState, Seq,
    SeqRange, UserId, UserMarks,
};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::command::{Enqueue, Reply};
use crate::driver::inputs::LaneNumber;
use crate::limits::OUTBOX_ITEMS_MAX;
use crate::outgoing::{Accepted, Sending};
use crate::state::ConversationRow;

/// One conversation.
pub(super) struct Tracked {
    /// The other user of a direct conversation.
    pub(super) peer: Option<UserId>,
    /// When it was last of use, in the driver's own count.
    pub(super) touched: u64,

    /// What is in the state and has no answer.
    pub(super) outbox: Outbox,
    /// What is on its way to the state, with the numbers that follow those of the outbox.
    pub(super) storing: VecDeque<Storing>,
    /// Calls that wait for room.
    pub(super) waiting: VecDeque<Enqueue>,
    /// Who waits for an answer.
    pub(super) waiters: BTreeMap<ClientSeq, Reply<Accepted>>,
    /// Sends have new numbers, and an older session may still hold a copy with the old ones: until the next Welcome
    /// they do not go into a first flight, which may be read beside that session.
    pub(super) renumbered: bool,
    /// New numbers are on their way to the state; nothing is sent until they are there.
    pub(super) renumbering: u32,
    pub(super) backoff: Backoff,
    /// Refusals and lost lanes in a row.
    pub(super) setbacks: u32,
    /// No send lane is opened before.
    pub(super) lane_not_before: Option<Instant>,

    /// Everything up to here was handed to the app by this process, or named as a hole. `None`: the next
    /// lane tells where to begin.
    pub(super) had: Option<Seq>,
    /// What the app has confirmed.
    pub(super) cursor: Option<CursorState>,
    pub(super) cursor_unsent: bool,
    /// The server does not know yet that this device was sent that far; a lane will come and remind it.
    pub(super) cursor_refused: bool,
    /// The last hole without content; the cursor passes it as soon as it gets there.
    void: Option<SeqRange>,
    pub(super) progress: ReadProgress,
    pub(super) read_unsent: Option<Seq>,
    /// The open log lane, and the one that waits for its end.
    pub(super) lane: Option<LaneNumber>,
    pub(super) next_lane: Option<LaneNumber>,

    /// The newest own message that not everybody is known to have read.
    pub(super) receipts_from: Option<Seq>,
    marks: BTreeMap<UserId, (Seq, Seq)>,
}

/// An entry on its way to the state.
pub(super) struct Storing {
    pub(super) client_seq: ClientSeq,
    pub(super) content: Bytes,
    pub(super) reply: Option<Reply<Sending>>,
}

impl Tracked {
    pub(super) fn new() -> Self {
        Self::with_outbox(Outbox::new(outbox_limits()))
    }

    fn with_outbox(outbox: Outbox) -> Self {
        Self {
            peer: None,
            touched: 0,
            outbox,
            storing: VecDeque::new(),
            waiting: VecDeque::new(),
            waiters: BTreeMap::new(),
            renumbered: false,
            renumbering: 0,
            backoff: Backoff::new(),
            setbacks: 0,
            lane_not_before: None,
            had: None,
            cursor: None,
            cursor_unsent: false,
            cursor_refused: false,
            void: None,
            progress: ReadProgress::new(),
            read_unsent: None,
            lane: None,
            next_lane: None,
            receipts_from: None,
            marks: BTreeMap::new(),
        }
    }

    /// As it was stored.
    pub(super) fn restore(row: ConversationRow, outbox: Outbox) -> Self {
        Self {
            peer: row.peer,
            had: row.cursor.as_ref().map(CursorState::seq),
            cursor: row.cursor,
            cursor_unsent: row.cursor_unsent,
            read_unsent: row.read_unsent,
            receipts_from: row.receipts_from,
            ..Self::with_outbox(outbox)
        }
    }

    /// What is stored of it.
    pub(super) fn row(&self) -> ConversationRow {
        ConversationRow {
            peer: self.peer.clone(),
            next_client_seq: self.next_client_seq(),
            cursor: self.cursor.as_ref().map(known_part),
            cursor_unsent: self.cursor_unsent,
            read_unsent: self.read_unsent,
            receipts_from: self.receipts_from,
        }
    }

    /// The number of the next new entry.
    pub(super) fn next_client_seq(&self) -> ClientSeq {
        self.storing.back().map_or(self.outbox.next_client_seq(), |last| last.client_seq.next())
    }

    /// Whether the outbox takes another entry.
    pub(super) fn has_room(&self) -> bool {
        self.outbox.len().saturating_add(self.storing.len()) < OUTBOX_ITEMS_MAX
    }

    /// Whether it may be forgotten: nothing was ever sent to it from here, and the server has its cursor.
    pub(super) fn is_idle(&self) -> bool {
        self.is_droppable() && !self.cursor_unsent && self.read_unsent.is_none()
    }

    /// Whether forgetting it would lose nothing but how far the app has it.
    pub(super) fn is_droppable(&self) -> bool {
        self.lane.is_none() && self.next_client_seq() == ClientSeq::FIRST && self.waiting.is_empty()
    }

    /// The content of a send that has no answer yet.
    pub(super) fn unanswered(&self, client_seq: ClientSeq) -> Option<Bytes> {
        self.outbox.items().find(|item| item.client_seq == client_seq).map(|item| item.content.clone())
    }

    /// The app has everything up to `seq`. Answers whether that is news.
    pub(super) fn confirm(&mut self, seq: Seq) -> bool {
        // Never past what this process handed over.
        let Some(had) = self.had else { return false };
        let cursor = self.cursor.get_or_insert_default();
        let before = cursor.clone();
        cursor.confirm(seq.min(had));
        if let Some(void) = self.void
            && cursor.seq().next() >= void.first()
        {
            cursor.confirm(void.last());
            self.void = None;
        }
        let changed = *cursor != before;
        self.cursor_unsent |= changed;
        changed
    }

    /// A range is missing that may be fetched later. Answers whether the cursor moved.
    pub(super) fn skip(&mut self, range: SeqRange) -> bool {
        let cursor = self.cursor.get_or_insert_default();
        let before = known_part(cursor);
        cursor.skip(range);
        let moved = known_part(cursor) != before;
        self.cursor_unsent |= moved;
        moved
    }

    /// A range holds nothing for this user. Answers whether the cursor moved.
    pub(super) fn pass(&mut self, range: SeqRange) -> bool {
        let joined = self.void.filter(|void| void.last().next() == range.first());
        let first = joined.map_or(range.first(), |void| void.first());
        self.void = SeqRange::new(first..=range.last());
        self.confirm(self.cursor_seq())
    }

    /// A range that was skipped has been fetched. Answers whether that is news.
    pub(super) fn fetched(&mut self, range: SeqRange) -> bool {
        let Some(cursor) = &mut self.cursor else { return false };
        let before = cursor.skipped().to_vec();
        cursor.fetched(range);
        let changed = cursor.skipped() != before;
        self.cursor_unsent |= changed;
        changed
    }

    /// How far the app has confirmed.
    pub(super) fn cursor_seq(&self) -> Seq {
        self.cursor.as_ref().map_or(Seq::ZERO, CursorState::seq)
    }

    /// The cursor, if the server should hear of it.
    pub(super) fn cursor_to_send(&self) -> Option<CursorState> {
        let cursor = self.cursor.as_ref()?;
        (self.cursor_unsent && !self.cursor_refused).then(|| known_part(cursor))
    }

    /// The server has stored a cursor. Answers whether that was the latest.
    pub(super) fn cursor_stored(&mut self, stored: &CursorState) -> bool {
        let latest = self.cursor.as_ref().map(known_part).as_ref() == Some(stored);
        if latest {
            self.cursor_unsent = false;
        }
        latest
    }

    /// The server's store was restored: nothing that was known of the log holds. Unanswered sends keep their
    /// numbers; where the server expects lower ones it says so.
    pub(super) fn forget_log(&mut self) {
        self.had = None;
        self.cursor = None;
        self.cursor_unsent = false;
        self.cursor_refused = false;
        self.void = None;
        self.progress = ReadProgress::new();
        self.read_unsent = None;
        self.receipts_from = None;
        self.marks.clear();
    }

    /// A lane tells how the conversation stands.
    pub(super) fn take_progress(&mut self, open: &LaneOpen) {
        self.progress.handle_entry(open.head_seq, open.head_ordinal, false);
        self.progress.handle_read(ReadState { read_seq: open.read_seq, read_ordinal: open.read_ordinal });
    }

    /// Marks of another user. Answers with what holds now, if that is news.
    pub(super) fn take_marks(&mut self, marks: &UserMarks, users_max: usize) -> Option<(Seq, Seq)> {
        if self.marks.len() >= users_max && !self.marks.contains_key(&marks.user) {
            return None;
        }
        let known = self.marks.entry(marks.user.clone()).or_default();
        let now = (known.0.max(marks.delivered_seq), known.1.max(marks.read_seq));
        let news = now != *known;
        *known = now;
        news.then_some(now)
    }

    /// Everybody who is known to be there has read the newest own message. Answers whether that is news.
    pub(super) fn settle_receipts(&mut self) -> bool {
        let Some(from) = self.receipts_from else { return false };
        let all_read = !self.marks.is_empty() && self.marks.values().all(|(_, read)| *read >= from);
        if all_read {
            self.receipts_from = None;
        }
        all_read
    }
}

/// A cursor without the ranges that wait for entries before them to be confirmed: those are this process's.
fn known_part(cursor: &CursorState) -> CursorState {
    CursorState::new(cursor.seq(), cursor.skipped().to_vec()).unwrap_or_default()
}

pub(super) fn outbox_limits() -> OutboxLimits {
    // Bytes are bounded over all conversations together, by the driver.
    OutboxLimits { items_max: OUTBOX_ITEMS_MAX, bytes_max: usize::MAX }
}

/// All conversations.
#[derive(Default)]
pub(super) struct Conversations {
    by_id: BTreeMap<ConversationId, Box<Tracked>>,
    clock: u64,
}

impl Conversations {
    pub(super) fn get(&self, id: ConversationId) -> Option<&Tracked> {
        self.by_id.get(&id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: ConversationId) -> Option<&mut Tracked> {
        self.by_id.get_mut(&id).map(Box::as_mut)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConversationId, &Tracked)> {
        self.by_id.iter().map(|(id, tracked)| (*id, tracked.as_ref()))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ConversationId, &mut Tracked)> {
        self.by_id.iter_mut().map(|(id, tracked)| (*id, tracked.as_mut()))
    }

    pub(super) fn insert(&mut self, id: ConversationId, tracked: Tracked) {
        self.by_id.insert(id, Box::new(tracked));
    }

    /// The conversation, new if need be, marked as of use.
    pub(super) fn touch(&mut self, id: ConversationId) -> &mut Tracked {
        self.clock = self.clock.saturating_add(1);
        let tracked = self.by_id.entry(id).or_insert_with(|| Box::new(Tracked::new()));
        tracked.touched = self.clock;
        tracked
    }

    /// Forgets the conversation unused for longest, of those that may be.
    pub(super) fn forget_one(&mut self) -> Option<ConversationId> {
        let unused = |may_be: fn(&Tracked) -> bool| {
            let candidates = self.by_id.iter().filter(move |(_, tracked)| may_be(tracked));
            candidates.min_by_key(|(_, tracked)| tracked.touched).map(|(id, _)| *id)
        };
        let id = unused(Tracked::is_idle).or_else(|| unused(Tracked::is_droppable))?;
        self.by_id.remove(&id);
        Some(id)
    }
}
