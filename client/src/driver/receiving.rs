//! From log lanes to events: every lane accounts for every seq in order, and what the app was handed before
//! it is not handed again.

use std::sync::Arc;

use bytes::Bytes;
use fulmar_protocol::limits::FAN_OUT_MEMBERS_MAX;
use fulmar_protocol::{
    Accepted, Content, ConversationId, Delivery, DeviceId, DeviceTag, Entry, ErrorCode, Frame, Hole,
    HoleReason, LaneViolation, OwnEntry, ReadState, Seq, SeqRange, UserId, UserMarks,
};

use crate::driver::Driver;
use crate::driver::inputs::LaneNumber;
use crate::driver::sending::Breach;
use crate::driver::tracked::Conversations;
use crate::event::{Event, ReceivedEntry, Room};
use crate::history::HistoryItem;
use crate::request::decode_content;

/// What became of a frame.
enum Taken {
    Whole,
    /// Its content must be fetched first: it is to be held.
    Held(OwnEntry),
}

pub(super) fn unexpected(cause: impl Into<String>) -> Breach {
    (ErrorCode::FrameUnexpected, cause.into())
}

impl Driver {
    pub(super) fn take_frame(&mut self, number: LaneNumber, frame: Frame, room: Room) -> Result<(), Breach> {
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
                session.hedging.check_entry(id, &entry)?;
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
                session.hedging.check_range(id, Some(range))?;
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
            session.hedging.check_range(id, SeqRange::new(own.seq..=own.seq))?;
            self.seen_again(id, own.seq);
            return Ok(Taken::Whole);
        }
        let known = self.recently_sent.take(id, own.client_seq);
        let unanswered = |conversations: &Conversations| conversations.get(id)?.unanswered(own.client_seq);
        let ours = own.client_seq >= lane.expected;
        if let Some(content) = known.or_else(|| unanswered(&self.conversations).filter(|_| ours)) {
            receiver.handle_entry(own.seq).map_err(violation)?;
            if ours {
                // As good as its answer, whichever comes first.
                let (client_seq, seq, at) = (own.client_seq, own.seq, own.at);
                self.handle_accepted(id, &Accepted { client_seq, seq, at })?;
                self.recently_sent.take(id, client_seq);
            }
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

    /// A lane passes something that the app was handed before. If the server did not know that it had sent
    /// that far, it does now.
    fn seen_again(&mut self, id: ConversationId, seq: Seq) {
        let Some(tracked) = self.conversations.get_mut(id) else { return };
        if tracked.cursor_refused && seq >= tracked.cursor_seq() {
            tracked.cursor_refused = false;
            self.cursor_moved(id);
        }
    }

    pub(super) fn deliver(&mut self, id: ConversationId, entry: Entry, from_this_device: bool, room: &Room) {
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
        self.typing_ended_by_entry(id, &entry.sender);
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
            confirmations: Arc::clone(&self.confirmations),
            content,
        };
        if is_own && received.content.as_ref().is_some_and(Content::is_message) {
            self.expect_receipts(id, received.seq);
        }
        self.events.push(Event::Entry(received), Some(room));
    }

    pub(super) fn name_hole(&mut self, id: ConversationId, range: SeqRange, reason: HoleReason, room: &Room) {
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

    pub(super) fn take_marks(&mut self, id: ConversationId, marks: &[UserMarks], room: &Room) {
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
