//! From `enqueue` to `Accepted`: into the state, into the outbox, onto a send lane, and the answer back.
//!
//! Nothing goes onto the wire before it is in the state, so that a number is never used for two bodies.

use fulmar_protocol::{ClientSeq, ConversationId, ErrorCode, Frame, SendOpen, Seq};
use tokio::sync::oneshot;

use crate::command::Enqueue;
use crate::driver::inputs::SendLaneNumber;
use crate::driver::journal::Effect;
use crate::driver::tracked::Storing;
use crate::driver::{Driver, hedging};
use crate::error::ClientError;
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
            return;
        }
        if tracked.waiting.len() >= limits::ENQUEUE_WAITING_MAX {
            tracked.waiting.retain(|waiting| !waiting.reply.is_closed());
        }
        if tracked.waiting.len() < limits::ENQUEUE_WAITING_MAX {
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
        if self.needs_new_device {
            // A conversation that is new since: its first send, too, waits for the new id.
            tracked.outbox.hold_new();
        }
        let Ok(client_seq) = tracked.outbox.push(content) else { return };
        if let Some(reply) = reply {
            let (waiter, answer) = oneshot::channel();
            // A caller that gave up has sent all the same; its failure is told by an event.
            if reply.send(Ok(Sending { client_seq, answer })).is_ok() {
                tracked.waiters.insert(client_seq, waiter);
            }
        }
        self.sendable.insert(id);
        self.begin_errand();
    }

    /// A lane of the first flight is the session's now, with what it carries.
    pub(super) fn adopt_lane(&mut self, id: ConversationId, carried: ClientSeq) {
        if let Some(tracked) = self.conversations.get_mut(id) {
            tracked.outbox.mark_sent(carried);
            self.reset_lane_if_needed(id);
        }
    }

    /// A session begins: everything unanswered is sent again.
    pub(super) fn send_all_unanswered(&mut self) {
        // Every older session has stopped.
        self.conversations.iter_mut().for_each(|(_, tracked)| tracked.renumbered = false);
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
            if session.leave_at.is_some() {
                // No more streams on this connection; the next one sends it.
                return;
            }
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
        if tracked.outbox.waits_for_settling() {
            self.journal.hurry();
        }
        if !frames.is_empty() {
            let hedged = if session.hedging.is_in_force() { hedging::copies(&frames) } else { Vec::new() };
            session.write_sends(id, frames, sent, now);
            self.plan_hedges(id, hedged);
        }
    }

    /// The state holds no answered send any more: the window moves on.
    pub(super) fn settled(&mut self, id: ConversationId, lowest: ClientSeq) {
        if let Some(tracked) = self.conversations.get_mut(id) {
            tracked.outbox.settle(lowest);
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

    pub(super) fn handle_accepted(
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
        self.devices_renewed = 0;
        self.outbox_bytes = self.outbox_bytes.saturating_sub(item.content.len());
        self.journal.answered(id, item.client_seq, &mut tracked.outbox);
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
