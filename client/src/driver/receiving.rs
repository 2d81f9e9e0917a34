//! From log lanes to events: every lane accounts for every seq in order, and what the app was handed before
//! it is not handed again.

use bytes::Bytes;
use fulmar_protocol::limits::FAN_OUT_MEMBERS_MAX;
use fulmar_protocol::{
    Content, ConversationId, ConversationKind, CursorState, Delivery, DeviceId, DeviceTag, Direction, Entry,
    ErrorCode, Frame, Hole, HoleReason, LaneOpen, LaneReceiver, LaneViolation, OwnEntry, ReadState, Seq,
    SeqRange, UserId, UserMarks,
};

use crate::driver::Driver;
use crate::driver::inputs::{Input, LaneNumber};
use crate::driver::lane::{Hold, Lane};
use crate::driver::sending::Breach;
use crate::driver::tracked::{Numbering, Tracked};
use crate::error::ClientError;
use crate::event::{ConversationState, Event, ReceivedEntry, Room};
use crate::history::{HistoryItem, HistoryQuery};
use crate::limits::{CONVERSATIONS_TRACKED_MAX, LANE_SUCCESSION, OWN_FETCH_ENTRIES};
use crate::request::{decode_content, history_page};

/// What became of a frame.
enum Taken {
    Whole,
    /// Its content must be fetched first: it is to be held.
    Held(OwnEntry),
}

