//! Hedged delivery (FUL-HEDGE): on a lossy path, copies of small entries and sends in datagrams.
//!
//! **Down.** A log lane that has written a live entry to its stream offers it here. If the path is lossy, a
//! copy waits in the session's one queue until its stream copy has left in a packet of its own, and the
//! session's loop sends it, if the budget has room and the client has not confirmed the entry meanwhile.
//!
//! **Up.** A hedged send goes to the log like one of a send lane, after the same checks; but it gets no answer,
//! since its copy on the lane does, and what a lane would refuse is dropped without a word.
//!
//! Why no schedule of the copies appends a send twice or in another order: the log appends a number only when
//! it is the one expected, and its row lasts longer than every copy. So all depends on a number standing for
//! one content, as [`SendOrder`] says; and on these three:
//!
//! - A hedge is looked at, and queued in the log, under one lock, which a lane's send passes before it is
//!   queued. So a hedge stands in the log's queue before its stream copy, or is not taken.
//! - A hedge shares the lane's [`LaneState`]: after `client_seq_reused` neither appends anything more, whichever
//!   of them found it.
//! - A session that replaces another waits until that one's loop has stopped: whatever hedge the old one
//!   queued stands before the new one's sends. Lanes in early data do not wait; they carry no send that was
//!   numbered anew (see `opening`), so an older session's hedges say nothing that contradicts them.
//!
//! Bounds: `HEDGES_WAITING_MAX` copies wait, the oldest gives way; the order of `SEND_ORDERS_MAX` conversations
//! is kept, hedged sends to others are dropped; the budget bounds bytes, the datagram rate what is read.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use fulmar_protocol::{
    BodyHash, ClientSeq, Content, ConversationId, Datagram, ErrorCode, Extensions, HedgeBudget, HedgeQueue,
    HedgedEntry, HedgedSend, LossEstimate, SendOpen, SendOrder, Seq, decode_entry_frame, hedge_delay,
    limits::{DATAGRAM_BYTES_MAX, HEDGED_FRAME_BYTES_MAX},
};
use fulmar_transport::has_room;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

use super::{End, Session};
use crate::{
    fanout::SessionHandle,
    limits::{HEDGES_WAITING_MAX, SEND_ORDERS_MAX, UNANSWERED_BYTES_PER_SESSION_MAX},
    log::{LaneState, PendingSend, SendRequest, Sender},
    metrics::{HedgeDrop, Metrics},
};

/// The extensions that this server knows.
pub(super) const EXTENSIONS: Extensions = Extensions::HEDGING;

/// A copy that waits.
struct Copy {
    conversation: ConversationId,
    seq: Seq,
    /// The entry as it stands in the store.
    frame: Bytes,
}

struct Down {
    queue: HedgeQueue<Copy>,
    loss: LossEstimate,
    budget: HedgeBudget,
}

/// What the lanes and the loop of one session share.
pub(super) struct Hedging {
    /// Nothing until Hello was read.
    extensions: OnceLock<Extensions>,
    began: Instant,
    down: Mutex<Down>,
    queued: Notify,
    up: Mutex<HashMap<ConversationId, Arc<OrderedSends>>>,
    metrics: Arc<Metrics>,
}

/// One conversation's sends in a session, by lane and by datagram.
#[derive(Default)]
pub(super) struct OrderedSends(Mutex<Ordered>);

#[derive(Default)]
struct Ordered {
    order: SendOrder,
    lane: Arc<LaneState>,
    /// The start of the conversation was counted.
    start_counted: bool,
}

impl OrderedSends {
    /// The state that a lane which opens now shares with the hedges. One that comes after hedges are taken no
    /// more begins anew.
    pub(super) fn lane_state(&self) -> Arc<LaneState> {
        let mut ordered = self.0.lock();
        if ordered.order.is_closed() {
            ordered.lane = Arc::default();
        }
        Arc::clone(&ordered.lane)
    }

    /// A send came on the lane: whether it was counted as a hedge already.
    pub(super) fn pass(&self, client_seq: ClientSeq) -> bool {
        self.0.lock().order.handle_lane_send(client_seq)
    }

    pub(super) fn is_start_counted(&self) -> bool {
        self.0.lock().start_counted
    }

    pub(super) fn refused(&self, code: ErrorCode) {
        self.0.lock().order.handle_refusal(code);
    }

    pub(super) fn close(&self) {
        self.0.lock().order.close();
    }
}

