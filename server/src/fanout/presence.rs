//! Presence: who is online, as far as others may know. In memory only.
//!
//! A user's state is the best of their devices'. A device that left without a goodbye keeps its state until
//! its client has been silent for `OFFLINE_AFTER`, so that one that comes back at once was never away. One that
//! said that it comes back is away for `AWAY_AFTER_GOODBYE`, and then offline since it left; the oldest of those goes
//! offline sooner when there are more than `AWAY_DEVICES_MAX`. A watcher is a session that has the user on screen and may see them; it is told that the state changed, and
//! sends it as a datagram if it may still show it. Sessions renew what they watch, so that a datagram that
//! was lost is made up for. Records stay while somebody is online or watches; then, at most
//! `LAST_SEEN_USERS_MAX` of those gone last are kept for their "last seen".
//!
//! In a cluster each node asks the others to tell it of the users whom somebody there watches. What they tell counts
//! like one more device.

mod elsewhere;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, OnceLock, Weak, atomic::Ordering},
};

use fulmar_protocol::{
    Datagram, DeviceId, Generation, Presence as PresenceDatagram, PresenceState, SessionNumber, TimestampMs,
    UserId,
    limits::{AWAY_AFTER_GOODBYE, PRESENCE_TTL},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::SessionHandle;
use crate::rows::NodeNumber;

/// The other nodes, as presence needs them. Neither call waits.
pub(crate) trait Neighbours: Send + Sync {
    /// Asks all of them to tell of a user from now on, or no more.
    fn watch(&self, user: &UserId, watch: bool);

    /// Tells one of them how a user is.
    fn show(&self, to: NodeNumber, user: &UserId, state: PresenceState, last_seen: Option<TimestampMs>);
}

/// Users remembered after they went offline with nobody watching.
const LAST_SEEN_USERS_MAX: usize = 100_000;
/// Watches of other nodes; one more is not taken, and its node shows no presence of the user.
const WATCHES_OF_NODES_MAX: usize = 1_000_000;
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
    /// What other nodes told of the user's devices there.
    elsewhere: BTreeMap<NodeNumber, (PresenceState, Option<TimestampMs>)>,
    /// Other nodes that are told of the devices here, and what they were told last.
    told: BTreeMap<NodeNumber, PresenceState>,
}

impl Record {
    /// Of the devices here.
    fn state_here(&self) -> PresenceState {
        best(|| self.devices.values().map(|device| device.state))
    }

    fn state(&self) -> PresenceState {
        let elsewhere = || self.elsewhere.values().map(|(state, _)| *state);
        best(|| elsewhere().chain([self.state_here()]))
    }

    fn last_seen(&self) -> Option<TimestampMs> {
        self.elsewhere.values().filter_map(|(_, last_seen)| *last_seen).chain(self.last_seen).max()
    }
}

fn best<I: Iterator<Item = PresenceState>>(states: impl Fn() -> I) -> PresenceState {
    if states().any(|state| state == PresenceState::Online) {
        PresenceState::Online
    } else if states().any(|state| state == PresenceState::Away) {
        PresenceState::Away
    } else {
        PresenceState::Offline
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
    watches_of_nodes: usize,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Presence {
    state: Mutex<State>,
    neighbours: OnceLock<Weak<dyn Neighbours>>,
}

impl Presence {
    /// A session's own state; `Offline` when its client fell silent. Without effect once it said goodbye: whoever
    /// sweeps over sessions may still hold one that is gone.
    pub(crate) fn set(&self, session: &SessionHandle, state: PresenceState, now: TimestampMs) {
        let mut all = self.state.lock();
        if !session.gone.load(Ordering::Relaxed) {
            all.set(session, state, now, self);
        }
    }

    /// The session ended with a goodbye.
    pub(crate) fn leave_for_good(&self, session: &SessionHandle, now: TimestampMs) {
        let mut all = self.state.lock();
        session.gone.store(true, Ordering::Relaxed);
        all.set(session, PresenceState::Offline, now, self);
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
        all.set(session, PresenceState::Away, now, self);
        all.away.push_back(Away { leaving, left_at: now });
        if all.away.len() > AWAY_DEVICES_MAX {
            all.end_oldest_away(self);
        }
    }

    /// Takes those for offline whose time is over.
    pub(super) fn sweep(&self, now: TimestampMs) {
        let mut all = self.state.lock();
        let moment = Instant::now();
        let gone: Vec<_> = all.leaving.extract_if(.., |leaving| leaving.at <= moment).collect();
        for Leaving { user, device, session, .. } in gone {
            all.remove(&user, &device, session, now, self);
        }
        while all.away.front().is_some_and(|away| away.leaving.at <= moment) {
            all.end_oldest_away(self);
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
            if let Some(record) = all.users.get_mut(user)
                && record.watchers.remove(&number).is_some()
                && record.watchers.is_empty()
            {
                record.elsewhere.clear();
                // Whoever watches next is told of what is told from elsewhere, though it be the same as now.
                record.shown = None;
                self.with_neighbours(|neighbours| neighbours.watch(user, false));
            }
            all.forget_if_gone(user);
        }
        for user in users.difference(before) {
            let record = all.users.entry(user.clone()).or_default();
            if record.watchers.is_empty() {
                self.with_neighbours(|neighbours| neighbours.watch(user, true));
            }
            record.watchers.insert(number, Arc::clone(session));
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

    fn with_neighbours(&self, tell: impl FnOnce(&dyn Neighbours)) {
        if let Some(neighbours) = self.neighbours.get().and_then(Weak::upgrade) {
            tell(&*neighbours);
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
    fn set(&mut self, session: &SessionHandle, state: PresenceState, now: TimestampMs, presence: &Presence) {
        let identity = &session.identity;
        if state == PresenceState::Offline {
            self.remove(&identity.user, &identity.device, identity.number, now, presence);
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
        self.publish(&identity.user, presence);
    }

    fn remove(
        &mut self,
        user: &UserId,
        device: &DeviceId,
        session: SessionNumber,
        now: TimestampMs,
        presence: &Presence,
    ) {
        let Some(record) = self.users.get_mut(user) else { return };
        if record.devices.get(device).is_none_or(|known| known.session != session) {
            return;
        }
        record.devices.remove(device);
        // Another device may have been seen since.
        record.last_seen = record.last_seen.max(Some(now));
        self.publish(user, presence);
        self.forget_if_gone(user);
    }

    fn end_oldest_away(&mut self, presence: &Presence) {
        if let Some(Away { leaving: Leaving { user, device, session, .. }, left_at }) = self.away.pop_front()
        {
            self.remove(&user, &device, session, left_at, presence);
        }
    }

    /// Tells the watchers, and the nodes that have some, if the user's state is another than the one told last.
    fn publish(&mut self, user: &UserId, presence: &Presence) {
        let Some(record) = self.users.get_mut(user) else { return };
        let state = record.state();
        if record.shown.replace(state) != Some(state) {
            record.watchers.values().for_each(|watcher| watcher.tell_presence(user));
        }
        let (here, last_seen) = (record.state_here(), record.last_seen);
        for (node, told) in &mut record.told {
            if std::mem::replace(told, here) != here {
                presence.with_neighbours(|neighbours| neighbours.show(*node, user, here, last_seen));
            }
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
            last_seen: record.last_seen(),
            ttl: PRESENCE_TTL,
        }));
    }

    fn forget_if_gone(&mut self, user: &UserId) {
        let gone = |record: &Record| {
            record.devices.is_empty() && record.watchers.is_empty() && record.told.is_empty()
        };
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
