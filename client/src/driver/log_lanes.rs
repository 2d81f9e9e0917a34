//! Log lanes as they come and go: at most one of a conversation is taken at a time, the next one waits for
//! its end, and a lane pauses while the content of an entry of this device is fetched.

use fulmar_protocol::{
    ClientSeq, ConversationId, ConversationKind, CursorState, Direction, ErrorCode, Frame, HoleReason,
    LaneOpen, LaneReceiver, OwnEntry, Seq,
};

use crate::driver::Driver;
use crate::driver::inputs::{Input, LaneNumber};
use crate::driver::lane::{Hold, Lane};
use crate::driver::receiving::unexpected;
use crate::driver::sending::Breach;
use crate::driver::tracked::Tracked;
use crate::error::ClientError;
use crate::event::{ConversationState, Event, Room};
use crate::history::{HistoryItem, HistoryQuery};
use crate::limits::{CONVERSATIONS_TRACKED_MAX, OWN_FETCH_ENTRIES, REQUEST_TIMEOUT};
use crate::request::history_page;

/// No client sends so much; a server that expects more is not believed, or the numbers would run out.
const CLIENT_SEQ_MAX: ClientSeq = ClientSeq::new(1 << 62);

impl Driver {
    /// The conversation, new if need be. `None` when there are too many.
    pub(super) fn track(&mut self, id: ConversationId) -> Option<&mut Tracked> {
        if self.conversations.get(id).is_none() && self.conversations.len() >= CONVERSATIONS_TRACKED_MAX {
            if let Some(forgotten) = self.conversations.forget_one() {
                self.journal.forget_conversation(forgotten);
            } else if self.conversations.len() >= 2 * CONVERSATIONS_TRACKED_MAX {
                return None;
            }
        }
        Some(self.conversations.touch(id))
    }

    pub(super) fn lane_opened(
        &mut self,
        number: LaneNumber,
        open: LaneOpen,
        room: Room,
    ) -> Result<(), Breach> {
        let id = open.conversation_id;
        let Some(gate) = self.phase.session_mut().and_then(|session| session.take_gate(number)) else {
            return Ok(());
        };
        if open.next_client_seq > CLIENT_SEQ_MAX {
            return Err((ErrorCode::FrameMalformed, "a client seq that no client reaches".to_owned()));
        }
        let Some(tracked) = self.track(id) else {
            return Err((ErrorCode::Internal, "too many conversations".to_owned()));
        };
        let predecessor = tracked.lane;
        match (predecessor, tracked.next_lane) {
            (None, _) => tracked.lane = Some(number),
            (Some(_), None) => tracked.next_lane = Some(number),
            (Some(_), Some(_)) => return Err(unexpected("a third lane of one conversation")),
        }
        let Some(session) = self.phase.session_mut() else { return Ok(()) };
        let mut lane = Lane::new(id, gate);
        lane.held.push_back((Frame::LaneOpen(open), room));
        if predecessor.is_some() {
            lane.hold(Hold::Predecessor);
        }
        session.lanes.insert(number, lane);
        self.take_held(number)
    }

    pub(super) fn begin_lane(
        &mut self,
        number: LaneNumber,
        open: &LaneOpen,
        room: &Room,
    ) -> Result<(), Breach> {
        let id = open.conversation_id;
        if let (Some(user), Some(peer)) = (&self.user, &open.peer)
            && ConversationId::direct(user, peer) != id
        {
            return Err((ErrorCode::FrameMalformed, format!("{id} is not the conversation with {peer}")));
        }
        self.take_numbering(id, open);
        let Some(tracked) = self.conversations.get_mut(id) else { return Ok(()) };
        if open.peer.is_some() {
            tracked.peer.clone_from(&open.peer);
        }
        tracked.take_progress(open);
        if open.next_seq <= tracked.cursor_seq() {
            // The server's cursor is behind: it is told again when the lane has come that far.
            tracked.cursor_unsent = true;
            tracked.cursor_refused = true;
        }
        // The server may have the cursor by now that it refused before.
        let reminded = tracked.cursor_refused && open.next_seq > tracked.cursor_seq();
        tracked.cursor_refused &= !reminded;
        let had = *tracked.had.get_or_insert(open.next_seq.previous());
        tracked.cursor.get_or_insert_with(|| cursor_at(had));
        let (receiver, gap) = LaneReceiver::handle_open(had, open);
        tracked.had = Some(receiver.had());
        let state = ConversationState {
            id,
            kind: open.kind(),
            peer: tracked.peer.clone().filter(|_| open.kind() == ConversationKind::Direct),
            title: open.title.to_string(),
            role: open.role,
            head: tracked.progress.head_seq(),
            read_seq: tracked.progress.read_seq(),
            unread: tracked.progress.unread(),
        };
        self.events.push(Event::Conversation(state), Some(room));
        if let Some(lane) = self.phase.session_mut().and_then(|session| session.lanes.get_mut(&number)) {
            lane.receiver = Some(receiver);
            lane.expected = open.next_client_seq;
        }
        if reminded {
            self.cursor_moved(id);
        }
        if let Some(gap) = gap {
            self.name_hole(id, gap, HoleReason::Skipped, room);
        }
        self.take_marks(id, &open.marks, room);
        Ok(())
    }

