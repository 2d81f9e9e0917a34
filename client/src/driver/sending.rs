//! From `enqueue` to `Accepted`: into the state, into the outbox, onto a send lane, and the answer back.
//!
//! Nothing goes onto the wire before it is in the state, so that a number is never used for two bodies.

use fulmar_protocol::{
    ClientSeq, ConversationId, ErrorCode, Frame, Refusal, Refused, Renumbered, Retry, SendOpen, Seq,
};
use tokio::sync::oneshot;

use crate::command::Enqueue;
use crate::driver::Driver;
use crate::driver::inputs::SendLaneNumber;
use crate::driver::journal::Effect;
use crate::driver::tracked::{Numbering, Storing};
use crate::error::ClientError;
use crate::event::Event;
use crate::limits;
use crate::outgoing::{Accepted, Sending};

/// Why an answer cannot be taken.
pub(super) type Breach = (ErrorCode, String);

impl Driver {
    /// Takes a new entry, or lets its caller wait for room.
    pub(super) fn enqueue(&mut self, enqueue: Enqueue) {
        if let Some(error) = &self.ended {
            let _ = enqueue.reply.send(Err(error.clone()));
            return;
        }
        let id = enqueue.conversation;
        let bytes_left = self.has_bytes_left();
        let tracked = self.conversations.touch(id);
        if tracked.peer.is_none() && enqueue.peer.is_some() {
            tracked.peer.clone_from(&enqueue.peer);
        }
        if tracked.waiting.is_empty() && tracked.has_room() && bytes_left {
            self.store_entry(enqueue);
        } else if tracked.waiting.len() < limits::ENQUEUE_WAITING_MAX {
            tracked.waiting.push_back(enqueue);
            self.waiting_for_room.insert(id);
        } else {
            let waiting = tracked.waiting.len();
            let _ = enqueue.reply.send(Err(ClientError::OutboxFull { waiting }));
        }
    }

    fn has_bytes_left(&self) -> bool {
        self.outbox_bytes < limits::OUTBOX_BYTES_MAX
    }

    /// There is room again: those who wait go on, in their order. Callers that gave up are passed over.
    pub(super) fn pump_waiting(&mut self) {
        if self.waiting_for_room.is_empty() || !self.has_bytes_left() {
            return;
        }
        for id in std::mem::take(&mut self.waiting_for_room) {
            while let Some(tracked) = self.conversations.get_mut(id)
                && tracked.has_room()
                && self.outbox_bytes < limits::OUTBOX_BYTES_MAX
                && let Some(enqueue) = tracked.waiting.pop_front()
            {
                if !enqueue.reply.is_closed() {
                    self.store_entry(enqueue);
                }
            }
            if self.conversations.get(id).is_some_and(|tracked| !tracked.waiting.is_empty()) {
                self.waiting_for_room.insert(id);
            }
        }
    }

    fn store_entry(&mut self, enqueue: Enqueue) {
        let Enqueue { conversation: id, content, reply, .. } = enqueue;
        let tracked = self.conversations.touch(id);
        let client_seq = tracked.next_client_seq();
        self.outbox_bytes = self.outbox_bytes.saturating_add(content.len());
        self.journal.outbox(id, client_seq, &content);
        self.journal.conversation(id);
        tracked.storing.push_back(Storing { client_seq, content, reply: Some(reply) });
        self.journal.then(Effect::Enqueued(id, client_seq));
        self.typing_ended_by_send(id);
    }

