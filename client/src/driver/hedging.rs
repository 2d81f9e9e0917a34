//! Hedged delivery (FUL-HEDGE): on a lossy path, copies of small sends go in datagrams too, and entries are
//! taken from datagrams.
//!
//! A copy is only ever made of what was written to a send lane of this session after Welcome, and only while
//! its number stands for that content: a conversation in which a send was refused, a lane was cut off, or
//! numbers changed sends no copies any more in that session. So no copy can be under way when its number is
//! given to something else.
//!
//! An entry from a datagram is taken if it is the very next of its conversation, one that this client has had
//! a lane of, and if there is room for its event. All others come by their lanes; that is what lanes are for.
//!
//! Bounds: `HEDGES_WAITING_MAX` copies wait, the oldest gives way; the budget bounds bytes, the datagram rate
//! how many; each conversation has at most `HedgedEntries::ENTRIES_MAX` entries that its lane still owes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use fulmar_protocol::limits::{DATAGRAM_BYTES_MAX, HEDGED_FRAME_BYTES_MAX};
use fulmar_protocol::{
    ClientSeq, ConversationId, Datagram, DeviceTag, Entry, Extensions, Frame, HedgeBudget, HedgeQueue,
    HedgedEntries, HedgedEntry, HedgedSend, LossEstimate, Send, Seq, SeqRange, hedge_delay,
};
use fulmar_transport::has_room;
use quinn::ConnectionStats;
use tokio::time::Instant;

use crate::driver::Driver;
use crate::driver::sending::Breach;
use crate::limits::HEDGES_WAITING_MAX;

/// A copy that waits.
struct Copy {
    conversation: ConversationId,
    client_seq: ClientSeq,
    content: Bytes,
}

/// What a session knows of its hedges.
pub(super) struct Hedging {
    extensions: Extensions,
    queue: HedgeQueue<Copy>,
    budget: HedgeBudget,
    /// Conversations of which no copies are sent any more.
    stopped: HashSet<ConversationId>,
    /// Entries that were taken and that their lanes still owe; conversations without any are not in it.
    taken: HashMap<ConversationId, HedgedEntries>,
    counts: Counts,
}

/// For the log, when the session ends.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    sent: u64,
    not_sent: u64,
    taken: u64,
    not_taken: u64,
}

impl Hedging {
    /// `in_force`: what Welcome says, of what was asked for.
    pub(super) fn new(in_force: Extensions) -> Self {
        Self {
            extensions: in_force,
            queue: HedgeQueue::new(HEDGES_WAITING_MAX),
            budget: HedgeBudget::new(),
            stopped: HashSet::new(),
            taken: HashMap::new(),
            counts: Counts::default(),
        }
    }

    pub(super) fn is_in_force(&self) -> bool {
        self.extensions.contains(Extensions::HEDGING)
    }

    /// Numbers of the conversation may come to stand for other contents: no copies of its sends any more.
    pub(super) fn stop(&mut self, id: ConversationId) {
        if self.is_in_force() && self.stopped.insert(id) {
            self.queue.retain(|copy| copy.conversation != id);
        }
    }

    /// The lane of a conversation has ended: what it owes it will not bring any more.
    pub(super) fn lane_ended(&mut self, id: ConversationId) {
        self.taken.remove(&id);
    }

    /// A lane brings an entry that the app was handed before.
    pub(super) fn check_entry(&mut self, id: ConversationId, entry: &Entry) -> Result<(), Breach> {
        let Some(taken) = self.taken.get_mut(&id) else { return Ok(()) };
        let checked = taken.handle_entry(entry);
        if taken.is_empty() {
            self.taken.remove(&id);
        }
        checked.map_err(|error| (error.code(), error.to_string()))
    }

    /// A lane accounts for a range without bringing the entries of other devices.
    pub(super) fn check_range(&mut self, id: ConversationId, range: Option<SeqRange>) -> Result<(), Breach> {
        let (Some(taken), Some(range)) = (self.taken.get_mut(&id), range) else { return Ok(()) };
        let checked = taken.handle_range(range);
        if taken.is_empty() {
            self.taken.remove(&id);
        }
        checked.map_err(|error| (error.code(), error.to_string()))
    }

    /// What became of the hedges, for the log.
    pub(super) fn tell(&self) {
        if self.is_in_force() {
            tracing::debug!(counts = ?self.counts, "hedges of the session");
        }
    }
}

/// Takes in what the connection counted.
fn count(loss: &mut LossEstimate, budget: &mut HedgeBudget, stats: &ConnectionStats, now: Duration) {
    loss.handle_counts(stats.path.sent_packets, stats.path.lost_packets, now);
    budget.handle_sent(stats.udp_tx.bytes);
}

