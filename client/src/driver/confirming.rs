//! Cursors and read marks on their way to the server: gathered for a moment, written to the state, sent as
//! one Confirm, and done with when the server says that they are durable.
//!
//! At most one Confirm is under way. What was not confirmed when a session ends goes with the next; what was
//! not confirmed when the app ends is in the state.

use std::collections::BTreeSet;

use fulmar_protocol::limits::CONFIRM_CONVERSATIONS_MAX;
use fulmar_protocol::{
    BatchNumber, Confirm, ConversationId, CursorState, ErrorCode, Frame, Problem, ReadMark, Retry, Seq,
    SeqRange,
};
use tokio::time::Instant;

use crate::command::Reply;
use crate::confirmations::{ReadMarkAsked, Waiting};
use crate::driver::Driver;
use crate::driver::journal::Effect;
use crate::driver::sending::Breach;
use crate::error::ClientError;
use crate::limits::{CONFIRM_DELAY, CONFIRM_RETRY, CONFIRM_TIMEOUT, RETRY_AFTER_MAX};

/// What waits to be told to the server.
#[derive(Default)]
pub(super) struct Confirming {
    /// Conversations with a cursor or read mark that the server does not have, and that is not under way.
    queue: BTreeSet<ConversationId>,
    due: Option<Instant>,
    /// A batch is being written to the state.
    preparing: bool,
    readers: Vec<Reader>,
}

/// A caller that waits for its read mark.
struct Reader {
    conversation: ConversationId,
    seq: Seq,
    reply: Reply<()>,
}

/// A batch that is in the state.
#[derive(Default)]
pub(super) struct Prepared {
    cursors: Vec<(ConversationId, CursorState)>,
    reads: Vec<(ConversationId, Seq)>,
}

/// A batch that the server has not answered.
pub(super) struct UnderWay {
    batch: BatchNumber,
    prepared: Prepared,
    sent_at: Instant,
    /// The connection was closed over it.
    given_up: bool,
}

impl Confirming {
    fn add(&mut self, conversation: ConversationId, now: Instant) {
        self.queue.insert(conversation);
        self.due.get_or_insert(now + CONFIRM_DELAY);
    }

    /// Everything known goes at once.
    pub(super) fn hurry(&mut self, now: Instant) {
        if !self.queue.is_empty() {
            self.due = Some(now);
        }
    }

    /// Whether somebody waits for a read mark.
    pub(super) fn is_awaited(&self) -> bool {
        !self.readers.is_empty()
    }

    /// Fails all who wait.
    pub(super) fn fail(&mut self, error: &ClientError) {
        for reader in self.readers.drain(..) {
            let _ = reader.reply.send(Err(error.clone()));
        }
    }
}

impl Driver {
    /// Takes what the app has confirmed and read.
    pub(super) fn take_confirmations(&mut self) {
        let Waiting { confirmed, reads, .. } = self.confirmations.take();
        for (conversation, seq) in confirmed {
            self.confirm(conversation, seq);
        }
        for asked in reads {
            self.read(asked);
        }
    }

    fn confirm(&mut self, conversation: ConversationId, seq: Seq) {
        let Some(tracked) = self.conversations.get_mut(conversation) else { return };
        if tracked.confirm(seq) {
            self.journal.conversation(conversation);
            self.confirming.add(conversation, self.now);
        }
    }

    fn read(&mut self, asked: ReadMarkAsked) {
        let ReadMarkAsked { conversation, seq, reply } = asked;
        if let Some(error) = &self.ended {
            let _ = reply.send(Err(error.clone()));
            return;
        }
        let Some(tracked) = self.track(conversation) else {
            let _ = reply.send(Err(ClientError::Closed));
            return;
        };
        if tracked.read_unsent.is_none_or(|known| known < seq) {
            tracked.read_unsent = Some(seq);
        }
        self.journal.conversation(conversation);
        self.confirming.add(conversation, self.now);
        self.confirming.readers.retain(|reader| !reader.reply.is_closed());
        self.confirming.readers.push(Reader { conversation, seq, reply });
        self.begin_errand();
    }

