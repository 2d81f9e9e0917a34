//! What devices are handed: every entry once, in order, and the same for everybody.

use std::time::Duration;

use fulmar_protocol::{ConversationId, HoleReason, Seq, UserId};

use super::log::{Handed, Seen};
use super::state::{Cursor, State, short};
use super::violation::Invariant;

impl State {
    pub(super) fn handed(&mut self, now: Duration, device: usize, entry: &Handed) {
        let (conversation, seq) = (entry.conversation, entry.seq);
        self.entries_handed += 1;
        self.hash(now, (4, device, conversation, seq, entry.unread_after));
        self.move_cursor(now, device, conversation, seq, seq);
        self.device_mut(device).handed.insert((conversation, seq));
        self.claim_unread(device, entry);
        let Some(seen) = Seen::of(entry) else {
            let what = format!("entry {seq} of {} does not decode", short(conversation));
            return self.violate(now, Invariant::AcceptedIsNeverLost, what);
        };
        let place = short(conversation);
        match seen.message() {
            Some(id) => {
                let number = entry.client_seq;
                self.tell(
                    now,
                    &format!("device {device}: handed {seq} of {place}, m{} (send {number})", id.0),
                );
                self.check_once(now, id, conversation, seq);
            }
            None => {
                let (kind, sender) = (seen.kind(), &seen.sender);
                self.tell(now, &format!("device {device}: handed {seq} of {place}, {kind} of {sender}"));
            }
        }
        let known = self.logs.entry(conversation).or_default().entries.entry(seq).or_insert(seen.clone());
        let before = known.clone();
        if !known.is_same(&seen) {
            let what = format!("entry {seq} of {place} is {before} and {seen}");
            self.violate(now, Invariant::AcceptedIsNeverLost, what);
        }
    }

    pub(super) fn skipped(
        &mut self,
        now: Duration,
        device: usize,
        conversation: ConversationId,
        (first, last): (Seq, Seq),
        reason: HoleReason,
    ) {
        self.hash(now, (5, device, conversation, first, last));
        self.tell(now, &format!("device {device}: {first} to {last} of {} {reason:?}", short(conversation)));
        self.move_cursor(now, device, conversation, first, last);
    }

    fn move_cursor(
        &mut self,
        now: Duration,
        number: usize,
        conversation: ConversationId,
        first: Seq,
        last: Seq,
    ) {
        let cursors = &mut self.device_mut(number).cursors;
        let begin = Cursor { last: Seq::ZERO, furthest: Seq::ZERO, anew: false };
        let cursor = cursors.entry(conversation).or_insert(begin);
        let expected = cursor.last.next();
        let good = if cursor.anew { first <= cursor.furthest.next() } else { first == expected };
        *cursor = Cursor { last, furthest: cursor.furthest.max(last), anew: false };
        if !good {
            let what = format!(
                "device {number} was handed {first} of {} instead of {expected}",
                short(conversation)
            );
            self.violate(now, Invariant::EachSeqOnceInOrder, what);
        }
    }

    pub(super) fn last_handed(&self, device: usize, conversation: ConversationId) -> Option<Seq> {
        self.devices.get(&device)?.cursors.get(&conversation).map(|cursor| cursor.last)
    }

    pub(super) fn messages_of(&self, user: &UserId, conversation: ConversationId, count: usize) -> Vec<Seq> {
        self.logs.get(&conversation).map(|log| log.messages_of(user, count)).unwrap_or_default()
    }

    pub(super) fn app_died(&mut self, device: usize) {
        for cursor in self.device_mut(device).cursors.values_mut() {
            cursor.anew = true;
        }
    }
}
