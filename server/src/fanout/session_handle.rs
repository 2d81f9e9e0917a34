//! What the rest of the server holds of a session: where to leave news, and how to end it.
//!
//! The session's own tasks take the news from here. News about a conversation with an open lane goes to
//! that lane; otherwise the conversation is queued until the session opens one. Both are decided under one
//! lock, so that no news falls between a lane that closes and the next.

mod presence;
mod wishes;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fulmar_protocol::{
    ConversationId, DeviceId, DeviceTag, ErrorCode, PresenceState, Rate, Seq, SessionNumber, SoftwareName,
    TimestampMs, TokenBucket, UserId,
};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::lane_signal::{HEAD, LaneSignal, MARKS, RETIRE, WATCH};
use crate::{
    limits::{
        DATAGRAM_BYTES_BURST, DATAGRAM_BYTES_PER_SECOND, NEWS_PER_SESSION_MAX, UNCONFIRMED_CONVERSATIONS_MAX,
    },
    log::News,
    metrics::Metrics,
    rows::{NodeNumber, SessionKey},
};

/// Who a session is.
#[derive(Clone, Debug)]
pub(crate) struct SessionIdentity {
    pub(crate) number: SessionNumber,
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) tag: DeviceTag,
    /// What the client calls itself.
    pub(crate) client: SoftwareName,
    pub(crate) connected_at: TimestampMs,
    /// In a cluster: the node that it was registered on.
    pub(crate) node: Option<NodeNumber>,
}

impl SessionIdentity {
    /// The session's row, in a cluster.
    pub(crate) fn key(&self) -> Option<SessionKey> {
        Some(SessionKey { device: self.device, number: self.number, node: self.node? })
    }
}

/// How far a conversation was sent to this session, and how far that is confirmed.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    sent: Seq,
    confirmed: Seq,
    /// Where the next lane goes on, if that is past the cursor: `sent`, unless the client gave a lane up.
    resume: Seq,
}

#[derive(Default)]
struct State {
    /// In an order: waking them all is to be the same in every run of a simulation.
    lanes: BTreeMap<ConversationId, Arc<LaneSignal>>,
    news: VecDeque<ConversationId>,
    queued: HashSet<ConversationId>,
    /// There was more news than is remembered: the inbox must be read again.
    overflowed: bool,
    sent: HashMap<ConversationId, Sent>,
    watched: Arc<BTreeSet<ConversationId>>,
    /// Large conversations that it wants to hear of; `true`: and does.
    interests: BTreeMap<ConversationId, bool>,
    blocked: Arc<HashSet<UserId>>,
    /// What the client said of itself.
    presence: Option<PresenceState>,
    /// Packets received when last looked, and when that was last another number.
    packets_received: u64,
    heard_at: Option<Instant>,
    /// Watched users whose state changed and was not shown yet.
    presence_due: BTreeSet<UserId>,
}

/// See the module.
pub(crate) struct SessionHandle {
    pub(crate) identity: SessionIdentity,
    connection: quinn::Connection,
    began: Instant,
    state: Mutex<State>,
    wake: Notify,
    look: Notify,
    ended: CancellationToken,
    end_code: OnceLock<ErrorCode>,
    finished: CancellationToken,
    /// Its client said goodbye: what is still told of its presence is out of date. Under the lock of presence.
    pub(super) gone: AtomicBool,
    datagrams: Mutex<TokenBucket>,
    issued_at_ms: AtomicU64,
    expires_at_ms: AtomicU64,
    metrics: Arc<Metrics>,
}

impl SessionHandle {
    pub(super) fn new(
        identity: SessionIdentity,
        connection: quinn::Connection,
        blocked: HashSet<UserId>,
        (issued_at, expires_at): (TimestampMs, TimestampMs),
        metrics: Arc<Metrics>,
    ) -> Self {
        let state = State { blocked: Arc::new(blocked), ..State::default() };
        Self {
            identity,
            connection,
            began: Instant::now(),
            state: Mutex::new(state),
            wake: Notify::new(),
            look: Notify::new(),
            ended: CancellationToken::new(),
            end_code: OnceLock::new(),
            finished: CancellationToken::new(),
            gone: AtomicBool::new(false),
            datagrams: Mutex::new(TokenBucket::new(Rate::per_second(
                DATAGRAM_BYTES_PER_SECOND,
                DATAGRAM_BYTES_BURST,
            ))),
            issued_at_ms: AtomicU64::new(issued_at.get()),
            expires_at_ms: AtomicU64::new(expires_at.get()),
            metrics,
        }
    }

