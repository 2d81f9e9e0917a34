//! When a send is refused or a lane ends: what is sent again, when, and what has failed.

use std::time::Duration;

use fulmar_protocol::{
    Accepted, ClientSeq, ConversationId, ErrorCode, Refusal, Refused, Retry, Seq, TimestampMs,
};

use crate::driver::Driver;
use crate::driver::inputs::SendLaneNumber;
use crate::error::ClientError;
use crate::event::Event;
use crate::limits;

impl Driver {
    pub(super) fn handle_refused(&mut self, id: ConversationId, mut refused: Refused) {
        let now = self.clock.elapsed(self.now);
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        tracked.setbacks = tracked.setbacks.saturating_add(1);
        // Those behind a refused send are refused because of it, which is no trouble of its own.
        let follows = refused.code == ErrorCode::ClientSeqAhead;
        let back_off = if follows { Duration::ZERO } else { tracked.backoff.next(&mut self.rng) };
        refused.retry_after = refused.retry_after.map(|after| after.min(limits::RETRY_AFTER_MAX));
        if refused.code.retry() == Retry::Now && !follows {
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
            Refusal::DeviceForgotten => self.need_new_device(),
        }
        self.reset_lane_if_needed(id);
    }

    /// A lane is reset when numbers must change, or when the server refuses without end.
    pub(super) fn reset_lane_if_needed(&mut self, id: ConversationId) {
        let now = self.now;
        if self.conversations.get(id).is_some_and(|tracked| tracked.outbox.needs_new_lane()) {
            // It carries the numbers that must change.
            self.drop_rival();
        }
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        let endless = tracked.setbacks > limits::REFUSALS_IN_A_ROW_MAX;
        if endless {
            tracked.setbacks = 0;
            tracked.lane_not_before = Some(now + tracked.backoff.next(&mut self.rng));
        }
        if (endless || tracked.outbox.needs_new_lane())
            && let Some(session) = self.phase.session_mut()
        {
            session.reset_send_lane(id, now);
        }
    }

    fn send_failed(&mut self, id: ConversationId, client_seq: ClientSeq, error: ClientError) {
        self.journal.conversation(id);
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        self.journal.answered(id, client_seq, &mut tracked.outbox);
        let code = error.code().unwrap_or(ErrorCode::Internal);
        let unheard = match tracked.waiters.remove(&client_seq) {
            Some(waiter) => waiter.send(Err(error)).is_err(),
            None => true,
        };
        if unheard {
            self.events.push(Event::SendFailed { conversation: id, client_seq, code }, None);
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
        if code.is_some() {
            session.hedging.stop(id);
        }
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
            let accepted = Accepted { client_seq: item.client_seq, ..NEVER_ACCEPTED };
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
}

/// Takes an item out of an outbox without using an answer's seq or time.
const NEVER_ACCEPTED: Accepted =
    Accepted { client_seq: ClientSeq::FIRST, seq: Seq::FIRST, at: TimestampMs::new(0) };

/// Whether a lane's end with this code means that the conversation takes nothing. The code for a second
/// lane is not: the first has only not ended there yet. Codes of later editions are tried again, ever more
/// seldom.
fn is_final_for_lane(code: ErrorCode) -> bool {
    code.retry() == Retry::Never && !matches!(code, ErrorCode::LaneAlreadyOpen | ErrorCode::Unknown(_))
}
