//! Presence and typing, by datagram, both ways. Nothing of it is stored, and any of it may be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fulmar_protocol::limits::{DATAGRAMS_PER_SECOND_MAX, PRESENCE_RENEW, TYPING_RENEW, TYPING_TTL};
use fulmar_protocol::{
    Applied, ConversationId, Datagram, Generation, LatestWins, PresenceState, PresenceUpdate, Rate,
    TimestampMs, TokenBucket, TypingState, TypingUpdate, UserId, encode_grease_datagram,
};
use tokio::time::Instant;

use crate::driver::Driver;
use crate::event::Event;
use crate::limits::{PRESENCES_MAX, TYPING_CONVERSATIONS_MAX};

/// Presence and typing.
pub(super) struct Ephemeral {
    /// This user's, as the app has set it; nothing is said before it has.
    own: Option<PresenceState>,
    renew_at: Option<Instant>,
    generation: u64,
    /// Where this user types, and when the server was last told.
    typing: BTreeMap<ConversationId, Instant>,
    bucket: TokenBucket,
    others: LatestWins<UserId, (PresenceState, Option<TimestampMs>)>,
    others_typing: TypingState,
    /// Whom the app was told of as typing, and not yet that it ended. No more than `others_typing` holds.
    shown_typing: BTreeSet<(ConversationId, UserId)>,
}

impl Ephemeral {
    pub(super) fn new() -> Self {
        let rate = u32::try_from(DATAGRAMS_PER_SECOND_MAX).unwrap_or(1);
        Self {
            own: None,
            renew_at: None,
            generation: 0,
            typing: BTreeMap::new(),
            bucket: TokenBucket::new(Rate::per_second(rate, rate)),
            others: LatestWins::new(PRESENCES_MAX),
            others_typing: LatestWins::new(PRESENCES_MAX),
            shown_typing: BTreeSet::new(),
        }
    }

    /// Counts a datagram, if the server would still take one.
    pub(super) fn may_send_datagram(&mut self, now: Duration) -> bool {
        self.bucket.take(1, now).is_ok()
    }

    fn next_generation(&mut self) -> Generation {
        self.generation = self.generation.saturating_add(1);
        Generation::new(self.generation)
    }
}

impl Driver {
    pub(super) fn set_presence(&mut self, state: PresenceState) {
        self.ephemeral.own = Some(state);
        self.ephemeral.renew_at = Some(self.now);
    }

    /// What is told of this user. In the background: away, whatever the app has set.
    fn own_presence(&self) -> Option<PresenceState> {
        if self.is_in_front() { self.ephemeral.own } else { Some(PresenceState::Away) }
    }

    /// The app is in the foreground again. A session that is still open may have told otherwise.
    pub(super) fn presence_in_front(&mut self) {
        self.ephemeral.renew_at = self.ephemeral.own.map(|_| self.now);
        if self.ephemeral.own.is_none() && self.phase.session().is_some() {
            let (generation, state) = (self.ephemeral.next_generation(), PresenceState::Online);
            self.send_datagram(&Datagram::PresenceUpdate(PresenceUpdate { generation, state }));
        }
    }

    /// A session begins: the server knows nothing of this user's presence, and counts its generations anew.
    pub(super) fn presence_after_connect(&mut self) {
        self.ephemeral.renew_at = self.own_presence().map(|_| self.now);
        let nth = u32::try_from(self.rng.below(1_000)).unwrap_or(0);
        if let Some(session) = self.phase.session() {
            // It means nothing, and keeps servers able to pass over what they do not know.
            let _ = session.connection.send_datagram(encode_grease_datagram(nth, b"grease"));
        }
    }

    /// The session is gone. What the others said holds until its time is over.
    pub(super) fn presence_lost(&mut self) {
        self.ephemeral.renew_at = None;
        self.ephemeral.typing.clear();
        // The next session's generations begin anew; what is known now is told as ended.
        self.forget_others(None);
    }

    /// The user types, or stopped. Told to the server no more often than it needs.
    pub(super) fn typing(&mut self, conversation: ConversationId, typing: bool) {
        let now = self.now;
        let told = self.ephemeral.typing.get(&conversation).copied();
        let needed = match (typing, told) {
            (true, Some(told)) => now.saturating_duration_since(told) >= TYPING_RENEW,
            (true, None) => true,
            (false, Some(told)) => now.saturating_duration_since(told) < TYPING_TTL,
            (false, None) => false,
        };
        if !needed || self.phase.session().is_none() {
            return;
        }
        self.ephemeral.typing.retain(|_, told| now.saturating_duration_since(*told) < TYPING_TTL);
        if !typing {
            self.ephemeral.typing.remove(&conversation);
        } else if self.ephemeral.typing.len() < TYPING_CONVERSATIONS_MAX {
            self.ephemeral.typing.insert(conversation, now);
        }
        let generation = self.ephemeral.next_generation();
        let update = TypingUpdate { conversation_id: conversation, generation, typing };
        self.send_datagram(&Datagram::TypingUpdate(update));
    }

