//! What the app is told, and the bounded queue it comes through.
//!
//! Bound: the events that lanes cause are paid for in kibibytes (`EVENTS_KIB_MAX`); a reader task waits for
//! room before its frame goes to the driver, so an app that does not read holds up the lanes, and QUIC's
//! flow control holds up the server. Presence and typing are dropped when there is no room, since a newer
//! one follows. Status is not queued: only its latest value is told. A failed send is told without room
//! being asked for; the outbox bounds how many there are.
//!
//! When the app has dropped [`Events`], events go nowhere and lanes are read all the same; as nothing is
//! confirmed, the next client on the same state is handed the entries again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fulmar_protocol::{
    ClientSeq, Content, ConversationId, ConversationKind, ErrorCode, HoleReason, Ordinal, PresenceState,
    Role, Seq, TimestampMs, UserId,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::confirmations::Confirmations;
use crate::event_queue::{Receiver, Sender, event_queue};
use crate::limits::EVENTS_KIB_MAX;
use crate::status::Status;

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The client's standing with the server changed.
    Status(Status),
    /// A conversation has news, or is watched: how it stands at this moment. Comes before its entries.
    Conversation(ConversationState),
    /// The next entry of a conversation's log.
    Entry(ReceivedEntry),
    /// A range of the log that is not handed over, and why. What was skipped may be fetched with
    /// [`crate::Conversation::fetch_skipped`]; the other ranges are gone for this user.
    Skipped {
        /// Where.
        conversation: ConversationId,
        /// The first entry of the range.
        first: Seq,
        /// The last entry of the range.
        last: Seq,
        /// Why.
        reason: HoleReason,
    },
    /// The log was handed over up to its head; what follows is live.
    CaughtUp {
        /// Which conversation.
        conversation: ConversationId,
    },
    /// How far another member has the conversation. Both only ever grow.
    Marks {
        /// Where.
        conversation: ConversationId,
        /// Whose marks.
        user: UserId,
        /// Delivered up to here.
        delivered: Seq,
        /// Read up to here.
        read: Seq,
    },
    /// This user's own read mark moved, here or on another device.
    Unread {
        /// Where.
        conversation: ConversationId,
        /// Read up to here.
        read_seq: Seq,
        /// Messages after it.
        unread: u64,
    },
    /// Another user's presence. Offline without a time also stands for "not known any more".
    Presence {
        /// Whose.
        user: UserId,
        /// Their state.
        state: PresenceState,
        /// When they were last seen, where it is known.
        last_seen: Option<TimestampMs>,
    },
    /// Another user types, or stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Whether they type.
        typing: bool,
    },
    /// The server refused a send that no `Sending` waits for any more. It left the outbox.
    SendFailed {
        /// Where.
        conversation: ConversationId,
        /// Its number.
        client_seq: ClientSeq,
        /// Why.
        code: ErrorCode,
    },
    /// The server's store was restored from a backup: cursors were forgotten, and entries that were handed
    /// over before may come again, or be gone. Drop what is cached of the logs.
    Resynchronised,
}

/// How a conversation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConversationState {
    /// Its id.
    pub id: ConversationId,
    /// Direct or group.
    pub kind: ConversationKind,
    /// The other user of a direct conversation.
    pub peer: Option<UserId>,
    /// The title of a group; empty for a direct conversation.
    pub title: String,
    /// This user's role; `None` when no longer a member.
    pub role: Option<Role>,
    /// The last entry of the log.
    pub head: Seq,
    /// This user's read mark.
    pub read_seq: Seq,
    /// Messages after the read mark.
    pub unread: u64,
}

/// An entry of a conversation's log.
///
/// Call [`ReceivedEntry::confirm`] once the app has it (stored, shown): that is what makes it "delivered"
/// for the others, and what keeps it from being handed over again after a restart of the app.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReceivedEntry {
    /// Where.
    pub conversation: ConversationId,
    /// Its place in the log.
    pub seq: Seq,
    /// How many messages the log holds up to here.
    pub ordinal: Ordinal,
    /// Who sent it.
    pub sender: UserId,
    /// The server's time.
    pub at: TimestampMs,
    /// What it says; `None` for a kind of content that this version does not know.
    pub content: Option<Content>,
    /// Whether this user sent it, from whichever device.
    pub is_own: bool,
    /// Whether this device sent it.
    pub from_this_device: bool,
    /// The sending device's number for it.
    pub client_seq: ClientSeq,
    /// This user's unread messages in the conversation, with this entry.
    pub unread_after: u64,
    pub(crate) confirmations: Arc<Confirmations>,
}

