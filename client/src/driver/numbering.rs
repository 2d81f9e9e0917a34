//! Client seqs that change: when the server expects others, and when the device id is replaced.
//!
//! New numbers are in the state before anything is sent under them.

use std::collections::BTreeMap;

use fulmar_protocol::{ClientSeq, ConversationId, DeviceId, ErrorCode, LaneOpen, Renumbered};

use crate::driver::Driver;
use crate::driver::attempt::Lost;
use crate::driver::journal::Effect;
use crate::driver::tracked::Tracked;
use crate::error::ClientError;
use crate::limits;

impl Driver {
    /// A lane tells which number the server expects next of this device. It counts only where nothing is
    /// unanswered: what was sent meanwhile may have been appended since. There the answers tell.
    pub(super) fn take_numbering(&mut self, id: ConversationId, open: &LaneOpen) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        let idle = tracked.outbox.is_empty() && tracked.storing.is_empty();
        if idle && open.next_client_seq > tracked.outbox.next_client_seq() {
            self.renumber(id, open.next_client_seq);
        }
    }

    /// Gives the sends of a conversation new numbers; they are sent once those are stored.
    pub(super) fn renumber(&mut self, id: ConversationId, first: ClientSeq) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        let renumbered = tracked.outbox.renumber(first);
        self.store_numbers(id, &renumbered);
    }

    /// Stores numbers that changed, of the outbox and of what is on its way into it.
    pub(super) fn store_numbers(&mut self, id: ConversationId, renumbered: &[Renumbered]) {
        if let Some(session) = self.phase.session_mut() {
            session.hedging.stop(id);
        }
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        let mut next = tracked.outbox.next_client_seq();
        let misplaced = tracked.storing.front().is_some_and(|first| first.client_seq != next);
        tracked.renumbered |= !renumbered.is_empty();
        for Renumbered { from, .. } in renumbered {
            self.journal.clear_outbox(id, *from);
        }
        if misplaced {
            tracked.storing.iter().for_each(|storing| self.journal.clear_outbox(id, storing.client_seq));
        }
        let mut waiters = BTreeMap::new();
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

    /// When the outbox's next number went back, what is on its way into it is numbered anew.
    pub(super) fn align_numbers(&mut self, id: ConversationId) {
        let Some(tracked) = self.conversations.get(id) else { return };
        let next = tracked.outbox.next_client_seq();
        let misplaced = tracked.storing.front().is_some_and(|first| first.client_seq != next);
        if misplaced {
            self.store_numbers(id, &[]);
        }
    }

    /// The server knows this device's numbers for other bodies, as the state is an old copy of itself. A new device
    /// id will start afresh; but first the old one must have an answer to everything else that was sent under
    /// it, in whatever session: what was appended and not answered would be appended again.
    pub(super) fn need_new_device(&mut self) {
        self.needs_new_device = true;
        self.conversations.iter_mut().for_each(|(_, tracked)| tracked.outbox.hold_new());
    }

    /// Takes the new device id when it is time. It is stored before it is used.
    pub(super) fn pump_new_device(&mut self) {
        let settled = |(_, tracked): (_, &Tracked)| tracked.outbox.is_settled_for_new_device();
        if self.needs_new_device && self.conversations.iter().all(settled) {
            self.renew_device();
        }
    }

    fn renew_device(&mut self) {
        self.needs_new_device = false;
        if self.renewing_device {
            return;
        }
        self.devices_renewed = self.devices_renewed.saturating_add(1);
        if self.devices_renewed > limits::DEVICES_RENEWED_MAX {
            let code = ErrorCode::ClientSeqReused;
            let message = "again and again, with new device ids".to_owned();
            return self.end(ClientError::Ended { code, message });
        }
        self.device = DeviceId::new(self.rng.octets());
        tracing::warn!(device = %self.device, "the state is an old copy: going on as a new device");
        self.journal.device(self.device);
        self.recently_sent.clear();
        self.renewing_device = true;
        self.drop_rival();
        self.drop_connecting();
        let reason = "the device id was replaced".to_owned();
        self.lose(Lost::Passing(reason));
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
}