    pub(crate) fn connection(&self) -> &quinn::Connection {
        &self.connection
    }

    /// When the token in force expires.
    pub(crate) fn expires_at(&self) -> TimestampMs {
        TimestampMs::new(self.expires_at_ms.load(Ordering::Acquire))
    }

    /// When the token in force was issued.
    pub(crate) fn issued_at(&self) -> TimestampMs {
        TimestampMs::new(self.issued_at_ms.load(Ordering::Acquire))
    }

    /// Another token is in force.
    pub(crate) fn set_token(&self, issued_at: TimestampMs, expires_at: TimestampMs) {
        self.issued_at_ms.store(issued_at.get(), Ordering::Release);
        self.expires_at_ms.store(expires_at.get(), Ordering::Release);
    }

    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends the session with this code, as soon as its loop takes notice. The first code counts.
    pub(crate) fn end(&self, code: ErrorCode) {
        let _ = self.end_code.set(code);
        self.ended.cancel();
    }

    /// Resolves when the session is to end. Cancel safe.
    pub(crate) async fn ended(&self) -> ErrorCode {
        self.ended.cancelled().await;
        self.end_code.get().copied().unwrap_or(ErrorCode::NoError)
    }

    /// The session has stopped: none of its lanes submits anything any more.
    pub(crate) fn set_finished(&self) {
        self.finished.cancel();
    }

    /// Resolves when the session has stopped. Cancel safe.
    pub(crate) async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Leaves news. Never waits.
    pub(super) fn tell(&self, conversation: ConversationId, news: News) {
        let mut state = self.state.lock();
        if let Some(lane) = state.lanes.get(&conversation) {
            lane.raise(match news {
                News::Head => HEAD,
                News::Marks => MARKS,
            });
            return;
        }
        self.queue(&mut state, conversation);
    }

    /// Leaves news again of a conversation of which this session does not know all. `false`: it is about to.
    pub(crate) fn tell_again(&self, conversation: ConversationId) -> bool {
        let mut state = self.state.lock();
        if let Some(lane) = state.lanes.get(&conversation) {
            let lost = lane.is_caught_up() && !lane.has_unseen(HEAD);
            lane.raise(HEAD);
            return lost;
        }
        let lost = !state.queued.contains(&conversation);
        self.queue(&mut state, conversation);
        lost
    }

    /// Has every open lane look for marks that moved.
    pub(crate) fn tell_of_marks_again(&self) {
        self.state.lock().lanes.values().for_each(|lane| lane.raise(MARKS));
    }

    fn queue(&self, state: &mut State, conversation: ConversationId) {
        if state.queued.contains(&conversation) {
            return;
        }
        if state.news.len() >= NEWS_PER_SESSION_MAX {
            state.overflowed = true;
        } else {
            state.news.push_back(conversation);
            state.queued.insert(conversation);
        }
        self.wake.notify_one();
    }

    /// Waits until there may be news. Cancel safe.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Has the session look for news that no hint told it of.
    pub(super) fn ask_to_look(&self) {
        self.look.notify_one();
    }

    /// Waits until the session is asked to look. Cancel safe.
    pub(crate) async fn asked_to_look(&self) {
        self.look.notified().await;
    }

    /// Opens the lane of the next conversation with news, if there is one and the bounds allow it.
    pub(crate) fn next_news(&self, lanes_max: usize) -> Option<(ConversationId, Arc<LaneSignal>)> {
        let mut state = self.state.lock();
        if !has_room(&state, lanes_max) {
            if !state.news.is_empty() {
                retire_one(&state);
            }
            return None;
        }
        let conversation = state.news.pop_front()?;
        state.queued.remove(&conversation);
        Some((conversation, open(&mut state, conversation)))
    }

    /// Opens a lane for a conversation with a backlog, unless it has one or the bounds forbid it.
    pub(crate) fn open_backlog_lane(
        &self,
        conversation: ConversationId,
        lanes_max: usize,
    ) -> Option<Arc<LaneSignal>> {
        let mut state = self.state.lock();
        if state.lanes.contains_key(&conversation) || !has_room(&state, lanes_max) {
            return None;
        }
        Some(open(&mut state, conversation))
    }

    /// Whether another lane may carry a backlog.
    pub(crate) fn has_backlog_room(&self, backlog_lanes_max: usize, lanes_max: usize) -> bool {
        has_room(&self.state.lock(), lanes_max) && self.lanes_behind() < backlog_lanes_max
    }

