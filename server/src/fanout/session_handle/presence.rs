//! A session's own presence, and what it is told of that of others.
//!
//! News of a watched user's state is left here like other news: the session itself looks, at the moment when
//! it sends, whether it may still show that user.

use std::collections::BTreeSet;

use fulmar_protocol::{Datagram, PresenceState, UserId, limits::OFFLINE_AFTER};
use tokio::time::Instant;

use super::{SessionHandle, State};

impl SessionHandle {
    /// Notes what the client says of itself.
    pub(crate) fn set_presence(&self, presence: PresenceState) {
        self.state.lock().presence = Some(presence);
    }

    /// The session's presence as far as its packets bear it out: `Offline` when none came for
    /// `OFFLINE_AFTER`, however long the connection still lasts.
    pub(in crate::fanout) fn presence_now(&self) -> PresenceState {
        let mut state = self.state.lock();
        let vanished = self.heard_at(&mut state).elapsed() >= OFFLINE_AFTER;
        if vanished { PresenceState::Offline } else { state.presence.unwrap_or(PresenceState::Online) }
    }

    /// When a client that left without a goodbye counts as offline.
    pub(in crate::fanout) fn offline_at(&self) -> Instant {
        self.heard_at(&mut self.state.lock()) + OFFLINE_AFTER
    }

    /// When its packets were last seen to be more than before.
    fn heard_at(&self, state: &mut State) -> Instant {
        let packets = self.connection.stats().udp_rx.datagrams;
        if state.packets_received != packets {
            state.packets_received = packets;
            state.heard_at = Some(Instant::now());
        }
        state.heard_at.unwrap_or(self.began)
    }

    /// Leaves word that a watched user's state changed. Never waits. Bounded by whom the session watches.
    pub(in crate::fanout) fn tell_presence(&self, user: &UserId) {
        self.state.lock().presence_due.insert(user.clone());
        self.wake.notify_one();
    }

    /// Those of whom word was left since this was last asked.
    pub(crate) fn take_presence_due(&self) -> BTreeSet<UserId> {
        std::mem::take(&mut self.state.lock().presence_due)
    }

    /// Sends a datagram if the budget allows it. Those that do not fit are dropped: they are renewed.
    pub(crate) fn send_datagram(&self, datagram: &Datagram) {
        let bytes = datagram.encode();
        let cost = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if self.datagrams.lock().take(cost, self.age()).is_err() {
            self.metrics.datagrams_dropped.increment(1);
            return;
        }
        // The peer takes no datagrams, the path's MTU is too small, or the connection is gone.
        if self.connection.send_datagram(bytes).is_err() {
            self.metrics.datagrams_dropped.increment(1);
        }
    }
}
