//! What the client wants to see and hear of: conversations on screen, large conversations, nobody whom it blocks.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use fulmar_protocol::{ConversationId, UserId};

use super::SessionHandle;
use crate::fanout::lane_signal::WATCH;

impl SessionHandle {
    /// Replaces the conversations on screen, and opens lanes for those that have none. Lanes of those that
    /// came or went are woken: how long they may be idle changed.
    pub(crate) fn watch(&self, conversations: BTreeSet<ConversationId>) {
        let mut state = self.state.lock();
        let former = std::mem::replace(&mut state.watched, Arc::new(conversations.clone()));
        for conversation in conversations.symmetric_difference(&former) {
            if let Some(lane) = state.lanes.get(conversation) {
                lane.raise(WATCH);
            }
        }
        for conversation in conversations {
            if !state.lanes.contains_key(&conversation) {
                self.queue(&mut state, conversation);
            }
        }
    }

    pub(crate) fn watched(&self) -> Arc<BTreeSet<ConversationId>> {
        Arc::clone(&self.state.lock().watched)
    }

    pub(crate) fn is_watched(&self, conversation: &ConversationId) -> bool {
        self.state.lock().watched.contains(conversation)
    }

    /// Notes that the session wants to hear of a large conversation. `false`: it does already.
    pub(crate) fn add_interest(&self, conversation: ConversationId) -> bool {
        !*self.state.lock().interests.entry(conversation).or_default()
    }

    /// From now on the session hears of these.
    pub(crate) fn settle_interests(&self, conversations: &[ConversationId]) {
        let mut state = self.state.lock();
        for conversation in conversations {
            if let Some(settled) = state.interests.get_mut(conversation) {
                *settled = true;
            }
        }
    }

    pub(in crate::fanout) fn take_interests(&self) -> BTreeMap<ConversationId, bool> {
        std::mem::take(&mut self.state.lock().interests)
    }

    pub(crate) fn blocks(&self, user: &UserId) -> bool {
        self.state.lock().blocked.contains(user)
    }

    pub(crate) fn blocked(&self) -> Arc<HashSet<UserId>> {
        Arc::clone(&self.state.lock().blocked)
    }

    pub(in crate::fanout) fn set_blocked(&self, user: &UserId, blocked: bool) {
        let mut state = self.state.lock();
        let mut set = HashSet::clone(&state.blocked);
        if blocked {
            set.insert(user.clone());
        } else {
            set.remove(user);
        }
        state.blocked = Arc::new(set);
    }
}