impl Driver {
    /// A session begins: its connection counts anew.
    pub(super) fn hedging_after_connect(&mut self) {
        self.loss = self.loss.carry_over();
    }

    /// Sends were written to a lane. Copies of the small ones follow, where that is worth their bytes.
    pub(super) fn plan_hedges(&mut self, id: ConversationId, sends: Vec<Send>) {
        let now = self.clock.elapsed(self.now);
        let Some(session) = self.phase.session_mut() else { return };
        let hedging = &mut session.hedging;
        if sends.is_empty() || hedging.stopped.contains(&id) {
            return;
        }
        let stats = session.connection.stats();
        count(&mut self.loss, &mut hedging.budget, &stats, now);
        if !self.loss.is_lossy() {
            return;
        }
        let due = now.saturating_add(hedge_delay(stats.path.rtt));
        for Send { client_seq, content } in sends {
            let copy = Copy { conversation: id, client_seq, content };
            hedging.counts.not_sent += u64::from(hedging.queue.push(copy, due).is_some());
        }
    }

    /// Sends the copies that are due.
    pub(super) fn pump_hedges(&mut self) {
        let now = self.clock.elapsed(self.now);
        let Some(session) = self.phase.session_mut() else { return };
        let hedging = &mut session.hedging;
        if hedging.queue.next_due().is_none_or(|due| due > now) {
            return;
        }
        count(&mut self.loss, &mut hedging.budget, &session.connection.stats(), now);
        while let Some(Copy { conversation, client_seq, content }) = hedging.queue.pop_due(now) {
            let Some(tracked) = self.conversations.get(conversation) else { continue };
            // Answered meanwhile.
            if tracked.unanswered(client_seq).as_ref() != Some(&content) {
                continue;
            }
            let datagram = Datagram::HedgedSend(HedgedSend {
                conversation_id: conversation,
                peer: tracked.peer.clone(),
                client_seq,
                content,
                first_unanswered: tracked.outbox.lowest_unanswered(),
            });
            let bytes = datagram.encode();
            let sent = bytes.len() <= DATAGRAM_BYTES_MAX
                && has_room(&session.connection, bytes.len())
                && hedging.budget.take(bytes.len())
                && self.ephemeral.may_send_datagram(now)
                && session.connection.send_datagram(bytes).is_ok();
            if sent {
                hedging.counts.sent += 1;
            } else {
                hedging.counts.not_sent += 1;
            }
        }
    }

    /// When there is something to do here.
    pub(super) fn hedges_due(&self) -> Option<Instant> {
        let due = self.phase.session()?.hedging.queue.next_due()?;
        Some(self.clock.instant(due))
    }

    /// An entry came in a datagram.
    pub(super) fn take_hedged_entry(&mut self, hedged: HedgedEntry) {
        let taken = self.deliver_hedged(hedged);
        if let Some(session) = self.phase.session_mut() {
            let counts = &mut session.hedging.counts;
            if taken.is_some() {
                counts.taken += 1;
            } else {
                counts.not_taken += 1;
            }
        }
    }

    /// Hands it to the app if it is the next one; `None` if not.
    fn deliver_hedged(&mut self, hedged: HedgedEntry) -> Option<()> {
        let HedgedEntry { conversation_id: id, entry } = hedged;
        let own_tag = DeviceTag::of(&self.device);
        let from_this_device = self.user.as_ref() == Some(&entry.sender) && entry.device_tag == own_tag;
        let session = self.phase.session_mut()?;
        let tracked = self.conversations.get(id)?;
        // A lane has told how the conversation stands; what unread counts begin from is known then.
        let is_known = tracked.progress.head_seq() > Seq::ZERO;
        let is_next = tracked.had?.next() == entry.seq;
        if !session.hedging.is_in_force() || from_this_device || !is_known || !is_next {
            return None;
        }
        if session.hedging.taken.get(&id).is_some_and(|taken| !taken.has_room()) {
            return None;
        }
        let room = self.events.room().try_take()?;
        if let Some(lane) = tracked.lane.and_then(|number| session.lanes.get_mut(&number))
            && let Some(receiver) = lane.receiver.as_mut()
            && !receiver.handle_hedged(entry.seq)
        {
            return None;
        }
        session.hedging.taken.entry(id).or_default().handle_taken(&entry);
        self.deliver(id, entry, false, &room);
        Some(())
    }
}

/// The sends of which copies may go in datagrams.
pub(super) fn copies(frames: &[Frame]) -> Vec<Send> {
    let small = |frame: &Frame| match frame {
        Frame::Send(send) if frame.to_bytes().len() <= HEDGED_FRAME_BYTES_MAX => Some(send.clone()),
        _ => None,
    };
    frames.iter().filter_map(small).collect()
}
