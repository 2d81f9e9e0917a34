//! A log lane: one conversation's log to one device, from its cursor on.
//!
//! The lane is a cursor that reads: it takes what stands behind its position, from memory or the store,
//! writes it, and waits to be told that there is more. QUIC's flow control is its back-pressure; it holds
//! at most one read of about `READ_AHEAD_BYTES_MAX`. Every seq is accounted for, in order: as an entry,
//! as this device's own, or in a hole.
//!
//! What it may send is decided by the user's membership, which it reads again whenever the roster changed;
//! a head that it sees is never newer than the membership it goes by.

use std::{collections::HashMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use fulmar_protocol::{
    CaughtUp, ConversationId, ErrorCode, Frame, Hole, HoleReason, LaneOpen, Marks, OwnEntry, ReadState, Seq,
    SeqRange, UserId, UserMarks,
};
use quinn::SendStream;
use tokio::time::{Instant, sleep_until};

use super::{End, Shared, backlog::Backlog, hedging::Hedging, read_ahead::ReadAhead};
use crate::{
    fanout::{LaneSignal, SessionHandle},
    limits::{HEDGED_AFTER_ACCEPT_MAX, LANE_IDLE_TIMEOUT, MARKS_DEBOUNCE},
    log::{Conversation, LaneStart, LogError, StoredEntry},
    metrics::Metrics,
    rows::Member,
    transport::tuning::Priority,
};

/// Why a lane stops.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Log(#[from] LogError),
    /// The client stopped the lane, or the connection is gone.
    #[error(transparent)]
    Write(#[from] quinn::WriteError),
    #[error(transparent)]
    Closed(#[from] quinn::ClosedStream),
    #[error(transparent)]
    Connection(#[from] quinn::ConnectionError),
}

/// A lane that was not begun yet.
pub(super) struct LogLane {
    shared: Arc<Shared>,
    session: Arc<SessionHandle>,
    id: ConversationId,
    signal: Arc<LaneSignal>,
    hedging: Arc<Hedging>,
    backlog: Backlog,
}

/// A lane that runs.
struct Running {
    lane: LogLane,
    stream: SendStream,
    conversation: Arc<Conversation>,
    member: Member,
    roster_version: u64,
    /// The next seq to account for.
    next: Seq,
    caught_up: bool,
    marks_sent: HashMap<UserId, UserMarks>,
    read_sent: Seq,
    /// Entries of other users were sent since their marks were.
    others_wrote: bool,
    read_ahead: ReadAhead,
    /// It began with nothing but the newest entry, or has come as far as the head since: what it brings is live.
    live: bool,
    /// Live entries of this write, for which a datagram may be worth its bytes.
    hedged: Vec<(Seq, Bytes)>,
}

/// Counts an open lane for as long as it lives, however its task ends.
struct OpenLane(Arc<Metrics>);

impl OpenLane {
    fn count(metrics: &Arc<Metrics>) -> Self {
        metrics.log_lanes.increment(1.0);
        Self(Arc::clone(metrics))
    }
}

impl Drop for OpenLane {
    fn drop(&mut self) {
        self.0.log_lanes.decrement(1.0);
    }
}

impl LogLane {
    pub(super) fn new(
        shared: Arc<Shared>,
        session: Arc<SessionHandle>,
        id: ConversationId,
        signal: Arc<LaneSignal>,
        hedging: Arc<Hedging>,
        backlog: Backlog,
    ) -> Self {
        Self { shared, session, id, signal, hedging, backlog }
    }

    /// Runs the lane to its end. A lane that fails ends alone: its session reads on from the cursor.
    pub(super) async fn run(self) -> Result<(), End> {
        let (session, id) = (Arc::clone(&self.session), self.id);
        let _open = OpenLane::count(&self.shared.metrics);
        let result = self.serve().await;
        match result {
            Ok(()) => {}
            Err(Stop::Log(error)) => {
                tracing::warn!(conversation = %id, %error, "a lane failed");
                session.start_at_cursor(&id);
                session.close_lane(id);
                if error.code() == ErrorCode::StoreUnavailable {
                    return Err(ErrorCode::StoreUnavailable);
                }
            }
            Err(_) => {
                // The client stopped the lane: what was on its way is lost to it, and sent again from the
                // cursor when there is news.
                session.start_at_cursor(&id);
                session.close_lane(id);
            }
        }
        Ok(())
    }

    async fn serve(self) -> Result<(), Stop> {
        // Held from here on, so that what is appended meanwhile is found in memory.
        let log = &self.shared.log;
        let conversation = log.conversation(self.id);
        let identity = &self.session.identity;
        let mut start = log.lane_start(&identity.user, &identity.device, self.id).await?;
        if start.as_ref().is_some_and(|start| start.large)
            && self.shared.take_interest(&self.session, &[self.id]).await?
        {
            start = log.lane_start(&identity.user, &identity.device, self.id).await?;
        }
        let Some(start) = start else {
            // Watched by somebody who never was a member, or the first append is still on its way.
            self.session.close_lane(self.id);
            return Ok(());
        };
        let stream = self.session.connection().open_uni().await?;
        stream.set_priority(Priority::Backlog.value())?;
        let next = start.cursor.max(self.session.resume_after(&self.id)).next();
        let running = Running {
            stream,
            conversation,
            member: start.member.clone(),
            roster_version: start.roster_version,
            next,
            caught_up: false,
            marks_sent: start.marks.iter().map(|marks| (marks.user.clone(), marks.clone())).collect(),
            read_sent: start.read.seq,
            others_wrote: false,
            read_ahead: ReadAhead::new(),
            live: start.head_seq <= next,
            hedged: Vec::new(),
            lane: self,
        };
        running.run(start).await
    }
}

impl Running {
    async fn open(&mut self, start: LaneStart) -> Result<(), Stop> {
        let head = start.head_seq;
        let mut buffer = BytesMut::new();
        let open = LaneOpen {
            conversation_id: self.lane.id,
            peer: start.peer,
            title: start.title,
            role: start.role,
            next_seq: self.next,
            head_seq: head,
            head_ordinal: start.head_ordinal,
            read_seq: start.read.seq,
            read_ordinal: start.read.ordinal,
            next_client_seq: start.next_client_seq,
            marks: start.marks,
        };
        Frame::LaneOpen(open).encode(&mut buffer);
        let first_kept = self.lane.backlog.first_kept(head);
        if first_kept > self.next {
            // Too far behind: the newest part now, the rest by name. What the user may not read at all is
            // no part of it.
            self.skip(first_kept.previous(), &mut buffer);
        }
        self.stream.write_chunk(buffer.freeze()).await?;
        self.lane.session.set_sent(self.lane.id, self.next.previous());
        Ok(())
    }

    /// Accounts for everything up to `last` with holes.
    fn skip(&mut self, last: Seq, buffer: &mut BytesMut) {
        while self.next <= last {
            let (until, reason) = match self.member.next_readable(self.next) {
                Some(readable) if readable == self.next => {
                    let end = self.member.interval_of(readable).and_then(|interval| interval.last);
                    (end.unwrap_or(last).min(last), HoleReason::Skipped)
                }
                Some(readable) => (readable.previous().min(last), HoleReason::Hidden),
                None => (last, HoleReason::Hidden),
            };
            if let Some(range) = SeqRange::new(self.next..=until) {
                Frame::Hole(Hole { range, reason }).encode(buffer);
            }
            self.next = until.next();
        }
    }

    async fn run(mut self, start: LaneStart) -> Result<(), Stop> {
        self.open(start).await?;
        let mut marks_due: Option<Instant> = None;
        let mut retiring = false;
        let mut idle_since = Instant::now();
        loop {
            if self.pump().await? {
                idle_since = Instant::now();
                self.lane.signal.set_active_at(self.lane.session.age());
            }
            if std::mem::take(&mut self.others_wrote) {
                // Whoever writes has read: that is news to those who await it.
                marks_due.get_or_insert(Instant::now() + MARKS_DEBOUNCE);
            }
            let watched = self.lane.session.is_watched(&self.lane.id);
            let removed = self.member.role.is_none();
            let idle_end = match (removed, watched, retiring) {
                (true, _, _) | (false, false, true) => Some(Instant::now()),
                (false, true, _) => None,
                (false, false, false) => Some(idle_since + LANE_IDLE_TIMEOUT),
            };
            tokio::select! {
                biased;
                raised = self.lane.signal.raised() => {
                    retiring |= raised.retire;
                    if raised.marks {
                        marks_due.get_or_insert(Instant::now() + MARKS_DEBOUNCE);
                    }
                }
                () = until(marks_due), if marks_due.is_some() => {
                    marks_due = None;
                    self.send_marks().await?;
                    idle_since = Instant::now();
                }
                () = until(idle_end), if idle_end.is_some() && marks_due.is_none() => {
                    // Only fails when the client stopped the lane, which is told next.
                    let _ = self.stream.finish();
                    // The next lane must not overtake what is on its way here: who sees that one first takes
                    // what this one carries for skipped (FUL-LANE-26).
                    let Ok(None) = self.stream.stopped().await else {
                        return Err(Stop::Write(quinn::WriteError::ClosedStream));
                    };
                    // News that came meanwhile opens it.
                    self.lane.session.close_lane(self.lane.id);
                    return Ok(());
                }
                _ = self.stream.stopped() => return Err(Stop::Write(quinn::WriteError::ClosedStream)),
            }
        }
    }

    /// Sends what there is from `next` on. `true` when there was something.
    async fn pump(&mut self) -> Result<bool, Stop> {
        let mut sent_any = false;
        loop {
            self.refresh_membership().await?;
            let mut chunks = Vec::new();
            match self.member.next_readable(self.next) {
                None => break,
                Some(readable) if readable > self.next => {
                    // They came back after a time away. The entry that brought them back is durable.
                    let mut hole = BytesMut::new();
                    self.skip(readable.previous(), &mut hole);
                    chunks.push(hole.freeze());
                }
                Some(_) => {
                    let log = Arc::clone(&self.lane.shared.log);
                    let asked = self.read_ahead.entries();
                    let mut entries = log.entries(&self.conversation, self.next, asked).await?;
                    if entries.is_empty() {
                        break;
                    }
                    entries.truncate(self.read_ahead.take(entries.iter().map(|entry| entry.frame.len())));
                    let identity = &self.lane.session.identity;
                    self.lane
                        .shared
                        .log
                        .faults()
                        .swap(&mut entries, |entry| entry.device_tag == identity.tag);
                    // The entries may be newer than the membership: whoever was removed by one of these
                    // gets no further.
                    self.refresh_membership().await?;
                    for entry in entries {
                        if self.member.may_read(entry.seq) && entry.seq == self.next {
                            chunks.push(self.form(entry));
                        }
                    }
                }
            }
            self.lane.session.set_sent(self.lane.id, self.next.previous());
            self.stream.write_all_chunks(&mut chunks).await?;
            for (seq, frame) in self.hedged.drain(..) {
                self.lane.hedging.offer(self.lane.session.connection(), self.lane.id, seq, frame);
            }
            sent_any = true;
            if self.conversation.known_head().is_some_and(|head| head.large) {
                // It may just have become so; from then on who is not interested is not told.
                let (session, id) = (&self.lane.session, self.lane.id);
                if self.lane.shared.take_interest(session, &[id]).await? {
                    // What was appended until now was not told: the tail is to know of it.
                    self.lane.shared.log.readable_end(&session.identity.user, &id).await?;
                }
            }
        }
        if !self.caught_up {
            self.caught_up = true;
            self.live = true;
            self.lane.session.caught_up(&self.lane.signal);
            let caught_up = Frame::CaughtUp(CaughtUp { seq: self.next.previous() });
            crate::transport::frames::write(&mut self.stream, &caught_up).await?;
        }
        let watched = self.lane.session.is_watched(&self.lane.id);
        self.stream.set_priority(if watched { Priority::Watched } else { Priority::Lane }.value())?;
        Ok(sent_any)
    }

    /// Passes over one entry, and gives the form in which this device gets it.
    fn form(&mut self, entry: StoredEntry) -> Bytes {
        self.next = entry.seq.next();
        let identity = &self.lane.session.identity;
        if entry.sender == identity.user && entry.device_tag == identity.tag {
            let mut own = BytesMut::new();
            Frame::OwnEntry(OwnEntry {
                seq: entry.seq,
                ordinal: entry.ordinal,
                at: entry.at,
                client_seq: entry.client_seq,
            })
            .encode(&mut own);
            return own.freeze();
        }
        self.others_wrote |= entry.sender != identity.user;
        self.lane.shared.metrics.entries_delivered.increment(1);
        if let Some(accepted) = entry.accepted.filter(|_| self.caught_up) {
            self.lane.shared.metrics.accept_to_delivered_seconds.record(accepted.elapsed());
        }
        let is_new = entry.accepted.is_some_and(|accepted| accepted.elapsed() < HEDGED_AFTER_ACCEPT_MAX);
        if self.live && is_new && self.lane.hedging.takes(entry.frame.len()) {
            self.hedged.push((entry.seq, entry.frame.clone()));
        }
        entry.frame
    }

    async fn refresh_membership(&mut self) -> Result<(), Stop> {
        let version = self.conversation.known_head().map(|head| head.roster_version);
        if version == Some(self.roster_version) {
            return Ok(());
        }
        let user = &self.lane.session.identity.user;
        if let Some((version, member)) = self.lane.shared.log.membership(user, self.lane.id).await? {
            self.roster_version = version;
            self.member = member;
        }
        Ok(())
    }

    /// Sends the marks that moved since they were sent last.
    async fn send_marks(&mut self) -> Result<(), Stop> {
        let user = &self.lane.session.identity.user;
        let (others, read) = self.lane.shared.log.marks(user, self.lane.id).await?;
        let moved: Vec<_> =
            others.into_iter().filter(|marks| self.marks_sent.get(&marks.user) != Some(marks)).collect();
        let mut buffer = BytesMut::new();
        if !moved.is_empty() {
            for marks in &moved {
                self.marks_sent.insert(marks.user.clone(), marks.clone());
            }
            Frame::Marks(Marks { marks: moved }).encode(&mut buffer);
        }
        if read.seq > self.read_sent {
            self.read_sent = read.seq;
            Frame::ReadState(ReadState { read_seq: read.seq, read_ordinal: read.ordinal })
                .encode(&mut buffer);
        }
        if !buffer.is_empty() {
            self.stream.write_chunk(buffer.freeze()).await?;
        }
        Ok(())
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