    /// A lane has reached the head: another one may carry a backlog.
    pub(crate) fn caught_up(&self, lane: &LaneSignal) {
        lane.set_caught_up();
        self.wake.notify_one();
    }

    /// Asks an idle lane to end, where a backlog waits and all lanes are in use.
    pub(crate) fn make_room_for_backlog(&self, backlog_lanes_max: usize, lanes_max: usize) {
        let full = self.state.lock().lanes.len() >= lanes_max;
        if full && self.lanes_behind() < backlog_lanes_max {
            retire_one(&self.state.lock());
        }
    }

    /// Takes a lane off the list. News that it has not seen opens another.
    pub(crate) fn close_lane(&self, conversation: ConversationId) {
        let mut state = self.state.lock();
        let unseen = state.lanes.get(&conversation).is_some_and(|lane| lane.has_unseen(HEAD | MARKS | WATCH));
        state.lanes.remove(&conversation);
        if state.sent.get(&conversation).is_some_and(|sent| sent.confirmed >= sent.sent) {
            state.sent.remove(&conversation);
        }
        if unseen {
            self.queue(&mut state, conversation);
        }
        // There is room now for what waits.
        self.wake.notify_one();
    }

    /// Whether news was dropped since this was last asked.
    pub(crate) fn take_overflow(&self) -> bool {
        std::mem::take(&mut self.state.lock().overflowed)
    }

    /// How many open lanes have a backlog.
    pub(crate) fn lanes_behind(&self) -> usize {
        let state = self.state.lock();
        state.lanes.values().filter(|lane| !lane.is_caught_up()).count()
    }

    /// Notes that the conversation was sent up to `seq`.
    pub(crate) fn set_sent(&self, conversation: ConversationId, seq: Seq) {
        let mut state = self.state.lock();
        let sent = state.sent.entry(conversation).or_default();
        sent.sent = sent.sent.max(seq);
        sent.resume = seq;
    }

    /// The client gave a lane up, and may lack what was on its way: the next one starts at the cursor. What
    /// did arrive can still be confirmed.
    pub(crate) fn start_at_cursor(&self, conversation: &ConversationId) {
        if let Some(sent) = self.state.lock().sent.get_mut(conversation) {
            sent.resume = Seq::ZERO;
        }
    }

    /// Where the next lane of the conversation goes on, if that is past the cursor.
    pub(crate) fn resume_after(&self, conversation: &ConversationId) -> Seq {
        self.state.lock().sent.get(conversation).map_or(Seq::ZERO, |sent| sent.resume)
    }

    /// How far the conversation was sent to this session.
    pub(crate) fn sent(&self, conversation: &ConversationId) -> Seq {
        self.state.lock().sent.get(conversation).map_or(Seq::ZERO, |sent| sent.sent)
    }

    /// Whether the client has confirmed the conversation up to `seq`, of what this session sent.
    pub(crate) fn is_confirmed(&self, conversation: &ConversationId, seq: Seq) -> bool {
        self.state.lock().sent.get(conversation).is_none_or(|sent| sent.confirmed >= seq)
    }

    /// Notes that a cursor is durable.
    pub(crate) fn set_confirmed(&self, conversation: ConversationId, seq: Seq) {
        let mut state = self.state.lock();
        let open = state.lanes.contains_key(&conversation);
        if let Some(sent) = state.sent.get_mut(&conversation) {
            sent.confirmed = sent.confirmed.max(seq);
            if sent.confirmed >= sent.sent && !open {
                state.sent.remove(&conversation);
                self.wake.notify_one();
            }
        }
    }
}

fn has_room(state: &State, lanes_max: usize) -> bool {
    state.lanes.len() < lanes_max && state.sent.len() < UNCONFIRMED_CONVERSATIONS_MAX
}

fn open(state: &mut State, conversation: ConversationId) -> Arc<LaneSignal> {
    let signal = Arc::new(LaneSignal::default());
    state.lanes.insert(conversation, Arc::clone(&signal));
    signal
}

/// Asks the lane that was idle for longest to make room.
fn retire_one(state: &State) {
    let idle = state
        .lanes
        .iter()
        .filter(|(id, lane)| lane.is_caught_up() && !lane.has_unseen(u8::MAX) && !state.watched.contains(*id))
        .min_by_key(|(_, lane)| lane.active_at_ms());
    if let Some((_, lane)) = idle {
        lane.raise(RETIRE);
    }
}