fn unexpected(cause: impl Into<String>) -> Breach {
    (ErrorCode::FrameUnexpected, cause.into())
}

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
        let now = self.now;
        let Some(tracked) = self.track(id) else {
            return Err((ErrorCode::Internal, "too many conversations".to_owned()));
        };
        let (current, following) = (tracked.lane, tracked.next_lane);
        let mut lane = Lane::new(id);
        match (current, following) {
            (None, _) => tracked.lane = Some(number),
            (Some(_), None) => tracked.next_lane = Some(number),
            (Some(_), Some(_)) => return Err(unexpected("a third lane of one conversation")),
        }
        let Some(session) = self.phase.session_mut() else { return Ok(()) };
        if current.is_some() {
            lane.hold = Some(Hold::Predecessor);
            lane.held.push_back((Frame::LaneOpen(open), room));
            session.successions.insert((now + LANE_SUCCESSION, number));
            session.lanes.insert(number, lane);
            return Ok(());
        }
        session.lanes.insert(number, lane);
        self.begin_lane(number, &open, &room)
    }

    fn begin_lane(&mut self, number: LaneNumber, open: &LaneOpen, room: &Room) -> Result<(), Breach> {
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

    /// A lane tells which number the server expects next of this device.
    fn take_numbering(&mut self, id: ConversationId, open: &LaneOpen) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        let idle = tracked.outbox.is_empty() && tracked.storing.is_empty();
        let behind = idle && open.next_client_seq > tracked.outbox.next_client_seq();
        if behind || matches!(tracked.numbering, Numbering::Asked { .. }) {
            self.renumber(id, open.next_client_seq);
        }
    }

    pub(super) fn lane_frame(&mut self, number: LaneNumber, frame: Frame, room: Room) -> Result<(), Breach> {
        let Some(lane) = self.phase.session_mut().and_then(|session| session.lanes.get_mut(&number)) else {
            return Ok(());
        };
        if lane.hold.is_some() {
            // Bounded by the room that each frame holds.
            lane.held.push_back((frame, room));
            return Ok(());
        }
        self.take_frame(number, frame, room)
    }

    fn take_frame(&mut self, number: LaneNumber, frame: Frame, room: Room) -> Result<(), Breach> {
        let Some(session) = self.phase.session_mut() else { return Ok(()) };
        let Some(lane) = session.lanes.get_mut(&number) else { return Ok(()) };
        let id = lane.conversation;
        let Some(receiver) = lane.receiver.as_mut() else {
            return match frame {
                Frame::LaneOpen(open) => self.begin_lane(number, &open, &room),
                other => Err(unexpected(format!("{} before LaneOpen", other.frame_type()))),
            };
        };
        match frame {
            Frame::Entry(entry) => {
                let delivery =
                    receiver.handle_entry(entry.seq).map_err(|error| (error.code(), error.to_string()))?;
                match delivery {
                    Delivery::Deliver => self.deliver(id, entry, false, &room),
                    Delivery::Duplicate => self.seen_again(id, entry.seq),
                }
                Ok(())
            }
            Frame::OwnEntry(entry) => match self.take_own(number, entry, &room)? {
                Taken::Whole => Ok(()),
                Taken::Held(entry) => {
                    self.hold_for_content(number, entry, room);
                    Ok(())
                }
            },
            Frame::Hole(Hole { range, reason }) => {
                let news = receiver.handle_hole(range).map_err(|error| (error.code(), error.to_string()))?;
                match news {
                    Some(news) => self.name_hole(id, news, reason, &room),
                    None => self.seen_again(id, range.last()),
                }
                Ok(())
            }
            Frame::CaughtUp(caught_up) => {
                receiver
                    .handle_caught_up(caught_up.seq)
                    .map_err(|error| (error.code(), error.to_string()))?;
                self.events.push(Event::CaughtUp { conversation: id }, Some(&room));
                Ok(())
            }
            Frame::Marks(marks) => {
                self.take_marks(id, &marks.marks, &room);
                Ok(())
            }
            Frame::ReadState(read) => {
                self.take_read_state(id, read, &room);
                Ok(())
            }
            other => Err(unexpected(format!("{} on a lane that is open", other.frame_type()))),
        }
    }

    /// An entry of this device: its content is known here, or was fetched, or must be.
    fn take_own(&mut self, number: LaneNumber, own: OwnEntry, room: &Room) -> Result<Taken, Breach> {
        let Some(user) = self.user.clone() else { return Ok(Taken::Whole) };
        let Some(session) = self.phase.session_mut() else { return Ok(Taken::Whole) };
        let Some(lane) = session.lanes.get_mut(&number) else { return Ok(Taken::Whole) };
        let id = lane.conversation;
        let Some(receiver) = lane.receiver.as_mut() else { return Ok(Taken::Whole) };
        let violation = |error: LaneViolation| (error.code(), error.to_string());
        if own.seq != receiver.next_seq() {
            return Err(violation(LaneViolation { expected: receiver.next_seq(), found: own.seq }));
        }
        if own.seq <= receiver.had() {
            receiver.handle_entry(own.seq).map_err(violation)?;
            self.seen_again(id, own.seq);
            return Ok(Taken::Whole);
        }
        let known = self.recently_sent.take(id, own.client_seq);
        let known = known.or_else(|| self.conversations.get(id)?.unanswered(own.client_seq));
        if let Some(content) = known {
            receiver.handle_entry(own.seq).map_err(violation)?;
            self.deliver(id, with_content(own, user, self.device, content), true, room);
            return Ok(Taken::Whole);
        }
        match lane.fetched.remove(&own.seq) {
            Some(HistoryItem::Entry(entry)) => {
                receiver.handle_entry(own.seq).map_err(violation)?;
                let bare = with_content(own, entry.sender, self.device, Bytes::new());
                self.hand_over(id, bare, entry.content, true, room);
                Ok(Taken::Whole)
            }
            Some(HistoryItem::Hole { reason, .. }) => {
                let range = SeqRange::new(own.seq..=own.seq);
                receiver.handle_entry(own.seq).map_err(violation)?;
                if let Some(range) = range {
                    self.name_hole(id, range, reason, room);
                }
                Ok(Taken::Whole)
            }
            None => Ok(Taken::Held(own)),
        }
    }

    /// Holds a lane back while a content is fetched.
    fn hold_for_content(&mut self, number: LaneNumber, own: OwnEntry, room: Room) {
        let Some(session) = self.phase.session_mut() else { return };
        let Some(lane) = session.lanes.get_mut(&number) else { return };
        lane.hold = Some(Hold::Content);
        lane.held.push_front((Frame::OwnEntry(own), room));
        let id = lane.conversation;
        let (connection, sender) = (session.connection.clone(), session.sender());
        let query =
            HistoryQuery { from: Some(own.seq), direction: Direction::Forward, limit: OWN_FETCH_ENTRIES };
        session.spawn(async move {
            let page = Box::pin(history_page(&connection, id, query));
            let items = match tokio::time::timeout(crate::limits::REQUEST_TIMEOUT, page).await {
                Ok(page) => page.map(|page| page.items),
                Err(_) => Err(ClientError::Timeout {
                    what: "the history of this device's own entries",
                    after: crate::limits::REQUEST_TIMEOUT,
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
        lane.hold = None;
        self.take_held(number)
    }

    /// Takes what was held back, until something is to be held again.
    fn take_held(&mut self, number: LaneNumber) -> Result<(), Breach> {
        loop {
            let Some(lane) = self.phase.session_mut().and_then(|session| session.lanes.get_mut(&number))
            else {
                return Ok(());
            };
            if lane.hold.is_some() {
                return Ok(());
            }
            match lane.held.pop_front() {
                Some((frame, room)) => self.take_frame(number, frame, room)?,
                None if lane.ended => return self.lane_finished(number),
                None => return Ok(()),
            }
        }
    }

    pub(super) fn lane_ended(&mut self, number: LaneNumber) -> Result<(), Breach> {
        let Some(session) = self.phase.session_mut() else { return Ok(()) };
        let Some(lane) = session.lanes.get_mut(&number) else { return Ok(()) };
        lane.ended = true;
        if lane.hold.is_some() { Ok(()) } else { self.lane_finished(number) }
    }

    /// A lane has ended and was taken whole; the one that waited for it goes on.
    fn lane_finished(&mut self, number: LaneNumber) -> Result<(), Breach> {
        let Some(session) = self.phase.session_mut() else { return Ok(()) };
        let Some(lane) = session.lanes.remove(&number) else { return Ok(()) };
        let id = lane.conversation;
        let Some(tracked) = self.conversations.get_mut(id) else { return Ok(()) };
        tracked.lane = tracked.next_lane.take();
        let awaits_receipts = tracked.receipts_from.is_some();
        if let Some(next) = tracked.lane {
            session.successions.retain(|(_, waiting)| *waiting != next);
            if let Some(lane) = session.lanes.get_mut(&next) {
                lane.hold = None;
            }
            return self.take_held(next);
        }
        if awaits_receipts {
            self.await_receipts(id);
        }
        Ok(())
    }

    /// A lane whose predecessor does not end.
    pub(super) fn pump_successions(&mut self) {
        let Some(session) = self.phase.session() else { return };
        if session.successions.first().is_some_and(|(until, _)| *until <= self.now) {
            self.breach(ErrorCode::FrameUnexpected, "two log lanes of one conversation");
        }
    }

    /// The session is gone, and every lane with it. What was held back comes again.
    pub(super) fn lanes_lost(&mut self) {
        for (_, tracked) in self.conversations.iter_mut() {
            tracked.lane = None;
            tracked.next_lane = None;
        }
        self.send_lanes_lost();
    }

    /// A lane passes something that the app was handed before. If the server did not know that it had sent
    /// that far, it does now.
    fn seen_again(&mut self, id: ConversationId, seq: Seq) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        if tracked.cursor_refused && seq >= tracked.cursor_seq() {
            tracked.cursor_refused = false;
            self.cursor_moved(id);
        }
    }

    fn deliver(&mut self, id: ConversationId, entry: Entry, from_this_device: bool, room: &Room) {
        let content = decode_content(&entry.content);
        self.hand_over(id, entry, content, from_this_device, room);
    }

    fn hand_over(
        &mut self,
        id: ConversationId,
        entry: Entry,
        content: Option<Content>,
        from_this_device: bool,
        room: &Room,
    ) {
        let is_own = self.user.as_ref() == Some(&entry.sender);
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        tracked.had = Some(entry.seq);
        tracked.progress.handle_entry(entry.seq, entry.ordinal, is_own);
        let received = ReceivedEntry {
            conversation: id,
            seq: entry.seq,
            ordinal: entry.ordinal,
            sender: entry.sender,
            at: entry.at,
            is_own,
            from_this_device,
            client_seq: entry.client_seq,
            unread_after: tracked.progress.unread(),
            confirmations: std::sync::Arc::clone(&self.confirmations),
            content,
        };
        if is_own && received.content.as_ref().is_some_and(Content::is_message) {
            self.expect_receipts(id, received.seq);
        }
        self.events.push(Event::Entry(received), Some(room));
    }

    fn name_hole(&mut self, id: ConversationId, range: SeqRange, reason: HoleReason, room: &Room) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        tracked.had = Some(range.last().max(tracked.had.unwrap_or(Seq::ZERO)));
        let moved = match reason {
            HoleReason::Skipped => tracked.skip(range),
            HoleReason::Hidden | HoleReason::Expired => tracked.pass(range),
        };
        if moved {
            self.cursor_moved(id);
        }
        let (first, last) = (range.first(), range.last());
        self.events.push(Event::Skipped { conversation: id, first, last, reason }, Some(room));
    }

    fn take_marks(&mut self, id: ConversationId, marks: &[UserMarks], room: &Room) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        for mark in marks {
            if let Some((delivered, read)) = tracked.take_marks(mark, FAN_OUT_MEMBERS_MAX) {
                let user: UserId = mark.user.clone();
                self.events.push(Event::Marks { conversation: id, user, delivered, read }, Some(room));
            }
        }
        if tracked.settle_receipts() {
            self.journal.conversation(id);
            self.receipts_complete(id);
        }
    }

    fn take_read_state(&mut self, id: ConversationId, read: ReadState, room: &Room) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        let before = (tracked.progress.read_seq(), tracked.progress.unread());
        tracked.progress.handle_read(read);
        let now = (tracked.progress.read_seq(), tracked.progress.unread());
        if now != before {
            let (read_seq, unread) = now;
            self.events.push(Event::Unread { conversation: id, read_seq, unread }, Some(room));
        }
    }
}

fn cursor_at(seq: Seq) -> CursorState {
    let mut cursor = CursorState::default();
    cursor.confirm(seq);
    cursor
}

fn with_content(own: OwnEntry, sender: UserId, device: DeviceId, content: Bytes) -> Entry {
    Entry {
        seq: own.seq,
        ordinal: own.ordinal,
        at: own.at,
        sender,
        device_tag: DeviceTag::of(&device),
        client_seq: own.client_seq,
        content,
    }
}
