//! Presence: who is online, as far as others may know. In memory only.
//!
//! A user's state is the best of their devices'. A device that left without a goodbye keeps its state until
//! its client has been silent for `OFFLINE_AFTER`, so that one that comes back at once was never away. One that
//! said that it comes back is away for `AWAY_AFTER_GOODBYE`, and then offline since it left; the oldest of those goes
//! offline sooner when there are more than `AWAY_DEVICES_MAX`. A watcher is a session that has the user on screen and may see them; it is told that the state changed, and
//! sends it as a datagram if it may still show it. Sessions renew what they watch, so that a datagram that
//! was lost is made up for. Records stay while somebody is online or watches; then, at most
//! `LAST_SEEN_USERS_MAX` of those gone last are kept for their "last seen".

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
};

use fulmar_protocol::{
    Datagram, DeviceId, Generation, Presence as PresenceDatagram, PresenceState, SessionNumber, TimestampMs,
    UserId,
    limits::{AWAY_AFTER_GOODBYE, PRESENCE_TTL},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::SessionHandle;

/// Users remembered after they went offline with nobody watching.
const LAST_SEEN_USERS_MAX: usize = 100_000;
/// Devices remembered that said that they come back; some may have.
const AWAY_DEVICES_MAX: usize = 100_000;

/// A device that is there, or left without a goodbye a moment ago.
struct Device {
    session: SessionNumber,
    state: PresenceState,
}

/// A device that is taken for offline at a time to come, unless it is back by then.
struct Leaving {
    at: Instant,
    user: UserId,
    device: DeviceId,
    session: SessionNumber,
}

/// A device that said that it comes back.
struct Away {
    leaving: Leaving,
    left_at: TimestampMs,
}

#[derive(Default)]
struct Record {
    devices: HashMap<DeviceId, Device>,
    /// In the order in which they are told.
    watchers: BTreeMap<SessionNumber, Arc<SessionHandle>>,
    last_seen: Option<TimestampMs>,
    /// Users who must not see this one.
    blocked: HashSet<UserId>,
    shown: Option<PresenceState>,
}

impl Record {
    fn state(&self) -> PresenceState {
        let states = || self.devices.values().map(|device| device.state);
        if states().any(|state| state == PresenceState::Online) {
            PresenceState::Online
        } else if states().any(|state| state == PresenceState::Away) {
            PresenceState::Away
        } else {
            PresenceState::Offline
        }
    }
}

#[derive(Default)]
struct State {
    users: HashMap<UserId, Record>,
    /// In no order; bounded by the sessions that end within `OFFLINE_AFTER`.
    leaving: Vec<Leaving>,
    /// The one that left first in front.
    away: VecDeque<Away>,
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
    /// A session's own state; `Offline` when its client fell silent. Without effect once it said goodbye: whoever
    /// sweeps over sessions may still hold one that is gone.
    pub(crate) fn set(&self, session: &SessionHandle, state: PresenceState, now: TimestampMs) {
        let mut all = self.state.lock();
        if !session.gone.load(Ordering::Relaxed) {
            all.set(session, state, now);
        }
    }

    /// The session ended with a goodbye.
    pub(crate) fn leave_for_good(&self, session: &SessionHandle, now: TimestampMs) {
        let mut all = self.state.lock();
        session.gone.store(true, Ordering::Relaxed);
        all.set(session, PresenceState::Offline, now);
    }

    /// The session ended without a goodbye: its device may be back in a moment.
    pub(crate) fn leave(&self, session: &SessionHandle) {
        let identity = &session.identity;
        let leaving = Leaving {
            at: session.offline_at(),
            user: identity.user.clone(),
            device: identity.device,
            session: identity.number,
        };
        self.state.lock().leaving.push(leaving);
    }

    /// The session ended, and its client says that it comes back.
    pub(crate) fn leave_for_a_while(&self, session: &SessionHandle, now: TimestampMs) {
        let identity = &session.identity;
        let leaving = Leaving {
            at: Instant::now() + AWAY_AFTER_GOODBYE,
            user: identity.user.clone(),
            device: identity.device,
            session: identity.number,
        };
        let mut all = self.state.lock();
        session.gone.store(true, Ordering::Relaxed);
        all.set(session, PresenceState::Away, now);
        all.away.push_back(Away { leaving, left_at: now });
        if all.away.len() > AWAY_DEVICES_MAX {
            all.end_oldest_away();
        }
    }

    /// Takes those for offline whose time is over.
    pub(super) fn sweep(&self, now: TimestampMs) {
        let mut all = self.state.lock();
        let moment = Instant::now();
        let gone: Vec<_> = all.leaving.extract_if(.., |leaving| leaving.at <= moment).collect();
        for Leaving { user, device, session, .. } in gone {
            all.remove(&user, &device, session, now);
        }
        while all.away.front().is_some_and(|away| away.leaving.at <= moment) {
            all.end_oldest_away();
        }
    }

    /// Makes `session` a watcher of exactly these users, of whom `before` were watched until now.
    pub(crate) fn watch(
        &self,
        session: &Arc<SessionHandle>,
        before: &BTreeSet<UserId>,
        users: &BTreeSet<UserId>,
    ) {
        let number = session.identity.number;
        let mut all = self.state.lock();
        for user in before.difference(users) {
            if let Some(record) = all.users.get_mut(user) {
                record.watchers.remove(&number);
            }
            all.forget_if_gone(user);
        }
        for user in users.difference(before) {
            all.users.entry(user.clone()).or_default().watchers.insert(number, Arc::clone(session));
        }
    }

    /// Sends what is known of these users to a session that may see them.
    pub(crate) fn show<'u>(&self, users: impl Iterator<Item = &'u UserId>, session: &SessionHandle) {
        let mut all = self.state.lock();
        for user in users {
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
    fn set(&mut self, session: &SessionHandle, state: PresenceState, now: TimestampMs) {
        let identity = &session.identity;
        if state == PresenceState::Offline {
            self.remove(&identity.user, &identity.device, identity.number, now);
            return;
        }
        let record = self.users.entry(identity.user.clone()).or_default();
        if record.devices.get(&identity.device).is_some_and(|known| known.session > identity.number) {
            // The device has a newer session.
            return;
        }
        if record.devices.is_empty() {
            record.blocked = HashSet::clone(&session.blocked());
        }
        record.devices.insert(identity.device, Device { session: identity.number, state });
        record.last_seen = Some(now);
        self.publish(&identity.user);
    }

    fn remove(&mut self, user: &UserId, device: &DeviceId, session: SessionNumber, now: TimestampMs) {
        let Some(record) = self.users.get_mut(user) else { return };
        if record.devices.get(device).is_none_or(|known| known.session != session) {
            return;
        }
        record.devices.remove(device);
        // Another device may have been seen since.
        record.last_seen = record.last_seen.max(Some(now));
        self.publish(user);
        self.forget_if_gone(user);
    }

    fn end_oldest_away(&mut self) {
        if let Some(Away { leaving: Leaving { user, device, session, .. }, left_at }) = self.away.pop_front()
        {
            self.remove(&user, &device, session, left_at);
        }
    }

    /// Tells the watchers if the user's state is another than the one told last.
    fn publish(&mut self, user: &UserId) {
        let Some(record) = self.users.get_mut(user) else { return };
        let state = record.state();
        if record.shown.replace(state) != Some(state) {
            record.watchers.values().for_each(|watcher| watcher.tell_presence(user));
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
        let gone = |record: &Record| record.devices.is_empty() && record.watchers.is_empty();
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