    /// The app has fetched a range that may have been skipped.
    pub(super) fn fetched(&mut self, conversation: ConversationId, range: SeqRange) {
        let Some(tracked) = self.conversations.get_mut(conversation) else { return };
        if tracked.fetched(range) {
            self.journal.conversation(conversation);
            self.confirming.add(conversation, self.now);
        }
    }

    /// A hole without content moved a cursor by itself.
    pub(super) fn cursor_moved(&mut self, conversation: ConversationId) {
        self.journal.conversation(conversation);
        self.confirming.add(conversation, self.now);
    }

    /// A session begins: what the server may not have is told again.
    pub(super) fn confirm_all_unsent(&mut self) {
        let now = self.now;
        for (id, tracked) in self.conversations.iter_mut() {
            tracked.cursor_refused = false;
            if tracked.cursor_unsent || tracked.read_unsent.is_some() {
                self.confirming.add(id, now);
            }
        }
    }

    /// The session is gone; what was under way was perhaps not stored.
    pub(super) fn confirm_lost(&mut self, under_way: Option<UnderWay>) {
        let Prepared { cursors, reads } = under_way.map(|lost| lost.prepared).unwrap_or_default();
        let ids = cursors.into_iter().map(|(id, _)| id).chain(reads.into_iter().map(|(id, _)| id));
        self.confirming.queue.extend(ids);
    }

    /// When there is something to do here.
    pub(super) fn confirm_due(&self) -> Option<Instant> {
        let session = self.phase.session()?;
        match &session.confirm {
            Some(under_way) if !under_way.given_up => Some(under_way.sent_at + CONFIRM_TIMEOUT),
            Some(_) => None,
            None if self.confirming.preparing => None,
            None => self.confirming.due,
        }
    }

    /// Whether everything was told and stored, as far as it can be.
    pub(super) fn confirm_idle(&self) -> bool {
        let under_way = self.phase.session().is_some_and(|session| session.confirm.is_some());
        self.confirming.queue.is_empty() && !self.confirming.preparing && !under_way
    }

    /// Makes the next batch when it is time, and gives up on a connection that does not answer one.
    pub(super) fn pump_confirmations(&mut self) {
        let Some(session) = self.phase.session_mut() else { return };
        if let Some(under_way) = &mut session.confirm {
            if under_way.sent_at + CONFIRM_TIMEOUT <= self.now && !under_way.given_up {
                under_way.given_up = true;
                session.close(ErrorCode::NoError, "a Confirm was not answered");
            }
            return;
        }
        if self.confirming.preparing || self.confirming.due.is_none_or(|due| due > self.now) {
            return;
        }
        let mut prepared = Prepared::default();
        while prepared.cursors.len().max(prepared.reads.len()) < CONFIRM_CONVERSATIONS_MAX {
            let Some(id) = self.confirming.queue.pop_first() else { break };
            let Some(tracked) = self.conversations.get_mut(id) else { continue };
            if let Some(cursor) = tracked.cursor_to_send() {
                prepared.cursors.push((id, cursor));
            }
            prepared.reads.extend(tracked.read_unsent.map(|seq| (id, seq)));
        }
        self.confirming.due = (!self.confirming.queue.is_empty()).then_some(self.now);
        if !prepared.cursors.is_empty() || !prepared.reads.is_empty() {
            self.confirming.preparing = true;
            self.journal.then(Effect::Prepared(prepared));
        }
    }

    /// A batch is in the state; now the server may hear of it.
    pub(super) fn send_confirm(&mut self, prepared: Prepared) {
        self.confirming.preparing = false;
        let Some(session) = self.phase.session_mut() else {
            let batch = BatchNumber::new(0);
            self.confirm_lost(Some(UnderWay { batch, prepared, sent_at: self.now, given_up: false }));
            return;
        };
        session.batches = session.batches.saturating_add(1);
        let batch = BatchNumber::new(session.batches);
        let cursors = prepared.cursors.iter().map(|(id, cursor)| cursor.update(*id)).collect();
        let reads =
            prepared.reads.iter().map(|(id, seq)| ReadMark { conversation_id: *id, seq: *seq }).collect();
        session.expect_answer(self.now);
        session.control(Frame::Confirm(Confirm { batch, cursors, reads }));
        session.confirm = Some(UnderWay { batch, prepared, sent_at: self.now, given_up: false });
    }