impl ReceivedEntry {
    /// Says that the app has this entry and all before it. Returns at once; cursors are stored, batched and
    /// sent by the client. Confirming one entry confirms every earlier one of the conversation.
    pub fn confirm(&self) {
        self.confirmations.confirm(self.conversation, self.seq);
    }
}

/// The room that a frame's events take in the queue, given back when the app has taken them all.
#[derive(Debug, Clone)]
pub(crate) struct Room(#[expect(dead_code, reason = "held for its drop")] Arc<OwnedSemaphorePermit>);

/// Where reader tasks ask for room.
#[derive(Debug, Clone)]
pub(crate) struct EventRoom(Arc<Semaphore>);

impl EventRoom {
    /// Waits for the room of a frame with `payload_bytes`. `None` never comes while the client lives.
    pub(crate) async fn take(&self, payload_bytes: usize) -> Option<Room> {
        let kib = u32::try_from(1 + payload_bytes / 1_024).unwrap_or(EVENTS_KIB_MAX).min(EVENTS_KIB_MAX);
        let permit = Arc::clone(&self.0).acquire_many_owned(kib).await.ok()?;
        Some(Room(Arc::new(permit)))
    }

    /// Room for one small event, if there is any.
    pub(crate) fn try_take(&self) -> Option<Room> {
        Arc::clone(&self.0).try_acquire_owned().ok().map(|permit| Room(Arc::new(permit)))
    }
}

struct Queued {
    event: Event,
    _room: Option<Room>,
}

/// The driver's end of the queue. Never waits.
pub(crate) struct EventSender {
    queue: Sender<Queued>,
    room: EventRoom,
    resynchronised_waits: Arc<AtomicBool>,
}

impl EventSender {
    pub(crate) fn room(&self) -> EventRoom {
        self.room.clone()
    }

    /// An event whose room was taken before (or that the app's own doing bounds: `None`).
    pub(crate) fn push(&self, event: Event, room: Option<&Room>) {
        self.queue.push(Queued { event, _room: room.cloned() });
    }

    /// An event that may be dropped, since a newer one follows.
    pub(crate) fn push_if_room(&self, event: Event) {
        if let Some(room) = self.room.try_take() {
            self.push(event, Some(&room));
        }
    }

    /// Told once, however often it happens before the app looks.
    pub(crate) fn push_resynchronised(&self) {
        if !self.resynchronised_waits.swap(true, Ordering::Relaxed) {
            self.push(Event::Resynchronised, None);
        }
    }
}

/// The app's end of the queue.
pub struct Events {
    queue: Receiver<Queued>,
    status: watch::Receiver<Status>,
    resynchronised_waits: Arc<AtomicBool>,
    confirm_automatically: bool,
    taken: Option<ReceivedEntry>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Events").field("waiting", &self.queue.len()).finish_non_exhaustive()
    }
}

impl Events {
    /// The next event; `None` once the client is closed and everything was taken. Cancel-safe: a future
    /// that is dropped has taken nothing.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(entry) = self.taken.take()
            && self.confirm_automatically
        {
            entry.confirm();
        }
        let event = self.take().await;
        match &event {
            Some(Event::Entry(entry)) if self.confirm_automatically => self.taken = Some(entry.clone()),
            Some(Event::Resynchronised) => self.resynchronised_waits.store(false, Ordering::Relaxed),
            _ => {}
        }
        event
    }

    async fn take(&mut self) -> Option<Event> {
        loop {
            // The end is told last.
            if self.status.borrow().is_ended()
                && let Some(queued) = self.queue.try_next()
            {
                return Some(queued.event);
            }
            tokio::select! {
                biased;
                changed = self.status.changed() => match changed {
                    Ok(()) if self.status.borrow().is_ended() && self.queue.len() > 0 => {
                        self.status.mark_changed();
                    }
                    Ok(()) => return Some(Event::Status(self.status.borrow_and_update().clone())),
                    Err(_) => return self.queue.next().await.map(|queued| queued.event),
                },
                queued = self.queue.next() => return queued.map(|queued| queued.event),
            }
        }
    }
}

/// A new queue.
pub(crate) fn queue(status: watch::Receiver<Status>, confirm_automatically: bool) -> (EventSender, Events) {
    let (sender, receiver) = event_queue();
    let room = EventRoom(Arc::new(Semaphore::new(usize::try_from(EVENTS_KIB_MAX).unwrap_or(usize::MAX))));
    let resynchronised_waits = Arc::new(AtomicBool::new(false));
    let events = Events {
        queue: receiver,
        status,
        resynchronised_waits: Arc::clone(&resynchronised_waits),
        confirm_automatically,
        taken: None,
    };
    (EventSender { queue: sender, room, resynchronised_waits }, events)
}