    /// An entry is in the state: it goes into the outbox, and its caller goes on.
    pub(super) fn entry_stored(&mut self, id: ConversationId, client_seq: ClientSeq) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        // Numbered anew meanwhile: another effect follows.
        if tracked.storing.front().is_none_or(|first| first.client_seq != client_seq) {
            return;
        }
        let Some(Storing { content, reply, .. }) = tracked.storing.pop_front() else { return };
        let Ok(client_seq) = tracked.outbox.push(content) else { return };
        if let Some(reply) = reply {
            let (waiter, answer) = oneshot::channel();
            // A caller that gave up has sent all the same; its failure is told by an event.
            if reply.send(Ok(Sending { client_seq, answer })).is_ok() {
                tracked.waiters.insert(client_seq, waiter);
            }
        }
        self.sendable.insert(id);
    }

    /// A session begins: everything unanswered is sent again.
    pub(super) fn send_all_unanswered(&mut self) {
        let unanswered = self.conversations.iter_mut().filter(|(_, tracked)| !tracked.outbox.is_empty());
        self.sendable.extend(unanswered.map(|(id, _)| id));
    }

    /// Puts onto lanes what may go now.
    pub(super) fn pump_sends(&mut self) {
        let now = self.now;
        while let Some((at, id)) = self.send_timers.first().copied() {
            if at > now {
                break;
            }
            self.send_timers.pop_first();
            self.sendable.insert(id);
        }
        if self.phase.session().is_none() || self.renewing_device {
            return;
        }
        for id in std::mem::take(&mut self.sendable) {
            self.pump_conversation(id);
        }
        self.pump_send_lanes();
    }

    fn pump_conversation(&mut self, id: ConversationId) {
        let now = self.now;
        if !self.numbering_known(id) {
            return;
        }
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        let Some(session) = self.phase.session_mut() else { return };
        let elapsed = self.clock.elapsed(now);
        let Some(next_send_at) = tracked.outbox.next_send_at() else { return };
        if tracked.renumbering > 0 {
            return;
        }
        let not_before = tracked.lane_not_before.filter(|at| *at > now);
        if next_send_at > elapsed || not_before.is_some() {
            let at = not_before.unwrap_or(now).max(self.clock.instant(next_send_at));
            self.send_timers.insert((at, id));
            return;
        }
        if session.send_lanes.get(&id).is_some_and(|lane| lane.is_closing()) {
            // Its end brings the conversation back.
            return;
        }
        let mut frames = Vec::new();
        if !session.send_lanes.contains_key(&id) {
            if !session.make_room_for_send_lane(now) {
                if !session.lanes_wanted.contains(&id) {
                    session.lanes_wanted.push_back(id);
                }
                return;
            }
            session.open_send_lane(id, now);
            frames.push(Frame::SendOpen(SendOpen { conversation_id: id, peer: tracked.peer.clone() }));
        }
        let opening = frames.len();
        while let Some(send) = tracked.outbox.poll_send(elapsed) {
            frames.push(Frame::Send(send));
        }
        let sent = frames.len().saturating_sub(opening);
        if !frames.is_empty() {
            session.write_sends(id, frames, sent, now);
        }
    }

    /// Whether the server's next number is known; if not, a lane is asked for that tells it.
    fn numbering_known(&mut self, id: ConversationId) -> bool {
        let now = self.now;
        let Some(tracked) = self.conversations.get_mut(id) else { return false };
        match tracked.numbering {
            Numbering::Known => return true,
            Numbering::Asked { until: Some(until) } if until <= now => {}
            Numbering::Asked { until } => {
                let until = until.unwrap_or(now + limits::NUMBERING_WAIT);
                tracked.numbering = Numbering::Asked { until: Some(until) };
                self.send_timers.insert((until, id));
                self.await_receipts(id);
                return false;
            }
        }
        // No lane came: the server may not know the conversation at all. If it does, it refuses the numbers,
        // and a new device id puts things right.
        self.renumber(id, ClientSeq::FIRST);
        false
    }

    /// Gives the sends of a conversation new numbers; they are sent once those are stored.
    pub(super) fn renumber(&mut self, id: ConversationId, first: ClientSeq) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        tracked.numbering = Numbering::Known;
        let renumbered = tracked.outbox.renumber(first);
        self.store_numbers(id, &renumbered);
    }

    /// Stores numbers that changed, of the outbox and of what is on its way into it.
    fn store_numbers(&mut self, id: ConversationId, renumbered: &[Renumbered]) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        let mut next = tracked.outbox.next_client_seq();
        let misplaced = tracked.storing.front().is_some_and(|first| first.client_seq != next);
        for Renumbered { from, .. } in renumbered {
            self.journal.clear_outbox(id, *from);
        }
        if misplaced {
            tracked.storing.iter().for_each(|storing| self.journal.clear_outbox(id, storing.client_seq));
        }
        let mut waiters = std::collections::BTreeMap::new();
        for Renumbered { from, to } in renumbered {
            if let Some(content) = tracked.unanswered(*to) {
                self.journal.outbox(id, *to, &content);
            }
            waiters.extend(tracked.waiters.remove(from).map(|waiter| (*to, waiter)));
        }
        tracked.waiters.append(&mut waiters);
        if misplaced {
            for storing in &mut tracked.storing {
                storing.client_seq = next;
                next = next.next();
                self.journal.outbox(id, storing.client_seq, &storing.content);
                self.journal.then(Effect::Enqueued(id, storing.client_seq));
            }
        }
        self.journal.conversation(id);
        tracked.renumbering = tracked.renumbering.saturating_add(1);
        self.journal.then(Effect::Renumbered(id));
    }

    pub(super) fn numbers_stored(&mut self, id: ConversationId) {
        if let Some(tracked) = self.conversations.get_mut(id) {
            tracked.renumbering = tracked.renumbering.saturating_sub(1);
            self.sendable.insert(id);
        }
    }

    /// An answer on a send lane.
    pub(super) fn handle_answer(
        &mut self,
        id: ConversationId,
        lane: SendLaneNumber,
        frame: Frame,
    ) -> Result<(), Breach> {
        let Some(session) = self.phase.session_mut() else { return Ok(()) };
        let Some(send_lane) = session.send_lanes.get_mut(&id).filter(|known| known.number == lane) else {
            return Ok(());
        };
        send_lane.answered(self.now);
        match frame {
            Frame::Accepted(accepted) => self.handle_accepted(id, &accepted),
            Frame::Refused(refused) => {
                self.handle_refused(id, refused);
                Ok(())
            }
            other => {
                let cause = format!("{} on a send lane", other.frame_type());
                Err((ErrorCode::FrameUnexpected, cause))
            }
        }
    }

    fn handle_accepted(
        &mut self,
        id: ConversationId,
        accepted: &fulmar_protocol::Accepted,
    ) -> Result<(), Breach> {
        let Some(tracked) = self.conversations.get_mut(id) else { return Ok(()) };
        let Some(item) = tracked.outbox.handle_accepted(accepted) else {
            if accepted.client_seq >= tracked.outbox.next_client_seq() {
                let cause = format!("send {} was accepted and never sent", accepted.client_seq);
                return Err((ErrorCode::FrameUnexpected, cause));
            }
            return Ok(());
        };
        tracked.backoff.reset();
        tracked.setbacks = 0;
        self.outbox_bytes = self.outbox_bytes.saturating_sub(item.content.len());
        self.journal.clear_outbox(id, item.client_seq);
        if let Some(waiter) = tracked.waiters.remove(&item.client_seq) {
            let answer = Accepted { client_seq: item.client_seq, seq: accepted.seq, at: accepted.at };
            let _ = waiter.send(Ok(answer));
        }
        self.recently_sent.remember(id, item.client_seq, item.content);
        self.expect_receipts(id, accepted.seq);
        self.sendable.insert(id);
        Ok(())
    }

    /// An own entry is in the log; how far the others have it is of interest from now on.
    pub(super) fn expect_receipts(&mut self, id: ConversationId, seq: Seq) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        if tracked.receipts_from.is_none_or(|known| known < seq) {
            tracked.receipts_from = Some(seq);
            self.journal.conversation(id);
        }
    }

    fn handle_refused(&mut self, id: ConversationId, mut refused: Refused) {
        let now = self.clock.elapsed(self.now);
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        tracked.setbacks = tracked.setbacks.saturating_add(1);
        let back_off = tracked.backoff.next(&mut self.rng);
        refused.retry_after = refused.retry_after.map(|after| after.min(limits::RETRY_AFTER_MAX));
        if refused.code.retry() == Retry::Now && tracked.setbacks > SETBACKS_FORGIVEN {
            refused.retry_after = Some(refused.retry_after.unwrap_or_default().max(back_off));
        }
        tracing::debug!(conversation = %id, client_seq = %refused.client_seq, code = %refused.code, "refused");
        match tracked.outbox.handle_refused(&refused, now, back_off) {
            Refusal::Stale => {}
            Refusal::Again => {
                self.sendable.insert(id);
            }
            Refusal::Failed(item) => {
                self.outbox_bytes = self.outbox_bytes.saturating_sub(item.content.len());
                let error = ClientError::Refused {
                    code: refused.code,
                    message: refused.message.to_string(),
                    retry_after: refused.retry_after,
                };
                self.send_failed(id, item.client_seq, error);
                self.align_numbers(id);
                self.sendable.insert(id);
            }
            Refusal::DeviceForgotten => return self.renew_device(),
        }
        let needs_new_lane =
            self.conversations.get(id).is_some_and(|tracked| tracked.outbox.needs_new_lane());
        if needs_new_lane && let Some(session) = self.phase.session_mut() {
            session.reset_send_lane(id, self.now);
        }
    }

    fn send_failed(&mut self, id: ConversationId, client_seq: ClientSeq, error: ClientError) {
        self.journal.clear_outbox(id, client_seq);
        self.journal.conversation(id);
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        let code = error.code().unwrap_or(ErrorCode::Internal);
        let unheard = match tracked.waiters.remove(&client_seq) {
            Some(waiter) => waiter.send(Err(error)).is_err(),
            None => true,
        };
        if unheard {
            self.events.push(Event::SendFailed { conversation: id, client_seq, code }, None);
        }
    }

    /// When the outbox's next number went back, what is on its way into it is numbered anew.
    fn align_numbers(&mut self, id: ConversationId) {
        let misplaced = self.conversations.get(id).is_some_and(|tracked| {
            let next = tracked.outbox.next_client_seq();
            tracked.storing.front().is_some_and(|first| first.client_seq != next)
        });
        if misplaced {
            self.store_numbers(id, &[]);
        }
    }

    /// A send lane has ended, whoever ended it.
    pub(super) fn handle_send_lane_ended(
        &mut self,
        id: ConversationId,
        lane: SendLaneNumber,
        code: Option<ErrorCode>,
    ) {
        let Some(session) = self.phase.session_mut() else { return };
        let Some(ended) = session.take_send_lane(id, lane) else { return };
        if let Some(next) = session.lanes_wanted.pop_front() {
            self.sendable.insert(next);
        }
        let wanted_by_us = ended.is_closing();
        self.lane_lost(id);
        if let Some(code) = code.filter(|code| is_final_for_lane(*code)) {
            self.fail_lane(id, code);
        } else if !wanted_by_us || code.is_some() {
            self.set_back(id);
        }
        self.sendable.insert(id);
    }

    fn lane_lost(&mut self, id: ConversationId) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        let renumbered = tracked.outbox.handle_lane_lost();
        if !renumbered.is_empty() {
            self.store_numbers(id, &renumbered);
        }
        self.align_numbers(id);
    }

    /// The next lane waits a while, if there is something unanswered.
    pub(super) fn set_back(&mut self, id: ConversationId) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        if !tracked.outbox.is_empty() {
            tracked.setbacks = tracked.setbacks.saturating_add(1);
            tracked.lane_not_before = Some(self.now + tracked.backoff.next(&mut self.rng));
        }
    }

    /// The server takes nothing for the conversation, and never will: what is unanswered has failed.
    fn fail_lane(&mut self, id: ConversationId, code: ErrorCode) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        let unanswered: Vec<_> = tracked.outbox.items().cloned().collect();
        let first = unanswered.first().map(|item| item.client_seq);
        for item in &unanswered {
            self.outbox_bytes = self.outbox_bytes.saturating_sub(item.content.len());
            // None of them used its number up.
            let accepted = fulmar_protocol::Accepted { client_seq: item.client_seq, ..NEVER_ACCEPTED };
            if let Some(tracked) = self.conversations.get_mut(id) {
                tracked.outbox.handle_accepted(&accepted);
            }
            self.send_failed(id, item.client_seq, ClientError::refused(code));
        }
        if let Some(first) = first {
            self.renumber(id, first);
        }
    }

    /// The session is gone, and every lane with it.
    pub(super) fn send_lanes_lost(&mut self) {
        let ids: Vec<_> = self.conversations.iter_mut().map(|(id, _)| id).collect();
        for id in ids {
            if self.conversations.get(id).is_some_and(|tracked| !tracked.outbox.is_empty()) {
                self.lane_lost(id);
            }
        }
    }

    /// The server knows this device's numbers for other bodies: the state is an old copy of itself. A new
    /// device id starts afresh; it is stored before it is used.
    fn renew_device(&mut self) {
        self.devices_renewed = self.devices_renewed.saturating_add(1);
        if self.devices_renewed > limits::DEVICES_RENEWED_MAX {
            let code = ErrorCode::ClientSeqReused;
            let message = "again and again, with new device ids".to_owned();
            return self.end(ClientError::Ended { code, message });
        }
        self.device = fulmar_protocol::DeviceId::new(self.rng.octets());
        tracing::warn!(device = %self.device, "the state is an old copy: going on as a new device");
        self.journal.device(self.device);
        self.recently_sent.clear();
        self.renewing_device = true;
        let reason = "the device id was replaced".to_owned();
        self.lose(crate::driver::attempt::Lost::Passing(reason));
        let ids: Vec<_> = self.conversations.iter_mut().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(tracked) = self.conversations.get_mut(id) {
                tracked.cursor_unsent = tracked.cursor.is_some();
            }
            self.renumber(id, ClientSeq::FIRST);
        }
        self.journal.then(Effect::DeviceRenewed);
    }

    pub(super) fn device_stored(&mut self) {
        self.renewing_device = false;
        self.told.device(self.device);
    }

    /// There will be no answers any more. What is unanswered stays in the state.
    pub(super) fn fail_sends(&mut self, error: &ClientError) {
        for (_, tracked) in self.conversations.iter_mut() {
            for waiting in tracked.waiting.drain(..) {
                let _ = waiting.reply.send(Err(error.clone()));
            }
            for storing in &mut tracked.storing {
                if let Some(reply) = storing.reply.take() {
                    let _ = reply.send(Err(error.clone()));
                }
            }
            while let Some((_, waiter)) = tracked.waiters.pop_first() {
                let _ = waiter.send(Err(error.clone()));
            }
        }
    }
}

/// Refusals with "now" in a row that are obeyed at once.
const SETBACKS_FORGIVEN: u32 = 2;

/// Takes an item out of an outbox without using an answer's seq or time.
const NEVER_ACCEPTED: fulmar_protocol::Accepted = fulmar_protocol::Accepted {
    client_seq: ClientSeq::FIRST,
    seq: Seq::FIRST,
    at: fulmar_protocol::TimestampMs::new(0),
};

/// Whether a lane's end with this code means that the conversation takes nothing. The code for a second
/// lane is not: the first has only not ended there yet. Codes of later editions are tried again, ever more
/// seldom.
fn is_final_for_lane(code: ErrorCode) -> bool {
    code.retry() == Retry::Never && !matches!(code, ErrorCode::LaneAlreadyOpen | ErrorCode::Unknown(_))
}