    pub(super) fn lane_frame(&mut self, number: LaneNumber, frame: Frame, room: Room) -> Result<(), Breach> {
        let Some(lane) = self.phase.session_mut().and_then(|session| session.lanes.get_mut(&number)) else {
            return Ok(());
        };
        if lane.is_held() {
            // No more than were on their way when the gate was shut.
            lane.held.push_back((frame, room));
            return Ok(());
        }
        self.take_frame(number, frame, room)
    }

    /// Holds a lane back while a content is fetched.
    pub(super) fn hold_for_content(&mut self, number: LaneNumber, own: OwnEntry, room: Room) {
        let Some(session) = self.phase.session_mut() else { return };
        let Some(lane) = session.lanes.get_mut(&number) else { return };
        lane.hold(Hold::Content);
        lane.held.push_front((Frame::OwnEntry(own), room));
        if session.leave_at.is_some() {
            // No more streams on this connection; the entry comes again on the next.
            return;
        }
        let Some(lane) = session.lanes.get_mut(&number) else { return };
        let id = lane.conversation;
        let (connection, sender) = (session.connection.clone(), session.sender());
        let query =
            HistoryQuery { from: Some(own.seq), direction: Direction::Forward, limit: OWN_FETCH_ENTRIES };
        session.spawn(async move {
            let page = Box::pin(history_page(&connection, id, query));
            let items = match tokio::time::timeout(REQUEST_TIMEOUT, page).await {
                Ok(page) => page.map(|page| page.items),
                Err(_) => Err(ClientError::Timeout {
                    what: "the history of this device's own entries",
                    after: REQUEST_TIMEOUT,
                }),
            };
            // An error means that the session has ended meanwhile.
            let _ = sender.send(Input::OwnFetched { lane: number, wanted: own.seq, items }).await;
        });
    }

    /// History has answered; the lane goes on.
    pub(super) fn own_fetched(
        &mut self,
        number: LaneNumber,
        wanted: Seq,
        items: Result<Vec<HistoryItem>, ClientError>,
    ) -> Result<(), Breach> {
        let Some(session) = self.phase.session_mut() else { return Ok(()) };
        let Some(lane) = session.lanes.get_mut(&number) else { return Ok(()) };
        lane.fetched.clear();
        match items {
            Ok(items) => {
                for item in items {
                    match &item {
                        HistoryItem::Entry(entry) => drop(lane.fetched.insert(entry.seq, item)),
                        HistoryItem::Hole { first, last, .. } if (*first..=*last).contains(&wanted) => {
                            lane.fetched.insert(wanted, item);
                        }
                        HistoryItem::Hole { .. } => {}
                    }
                }
            }
            Err(error) => {
                tracing::info!(%error, "history for entries of this device failed");
                session.close(ErrorCode::NoError, "history failed");
                return Ok(());
            }
        }
        if !lane.fetched.contains_key(&wanted) {
            return Err(unexpected("history without the entry asked for"));
        }
        lane.release();
        self.take_held(number)
    }

    /// Takes what was held back, until something is to be held again; then the lane's task reads on.
    fn take_held(&mut self, number: LaneNumber) -> Result<(), Breach> {
        loop {
            let Some(lane) = self.phase.session_mut().and_then(|session| session.lanes.get_mut(&number))
            else {
                return Ok(());
            };
            if lane.is_held() {
                return Ok(());
            }
            match lane.held.pop_front() {
                Some((frame, room)) => self.take_frame(number, frame, room)?,
                None if lane.ended => return self.lane_finished(number),
                None => {
                    lane.read_on();
                    return Ok(());
                }
            }
        }
    }

    pub(super) fn lane_ended(&mut self, number: LaneNumber) -> Result<(), Breach> {
        let Some(session) = self.phase.session_mut() else { return Ok(()) };
        // One that ended before it told what it is of has only its gate.
        session.take_gate(number);
        let Some(lane) = session.lanes.get_mut(&number) else { return Ok(()) };
        lane.ended = true;
        if lane.is_held() { Ok(()) } else { self.lane_finished(number) }
    }

    /// A lane has ended and was taken whole; the one that waited for it goes on.
    fn lane_finished(&mut self, number: LaneNumber) -> Result<(), Breach> {
        let Some(session) = self.phase.session_mut() else { return Ok(()) };
        let Some(lane) = session.lanes.remove(&number) else { return Ok(()) };
        let id = lane.conversation;
        session.hedging.lane_ended(id);
        let Some(tracked) = self.conversations.get_mut(id) else { return Ok(()) };
        tracked.lane = tracked.next_lane.take();
        let awaits_receipts = tracked.receipts_from.is_some();
        if let Some(next) = tracked.lane {
            if let Some(lane) = session.lanes.get_mut(&next) {
                lane.release();
            }
            return self.take_held(next);
        }
        if awaits_receipts {
            self.await_receipts(id);
        }
        Ok(())
    }

    /// The session is gone, and every lane with it. What was held back comes again.
    pub(super) fn lanes_lost(&mut self) {
        for (_, tracked) in self.conversations.iter_mut() {
            tracked.lane = None;
            tracked.next_lane = None;
        }
        self.send_lanes_lost();
    }
}

fn cursor_at(seq: Seq) -> CursorState {
    let mut cursor = CursorState::default();
    cursor.confirm(seq);
    cursor
}