    /// A message ends typing without a word of its own.
    pub(super) fn typing_ended_by_send(&mut self, conversation: ConversationId) {
        self.ephemeral.typing.remove(&conversation);
    }

    /// An entry of somebody ends their typing there.
    pub(super) fn typing_ended_by_entry(&mut self, conversation: ConversationId, user: &UserId) {
        if !self.ephemeral.shown_typing.is_empty() {
            self.show_typing(conversation, user.clone(), false);
        }
    }

    fn show_typing(&mut self, conversation: ConversationId, user: UserId, typing: bool) {
        let shown = &mut self.ephemeral.shown_typing;
        let key = (conversation, user.clone());
        let news = if typing { shown.insert(key) } else { shown.remove(&key) };
        if news {
            self.events.push_if_room(Event::Typing { conversation, user, typing });
        }
    }

    fn send_datagram(&mut self, datagram: &Datagram) {
        let now = self.clock.elapsed(self.now);
        if !self.ephemeral.may_send_datagram(now) {
            return;
        }
        if let Some(session) = self.phase.session() {
            // Too large or not supported: presence is not worth a connection.
            let _ = session.connection.send_datagram(datagram.encode());
        }
    }

    pub(super) fn handle_datagram(&mut self, datagram: Datagram) {
        let now = self.clock.elapsed(self.now);
        match datagram {
            Datagram::Presence(presence) => {
                let value = (presence.state, presence.last_seen);
                let user = presence.user.clone();
                let ttl = presence.ttl.min(TTL_MAX);
                if self.ephemeral.others.apply(user, presence.generation, value, ttl, now) == Applied::Changed
                {
                    let (user, state, last_seen) = (presence.user, presence.state, presence.last_seen);
                    self.events.push_if_room(Event::Presence { user, state, last_seen });
                }
            }
            Datagram::Typing(told) => {
                let key = (told.conversation_id, told.user.clone());
                let ttl = told.ttl.min(TTL_MAX);
                let applied = self.ephemeral.others_typing.apply(key, told.generation, told.typing, ttl, now);
                if applied != Applied::Stale {
                    self.bound_shown_typing(now);
                    self.show_typing(told.conversation_id, told.user, told.typing);
                }
            }
            // Readers pass on a server's datagrams only.
            Datagram::PresenceUpdate(_) | Datagram::TypingUpdate(_) | Datagram::HedgedSend(_) => {}
            Datagram::HedgedEntry(hedged) => self.take_hedged_entry(hedged),
        }
    }

    /// Renews what is to be renewed, and tells of what has ended.
    pub(super) fn pump_presence(&mut self) {
        let now = self.clock.elapsed(self.now);
        if self.ephemeral.others.next_expiry().is_some_and(|at| at <= now)
            || self.ephemeral.others_typing.next_expiry().is_some_and(|at| at <= now)
        {
            self.forget_others(Some(now));
        }
        if let (Some(state), Some(at)) = (self.own_presence(), self.ephemeral.renew_at)
            && at <= self.now
            && self.phase.session().is_some()
        {
            self.ephemeral.renew_at = Some(self.now + PRESENCE_RENEW);
            let generation = self.ephemeral.next_generation();
            self.send_datagram(&Datagram::PresenceUpdate(PresenceUpdate { generation, state }));
        }
    }

    /// Tells of those states that have ended by `now`, or of all.
    fn forget_others(&mut self, now: Option<Duration>) {
        let until = now.unwrap_or(Duration::MAX);
        for (user, (state, _)) in self.ephemeral.others.expire(until) {
            if state != PresenceState::Offline {
                let state = PresenceState::Offline;
                self.events.push_if_room(Event::Presence { user, state, last_seen: None });
            }
        }
        for ((conversation, user), _) in self.ephemeral.others_typing.expire(until) {
            self.show_typing(conversation, user, false);
        }
    }

    /// Those whose state had to make room for others are shown no longer.
    fn bound_shown_typing(&mut self, now: Duration) {
        let Ephemeral { shown_typing, others_typing, .. } = &mut self.ephemeral;
        if shown_typing.len() >= PRESENCES_MAX {
            shown_typing.retain(|key| others_typing.get(key, now).copied().unwrap_or(false));
        }
    }

    /// When there is something to do here.
    pub(super) fn presence_due(&self) -> Option<Instant> {
        let renew_at = self.ephemeral.renew_at.filter(|_| self.phase.session().is_some());
        let expiries = [self.ephemeral.others.next_expiry(), self.ephemeral.others_typing.next_expiry()];
        let expiry = expiries.into_iter().flatten().min().map(|at| self.clock.instant(at));
        renew_at.into_iter().chain(expiry).min()
    }
}

/// No state of another user is believed for longer.
const TTL_MAX: Duration = Duration::from_secs(600);
