//! The watched conversations: those on screen, and those in which receipts are awaited.
//!
//! The server opens lanes for news by itself, but marks alone may not be news to it: so a conversation whose
//! newest own message not everybody has read is watched after a reconnect, and when its lane ends. The app's
//! own set goes first; together they are at most `watched_conversations_max`, those for receipts at most
//! `RECEIPTS_WATCHED_MAX`.

use fulmar_protocol::ConversationId;
use fulmar_protocol::limits::WATCHED_CONVERSATIONS_MAX;

use crate::driver::Driver;
use crate::limits::RECEIPTS_WATCHED_MAX;

/// What is, or should be, watched.
#[derive(Default)]
pub(super) struct Watching {
    app: Vec<ConversationId>,
    /// In which receipts are awaited; the latest last.
    receipts: Vec<ConversationId>,
    changed: bool,
}

impl Watching {
    fn all(&self) -> Vec<ConversationId> {
        let mut all = self.app.clone();
        for id in self.receipts.iter().rev() {
            if all.len() >= WATCHED_CONVERSATIONS_MAX {
                break;
            }
            if !all.contains(id) {
                all.push(*id);
            }
        }
        all
    }
}

impl Driver {
    /// The app names what is on screen.
    pub(super) fn watch(&mut self, conversations: Vec<ConversationId>) {
        let mut app = Vec::with_capacity(conversations.len());
        for id in conversations {
            if !app.contains(&id) {
                app.push(id);
            }
        }
        app.truncate(WATCHED_CONVERSATIONS_MAX);
        self.watching.app = app;
        self.watching.changed = true;
    }

    /// A session begins: nothing is watched yet.
    pub(super) fn receipts_after_connect(&mut self) {
        let mut awaiting: Vec<_> = self
            .conversations
            .iter_mut()
            .filter(|(_, tracked)| tracked.receipts_from.is_some())
            .map(|(id, tracked)| (tracked.touched, id))
            .collect();
        awaiting.sort_unstable();
        let first = awaiting.len().saturating_sub(RECEIPTS_WATCHED_MAX);
        self.watching.receipts = awaiting.into_iter().skip(first).map(|(_, id)| id).collect();
        self.watching.changed = true;
    }

    /// Receipts are awaited in a conversation that has no lane.
    pub(super) fn await_receipts(&mut self, id: ConversationId) {
        if !self.watching.receipts.contains(&id) {
            if self.watching.receipts.len() >= RECEIPTS_WATCHED_MAX {
                self.watching.receipts.remove(0);
            }
            self.watching.receipts.push(id);
            self.watching.changed = true;
        }
    }

    /// Everybody has read.
    pub(super) fn receipts_complete(&mut self, id: ConversationId) {
        let before = self.watching.receipts.len();
        self.watching.receipts.retain(|awaiting| *awaiting != id);
        self.watching.changed |= self.watching.receipts.len() != before;
    }

    /// Tells the server when the set has changed.
    pub(super) fn pump_watching(&mut self) {
        if self.watching.changed
            && let Some(session) = self.phase.session_mut()
        {
            session.watch(self.watching.all());
            self.watching.changed = false;
        }
    }
}
