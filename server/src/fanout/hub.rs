//! The sessions of this process, by user.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use fulmar_protocol::{
    ConversationId, ConversationKind, Datagram, DeviceId, DeviceTag, ErrorCode, SessionNumber, SoftwareName,
    TimestampMs, Typing, UserId,
    limits::{FAN_OUT_MEMBERS_MAX, TYPING_TTL},
};
use parking_lot::{Mutex, RwLock};

use super::{Presence, SessionHandle, SessionIdentity};
use crate::{
    limits::Limits,
    log::{Listeners, News, Notice, Roster},
    metrics::Metrics,
    rows::NodeNumber,
};

/// Why a session was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error("the user, or the server, has the most sessions allowed")]
    TooManySessions,
    #[error("another session of the device began later and was registered first")]
    Overtaken,
}

/// A session that is registered, and the one that it replaced.
pub(crate) struct Registered {
    pub(crate) session: Arc<SessionHandle>,
    pub(crate) older: Option<Arc<SessionHandle>>,
}

/// Who wants to be registered.
pub(crate) struct Newcomer {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) connection: quinn::Connection,
    pub(crate) client: SoftwareName,
    pub(crate) connected_at: TimestampMs,
    pub(crate) issued_at: TimestampMs,
    pub(crate) expires_at: TimestampMs,
    pub(crate) blocked: HashSet<UserId>,
    pub(crate) number: SessionNumber,
    pub(crate) node: Option<NodeNumber>,
}

/// See the module. Bounded by the sessions it holds.
pub(crate) struct Hub {
    /// In an order, so that who is swept when is the same in every run of a simulation.
    users: RwLock<BTreeMap<UserId, Vec<Arc<SessionHandle>>>>,
    /// How many sessions `users` holds. Changed under its lock.
    open: AtomicUsize,
    /// Who hears of a large conversation, whose members are not told one by one.
    interested: Mutex<BTreeMap<ConversationId, BTreeMap<SessionNumber, Arc<SessionHandle>>>>,
    next_number: AtomicU64,
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
    pub(crate) presence: Presence,
}

impl Hub {
    pub(crate) fn new(limits: Arc<Limits>, metrics: Arc<Metrics>) -> Self {
        Self {
            users: RwLock::default(),
            open: AtomicUsize::new(0),
            interested: Mutex::default(),
            next_number: AtomicU64::new(1),
            limits,
            metrics,
            presence: Presence::default(),
        }
    }

    /// Registers a session. An older session of the same device ends: the newest connection of a device is
    /// the one that works. From here on the session gets news, so what it reads of the store afterwards
    /// and the news together miss nothing.
    /// Also returns the older session, if there was one: nothing of it may be appended after the first send
    /// of the new one, so the newcomer waits until it has finished.
    pub(crate) fn register(&self, newcomer: Newcomer) -> Result<Registered, RegisterError> {
        let Newcomer { user, device, connection, client, connected_at, blocked, number, node, .. } = newcomer;
        let token = (newcomer.issued_at, newcomer.expires_at);
        let tag = DeviceTag::of(&device);
        let metrics = Arc::clone(&self.metrics);
        let mut users = self.users.write();
        let identity =
            SessionIdentity { number, user: user.clone(), device, tag, client, connected_at, node };
        let session = Arc::new(SessionHandle::new(identity, connection, blocked, token, metrics));
        let own = users.get_mut(&user);
        let older = own.and_then(|own| own.iter_mut().find(|older| older.identity.device == device));
        if let Some(older) = older {
            // Of two sessions of one device the one with the higher number is the newer.
            if older.identity.number > number {
                return Err(RegisterError::Overtaken);
            }
            older.end(ErrorCode::SessionReplaced);
            let older = std::mem::replace(older, Arc::clone(&session));
            return Ok(Registered { session, older: Some(older) });
        }
        if users.get(&user).map_or(0, Vec::len) >= self.limits.sessions_per_user_max
            || self.open.load(Ordering::Relaxed) >= self.limits.sessions_max
        {
            return Err(RegisterError::TooManySessions);
        }
        users.entry(user).or_default().push(Arc::clone(&session));
        self.open.fetch_add(1, Ordering::Relaxed);
        self.metrics.sessions.increment(1.0);
        Ok(Registered { session, older: None })
    }

    /// Takes a session off, unless a newer one of the same device took its place.
    pub(crate) fn unregister(&self, session: &Arc<SessionHandle>) {
        self.lose_interest(session);
        let user = &session.identity.user;
        let mut users = self.users.write();
        if let Some(sessions) = users.get_mut(user) {
            let before = sessions.len();
            sessions.retain(|other| !Arc::ptr_eq(other, session));
            if sessions.len() < before {
                self.open.fetch_sub(1, Ordering::Relaxed);
                self.metrics.sessions.decrement(1.0);
            }
            if sessions.is_empty() {
                users.remove(user);
            }
        }
    }

    /// Sessions from here on get numbers from this one on.
    pub(crate) fn number_sessions_from(&self, number: SessionNumber) {
        self.next_number.store(number.get(), Ordering::Release);
    }