    /// The server has stored a batch, but for what it named in problems before.
    pub(super) fn handle_confirmed(&mut self, batch: BatchNumber) -> Result<(), Breach> {
        let Some(session) = self.phase.session_mut() else { return Ok(()) };
        if batch.get() == 0 || batch.get() > session.batches {
            return Err((ErrorCode::FrameUnexpected, format!("no batch {batch} was sent")));
        }
        // One that was refused as a whole is not under way any more.
        let under_way = session.confirm.take_if(|under_way| under_way.batch == batch);
        let Prepared { cursors, reads } = under_way.map(|stored| stored.prepared).unwrap_or_default();
        for (id, cursor) in cursors {
            let Some(tracked) = self.conversations.get_mut(id) else { continue };
            if tracked.cursor_stored(&cursor) {
                self.journal.conversation(id);
            }
        }
        for (id, seq) in reads {
            self.read_answered(id, seq, Ok(()));
        }
        if !self.confirming.queue.is_empty() {
            self.confirming.due.get_or_insert(self.now + CONFIRM_DELAY);
        }
        Ok(())
    }

    fn read_answered(&mut self, id: ConversationId, seq: Seq, answer: Result<(), ClientError>) {
        if let Some(tracked) = self.conversations.get_mut(id)
            && tracked.read_unsent.is_some_and(|unsent| unsent <= seq)
        {
            tracked.read_unsent = None;
            self.journal.conversation(id);
        }
        for reader in self.confirming.readers.extract_if(.., |one| one.conversation == id && one.seq <= seq) {
            let _ = reader.reply.send(answer.clone());
        }
    }

    /// The server refused an item of the batch under way and stores the others; or, when it names no
    /// conversation, it refused the whole batch.
    pub(super) fn handle_confirm_problem(&mut self, problem: &Problem) {
        let Some(session) = self.phase.session_mut() else { return };
        let Some(under_way) = session.confirm.as_mut() else { return };
        if problem.batch != Some(under_way.batch) {
            return;
        }
        tracing::debug!(code = %problem.code, conversation = ?problem.conversation_id, "a confirmation was refused");
        let prepared = &mut under_way.prepared;
        let whole = problem.conversation_id.is_none();
        let concerns = |id: &ConversationId| problem.conversation_id.is_none_or(|concerned| concerned == *id);
        let about_read = !whole && problem.code == ErrorCode::MarkBeyondHead;
        let about_cursor =
            !whole && matches!(problem.code, ErrorCode::CursorBeyondSent | ErrorCode::CursorInvalid);
        let mut cursors = Vec::new();
        let mut reads = Vec::new();
        if !about_read {
            cursors.extend(prepared.cursors.extract_if(.., |(id, _)| concerns(id)));
        }
        if !about_cursor {
            reads.extend(prepared.reads.extract_if(.., |(id, _)| concerns(id)));
        }
        if whole {
            session.confirm = None;
            self.confirming.due.get_or_insert(self.now + CONFIRM_DELAY);
        }
        if problem.code.retry() != Retry::Never {
            let ids = cursors.into_iter().map(|(id, _)| id).chain(reads.into_iter().map(|(id, _)| id));
            self.confirming.queue.extend(ids);
            self.confirming.due =
                Some(self.now + problem.retry_after.unwrap_or(CONFIRM_RETRY).min(RETRY_AFTER_MAX));
            return;
        }
        for (id, _) in cursors {
            if let Some(tracked) = self.conversations.get_mut(id) {
                tracked.cursor_refused = true;
            }
        }
        let (code, message) = (problem.code, problem.message.to_string());
        for (id, seq) in reads {
            let retry_after = problem.retry_after;
            self.read_answered(
                id,
                seq,
                Err(ClientError::Refused { code, message: message.clone(), retry_after }),
            );
        }
    }
}
