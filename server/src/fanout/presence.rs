//! Presence: who is online, as far as others may know. In memory only.
//!
//! A user's state is the best of their sessions'. A watcher is a session that has them on screen and may
//! see them; each change goes to the watchers as a datagram, and sessions renew what they watch, so that
//! one that was lost is made up for. Records stay while somebody is online or watches; then, at most
//! `FORGOTTEN_MAX` of those gone last are kept for their "last seen".

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use fulmar_protocol::{
    Datagram, Generation, Presence as PresenceDatagram, PresenceState, SessionNumber, TimestampMs, UserId,
    limits::PRESENCE_TTL,
};
use parking_lot::Mutex;

use super::SessionHandle;

/// Users remembered after they went offline with nobody watching.
const LAST_SEEN_USERS_MAX: usize = 100_000;

#[derive(Default)]
struct Record {
    sessions: HashMap<SessionNumber, PresenceState>,
    watchers: HashMap<SessionNumber, Arc<SessionHandle>>,
    last_seen: Option<TimestampMs>,
    /// Users who must not see this one.
    blocked: HashSet<UserId>,
    shown: Option<PresenceState>,
}

impl Record {
    fn state(&self) -> PresenceState {
        let states = || self.sessions.values();
        if states().any(|state| *state == PresenceState::Online) {
            PresenceState::Online
        } else if states().any(|state| *state == PresenceState::Away) {
            PresenceState::Away
        } else {
            PresenceState::Offline
        }
    }
}

#[derive(Default)]
struct State {
    users: HashMap<UserId, Record>,
    /// Offline and not watched, the one gone first in front. May hold users who came back.
    gone: VecDeque<UserId>,
    generation: u64,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Presence {
    state: Mutex<State>,
}

impl Presence {
    /// A session's own state; `Offline` when it ended or vanished.
    pub(crate) fn set(&self, session: &SessionHandle, state: PresenceState, now: TimestampMs) {
        let identity = &session.identity;
        let mut all = self.state.lock();
        let record = all.users.entry(identity.user.clone()).or_default();
        if state == PresenceState::Offline {
            if record.sessions.remove(&identity.number).is_none() {
                return;
            }
        } else {
            if record.sessions.is_empty() {
                record.blocked = HashSet::clone(&session.blocked());
            }
            record.sessions.insert(identity.number, state);
        }
        record.last_seen = Some(now);
        all.publish(&identity.user);
        all.forget_if_gone(&identity.user);
    }

    /// Makes `session` a watcher of exactly these users, of whom `before` were watched until now, and sends
    /// what is known of them.
    pub(crate) fn watch(
        &self,
        session: &Arc<SessionHandle>,
        before: &HashSet<UserId>,
        users: &HashSet<UserId>,
    ) {
        let number = session.identity.number;
        let mut all = self.state.lock();
        for user in before.difference(users) {
            if let Some(record) = all.users.get_mut(user) {
                record.watchers.remove(&number);
            }
            all.forget_if_gone(user);
        }
        for user in users {
            all.users.entry(user.clone()).or_default().watchers.insert(number, Arc::clone(session));
            all.show(user, session);
        }
    }

    /// Whoever is blocked sees nothing from now on.
    pub(crate) fn set_blocked(&self, user: &UserId, other: &UserId, blocked: bool) {
        let mut all = self.state.lock();
        if let Some(record) = all.users.get_mut(user) {
            if blocked {
                record.blocked.insert(other.clone());
            } else {
                record.blocked.remove(other);
            }
        }
    }

    /// The generation for a datagram that the server makes.
    pub(crate) fn next_generation(&self) -> Generation {
        let mut all = self.state.lock();
        all.generation += 1;
        Generation::new(all.generation)
    }
}

impl State {
    /// Tells the watchers if the user's state is another than the one shown last.
    fn publish(&mut self, user: &UserId) {
        let Some(record) = self.users.get_mut(user) else { return };
        let state = record.state();
        if record.shown == Some(state) {
            return;
        }
        record.shown = Some(state);
        let watchers: Vec<_> = record.watchers.values().cloned().collect();
        for watcher in watchers {
            self.show(user, &watcher);
        }
    }

    /// Sends one user's state to one session, unless one of the two blocks the other.
    fn show(&mut self, user: &UserId, watcher: &SessionHandle) {
        self.generation += 1;
        let Some(record) = self.users.get(user) else { return };
        if record.blocked.contains(&watcher.identity.user) || watcher.blocks(user) {
            return;
        }
        watcher.send_datagram(&Datagram::Presence(PresenceDatagram {
            user: user.clone(),
            generation: Generation::new(self.generation),
            state: record.state(),
            last_seen: record.last_seen,
            ttl: PRESENCE_TTL,
        }));
    }

    fn forget_if_gone(&mut self, user: &UserId) {
        let gone = |record: &Record| record.sessions.is_empty() && record.watchers.is_empty();
        if self.users.get(user).is_some_and(gone) {
            self.gone.push_back(user.clone());
        }
        while self.gone.len() > LAST_SEEN_USERS_MAX {
            let Some(oldest) = self.gone.pop_front() else { break };
            if self.users.get(&oldest).is_some_and(gone) {
                self.users.remove(&oldest);
            }
        }
    }
}
