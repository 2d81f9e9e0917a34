//! What devices send: each message appears once, where its sender was told, and is not forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use fulmar_protocol::{ConversationId, ErrorCode, Seq};

use super::MessageId;
use super::state::{Message, State, short};
use super::violation::Invariant;

/// Answers that a server remembers of a device in a conversation. A backup that is further behind may send
/// again what was accepted before: nobody can know it.
const ANSWERS_REMEMBERED: usize = 64;

impl State {
    pub(super) fn new_message(
        &mut self,
        now: Duration,
        device: usize,
        conversation: ConversationId,
    ) -> MessageId {
        let id = MessageId(u64::try_from(self.messages.len()).unwrap_or(u64::MAX));
        let message =
            Message { device, conversation, owed: false, disturbed: false, accepted: None, refused: None };
        self.messages.insert(id, message);
        self.device_mut(device).sent.push(id);
        self.tell(now, &format!("device {device}: sends m{} to {}", id.0, short(conversation)));
        id
    }

    pub(super) fn enqueued(&mut self, id: MessageId) {
        self.message_mut(id).owed = true;
    }

    pub(super) fn accepted(&mut self, now: Duration, id: MessageId, seq: Seq) {
        self.messages_accepted += 1;
        self.hash(now, (1, id.0, seq));
        let message = self.message_mut(id);
        message.accepted = Some(seq);
        let (device, conversation) = (message.device, message.conversation);
        self.tell(now, &format!("device {device}: m{} accepted as {seq} of {}", id.0, short(conversation)));
        let seen = self.logs.get(&conversation).and_then(|log| log.entries.get(&seq));
        if let Some(seen) = seen.filter(|seen| !seen.is_redacted() && seen.message() != Some(id)) {
            let what = format!("m{} was accepted as {seq} of {}, which is {seen}", id.0, short(conversation));
            self.violate(now, Invariant::AcceptedIsNeverLost, what);
        }
    }

    pub(super) fn refused(&mut self, now: Duration, id: MessageId, code: ErrorCode) {
        self.hash(now, (2, id.0, code.code()));
        let message = self.message_mut(id);
        message.refused = Some(code);
        let device = message.device;
        self.tell(now, &format!("device {device}: m{} refused, {code}", id.0));
    }

    pub(super) fn send_failed(&mut self, now: Duration, device: usize, conversation: ConversationId) {
        self.hash(now, (3, device, conversation));
        self.device_mut(device).failed.insert(conversation);
    }

    /// A message appears in one place only, and in the place that its sender was told.
    pub(super) fn check_once(
        &mut self,
        now: Duration,
        id: MessageId,
        conversation: ConversationId,
        seq: Seq,
    ) {
        let place = *self.appeared.entry(id).or_insert((conversation, seq));
        let Some(message) = self.messages.get(&id) else {
            let what = format!("m{} was never sent", id.0);
            return self.violate(now, Invariant::EachSendOnceInOrder, what);
        };
        if message.conversation != conversation {
            let what = format!("m{} was sent to {}", id.0, short(message.conversation));
            return self.violate(now, Invariant::EachSendOnceInOrder, what);
        }
        if place != (conversation, seq) && !message.disturbed {
            let what = format!("m{} is both {} and {seq} of {}", id.0, place.1, short(conversation));
            return self.violate(now, Invariant::EachSendOnceInOrder, what);
        }
        if let Some(code) = message.refused.filter(|_| !message.disturbed) {
            let what = format!("m{} was refused ({code}) and handed over as {seq}", id.0);
            return self.violate(now, Invariant::EachSendOnceInOrder, what);
        }
        if let Some(accepted) = message.accepted.filter(|accepted| *accepted != seq && !message.disturbed) {
            let what = format!("m{} was accepted as {accepted} and handed over as {seq}", id.0);
            self.violate(now, Invariant::AcceptedIsNeverLost, what);
        }
    }

    pub(super) fn backed_up(&mut self, device: usize) {
        let device = self.device_mut(device);
        device.backup = Some(device.sent.len());
    }

    /// Messages since the backup may have left or not, and are sent again by nobody. Those before it may be sent
    /// again; where the server has forgotten the answer it cannot know them.
    pub(super) fn restored(&mut self, device: usize) {
        self.app_died(device);
        let device = self.device_mut(device);
        let at_backup = device.backup.unwrap_or(0);
        let sent = device.sent.clone();
        let (before, after) = sent.split_at(at_backup);
        let mut since: BTreeMap<ConversationId, usize> = BTreeMap::new();
        for id in after {
            let message = self.message_mut(*id);
            *since.entry(message.conversation).or_default() += 1;
            message.owed &= message.accepted.is_some();
        }
        for id in before {
            let message = self.message_mut(*id);
            let forgotten =
                since.get(&message.conversation).is_some_and(|since| *since >= ANSWERS_REMEMBERED / 2);
            message.disturbed |= forgotten;
        }
    }

    /// A message that ought to be there, or to have an answer.
    pub(super) fn missing_message(&self) -> Option<String> {
        for (id, message) in &self.messages {
            let log = self.logs.get(&message.conversation);
            let is_redacted =
                |seq| log.and_then(|log| log.entries.get(&seq)).is_some_and(|seen| seen.is_redacted());
            let has_appeared = self.appeared.contains_key(id);
            if let Some(seq) = message.accepted.filter(|seq| !has_appeared && !is_redacted(*seq)) {
                return Some(format!("m{} was accepted as {seq} and nobody was handed it", id.0));
            }
            let has_failed = self.devices[&message.device].failed.contains(&message.conversation);
            let answered = message.accepted.is_some() || message.refused.is_some() || has_failed;
            if message.owed && !message.disturbed && !answered && !has_appeared {
                return Some(format!("m{} of device {} has no answer", id.0, message.device));
            }
        }
        None
    }

    /// A device's messages that are not in the order in which it sent them.
    pub(super) fn disordered(&self, id: ConversationId) -> Option<String> {
        let mut newest: BTreeMap<usize, MessageId> = BTreeMap::new();
        for seen in self.logs.get(&id)?.entries.values() {
            let Some(message) = seen.message() else { continue };
            let Some(of) = self.messages.get(&message) else { continue };
            let before = newest.insert(of.device, message);
            if before.is_some_and(|before| before > message) && !of.disturbed {
                return Some(format!("m{} of device {} comes after a later one", message.0, of.device));
            }
        }
        None
    }
}