    /// The number that the next session gets.
    pub(crate) fn next_session_number(&self) -> SessionNumber {
        SessionNumber::new(self.next_number.load(Ordering::Acquire))
    }

    /// Takes a number for a session that is to be registered.
    pub(crate) fn take_session_number(&self) -> SessionNumber {
        SessionNumber::new(self.next_number.fetch_add(1, Ordering::AcqRel))
    }

    /// Whether the session is registered here.
    pub(crate) fn has(&self, user: &UserId, number: SessionNumber) -> bool {
        self.sessions_of(user).iter().any(|session| session.identity.number == number)
    }

    /// Has every session look for news that it was not told of.
    pub(crate) fn look_for_lost_hints(&self) {
        self.sessions().iter().for_each(|session| session.ask_to_look());
    }

    /// The user's sessions now.
    pub(crate) fn sessions_of(&self, user: &UserId) -> Vec<Arc<SessionHandle>> {
        self.users.read().get(user).cloned().unwrap_or_default()
    }

    /// All sessions, by user.
    pub(crate) fn sessions(&self) -> Vec<Arc<SessionHandle>> {
        self.users.read().values().flatten().cloned().collect()
    }

    /// Ends all sessions of a user; returns how many.
    pub(crate) fn end_sessions_of(&self, user: &UserId, code: ErrorCode) -> usize {
        let sessions = self.sessions_of(user);
        sessions.iter().for_each(|session| session.end(code));
        sessions.len()
    }

    /// Shows those whose clients vanished as offline, and those that were heard again as they are.
    pub(crate) fn sweep(&self, now: TimestampMs) {
        let mut behind = 0;
        for session in self.sessions() {
            self.presence.set(&session, session.presence_now(), now);
            behind += session.lanes_behind();
        }
        self.presence.sweep(now);
        self.metrics.log_lanes_behind.set(f64::from(u32::try_from(behind).unwrap_or(u32::MAX)));
    }

    /// Tells the user's sessions, and what they may show of each other, that a block changed.
    pub(crate) fn set_blocked(&self, user: &UserId, other: &UserId, blocked: bool) {
        for session in self.sessions_of(user) {
            session.set_blocked(other, blocked);
        }
        self.presence.set_blocked(user, other, blocked);
    }
}

impl Hub {
    /// From here on the session hears of this large conversation.
    pub(crate) fn take_interest(&self, session: &Arc<SessionHandle>, conversation: ConversationId) {
        let mut interested = self.interested.lock();
        let number = session.identity.number;
        interested.entry(conversation).or_default().insert(number, Arc::clone(session));
    }

    /// Whether a session here wants to hear of the large conversation.
    pub(crate) fn is_interested(&self, conversation: &ConversationId) -> bool {
        self.interested.lock().contains_key(conversation)
    }

    fn lose_interest(&self, session: &SessionHandle) {
        let mut interested = self.interested.lock();
        for conversation in session.take_interests().into_keys() {
            if let Some(sessions) = interested.get_mut(&conversation) {
                sessions.remove(&session.identity.number);
                if sessions.is_empty() {
                    interested.remove(&conversation);
                }
            }
        }
    }

    /// Shows that a user types to those here who have written in the conversation, and whom no block separates from
    /// this user. `false`: nobody may see it.
    pub(crate) fn show_typing(
        &self,
        conversation: ConversationId,
        roster: &Roster,
        user: &UserId,
        typing: bool,
        blocks: impl Fn(&UserId) -> bool,
    ) -> bool {
        let separated = conversation.kind() == ConversationKind::Direct && roster.any_block();
        if roster.role(user).is_none() || roster.members.len() > FAN_OUT_MEMBERS_MAX || separated {
            return false;
        }
        let typing = Datagram::Typing(Typing {
            conversation_id: conversation,
            user: user.clone(),
            generation: self.presence.next_generation(),
            typing,
            ttl: TYPING_TTL,
        });
        let others = roster.members.iter().filter(|(other, member)| *other != user && member.wrote);
        for (other, _) in others.filter(|(other, _)| !blocks(other)) {
            for session in self.sessions_of(other).iter().filter(|session| !session.blocks(user)) {
                session.send_datagram(&typing);
            }
        }
        true
    }

    /// Tells the sessions of these users, as far as they are here.
    pub(crate) fn tell_users<'u>(
        &self,
        told: impl IntoIterator<Item = &'u UserId>,
        conversation: ConversationId,
        news: News,
    ) {
        let users = self.users.read();
        for session in told.into_iter().filter_map(|user| users.get(user)).flatten() {
            session.tell(conversation, news);
        }
    }

    /// Tells the sessions here that are interested in a large conversation.
    pub(crate) fn tell_interested(&self, conversation: ConversationId, news: News) {
        let interested = self.interested.lock();
        for session in interested.get(&conversation).into_iter().flat_map(BTreeMap::values) {
            session.tell(conversation, news);
        }
    }
}

impl Listeners for Hub {
    fn tell(&self, notice: Notice<'_>) {
        self.tell_users(notice.users, notice.conversation, notice.news);
        if notice.to_interested {
            self.tell_interested(notice.conversation, notice.news);
        }
    }
}