impl Hedging {
    pub(super) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        let down = Down {
            queue: HedgeQueue::new(HEDGES_WAITING_MAX),
            loss: LossEstimate::new(),
            budget: HedgeBudget::new(),
        };
        Arc::new(Self {
            extensions: OnceLock::new(),
            began: Instant::now(),
            down: Mutex::new(down),
            queued: Notify::new(),
            up: Mutex::default(),
            metrics,
        })
    }

    /// Hello says what the client knows.
    pub(super) fn agree(&self, asked: Extensions) {
        let _ = self.extensions.set(asked.and(EXTENSIONS));
    }

    /// What is in force for the session.
    pub(super) fn extensions(&self) -> Extensions {
        self.extensions.get().copied().unwrap_or_default()
    }

    fn is_in_force(&self) -> bool {
        self.extensions().contains(Extensions::HEDGING)
    }

    /// Whether an entry of this length may be hedged at all.
    pub(super) fn takes(&self, frame_bytes: usize) -> bool {
        self.is_in_force() && frame_bytes <= HEDGED_FRAME_BYTES_MAX
    }

    /// A live entry was written to its lane's stream.
    pub(super) fn offer(
        &self,
        connection: &quinn::Connection,
        conversation: ConversationId,
        seq: Seq,
        frame: Bytes,
    ) {
        let now = self.began.elapsed();
        let stats = connection.stats();
        let mut down = self.down.lock();
        down.loss.handle_counts(stats.path.sent_packets, stats.path.lost_packets, now);
        down.budget.handle_sent(stats.udp_tx.bytes);
        if !down.loss.is_lossy() {
            return;
        }
        let due = now.saturating_add(hedge_delay(stats.path.rtt));
        if down.queue.push(Copy { conversation, seq, frame }, due).is_some() {
            self.metrics.hedge_dropped(HedgeDrop::Queue);
        }
        self.queued.notify_one();
    }

    /// Waits until a copy is due. Cancel safe.
    pub(super) async fn due(&self) {
        loop {
            let due = self.down.lock().queue.next_due();
            match due {
                Some(due) => return sleep_until(self.began + due).await,
                None => self.queued.notified().await,
            }
        }
    }

    /// Sends the copies that are due.
    pub(super) fn send_due(&self, session: &SessionHandle) {
        let stats = session.connection().stats();
        let mut down = self.down.lock();
        down.budget.handle_sent(stats.udp_tx.bytes);
        while let Some(copy) = down.queue.pop_due(self.began.elapsed()) {
            if session.is_confirmed(&copy.conversation, copy.seq) {
                self.metrics.hedge_dropped(HedgeDrop::Confirmed);
                continue;
            }
            let Ok(entry) = decode_entry_frame(&copy.frame) else { continue };
            let hedged = HedgedEntry { conversation_id: copy.conversation, entry };
            let datagram = Datagram::HedgedEntry(hedged).encode();
            if !has_room(session.connection(), datagram.len()) {
                self.metrics.hedge_dropped(HedgeDrop::Window);
            } else if datagram.len() > DATAGRAM_BYTES_MAX || !down.budget.take(datagram.len()) {
                self.metrics.hedge_dropped(HedgeDrop::Budget);
            } else if session.connection().send_datagram(datagram).is_ok() {
                self.metrics.hedges_sent.increment(1);
            } else {
                // The client takes no datagrams, the path's packets are too small, or the connection is gone.
                self.metrics.hedge_dropped(HedgeDrop::Path);
            }
        }
    }

    /// One conversation's sends, by either way. `None`: no hedges are taken for it.
    pub(super) fn sends_of(&self, conversation: ConversationId) -> Option<Arc<OrderedSends>> {
        if !self.is_in_force() {
            return None;
        }
        let mut up = self.up.lock();
        if up.len() >= SEND_ORDERS_MAX && !up.contains_key(&conversation) {
            return None;
        }
        Some(Arc::clone(up.entry(conversation).or_default()))
    }
}

impl Session {
    /// Takes a hedged send, or drops it.
    pub(super) async fn hedged_send(&mut self, hedged: HedgedSend) -> Result<(), End> {
        self.shared.metrics.hedges_received.increment(1);
        match self.take_hedge(hedged).await {
            Ok(()) => self.shared.metrics.hedges_taken.increment(1),
            Err(cause) => self.shared.metrics.hedge_dropped(cause),
        }
        Ok(())
    }

    async fn take_hedge(&mut self, hedged: HedgedSend) -> Result<(), HedgeDrop> {
        let HedgedSend { conversation_id: id, peer, client_seq, content, first_unanswered } = hedged;
        if !self.hedging.is_in_force() {
            return Err(HedgeDrop::NotInForce);
        }
        let identity = &self.handle.identity;
        let open = SendOpen { conversation_id: id, peer };
        if open.peer.is_some() && !open.names_its_peer(&identity.user) {
            return Err(HedgeDrop::Refused);
        }
        let sends = self.hedging.sends_of(id).ok_or(HedgeDrop::Refused)?;
        if !sends.0.lock().order.accepts(client_seq, first_unanswered) {
            return Err(HedgeDrop::Order);
        }
        let size = content.len().clamp(1, UNANSWERED_BYTES_PER_SESSION_MAX);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.unanswered).try_acquire_many_owned(size);
        let room = room.map_err(|_| HedgeDrop::Rate)?;
        let starts = matches!(self.shared.log.head(&id).await, Ok(None));
        let request = SendRequest {
            sender: Sender { user: identity.user.clone(), device: identity.device, tag: identity.tag },
            client_seq,
            hash: BodyHash::of(&content),
            parsed: Content::decode(&content).map_err(|error| error.code()),
            content,
            peer: open.peer,
            lane: Arc::default(),
            early: false,
        };
        let conversation = self.shared.log.conversation(id);
        // From here on nothing of the lane comes between.
        let mut ordered = sends.0.lock();
        if !ordered.order.accepts(client_seq, first_unanswered) {
            return Err(HedgeDrop::Order);
        }
        let rates = &self.shared.rates;
        rates.send(&identity.user).map_err(|_: Duration| HedgeDrop::Rate)?;
        if starts && !ordered.start_counted {
            rates.start_conversation(&identity.user).map_err(|_: Duration| HedgeDrop::Rate)?;
            ordered.start_counted = true;
        }
        ordered.order.handle_hedge(client_seq);
        let request = SendRequest { lane: Arc::clone(&ordered.lane), ..request };
        // The answer is the stream copy's.
        let (answer, _) = oneshot::channel();
        self.shared.log.submit(&conversation, PendingSend { request, answer, _room: room });
        Ok(())
    }
}
