//! What must hold, whatever happens: the invariants of the design, checked from what the apps were told.
//!
//! The recorder sees what apps see and nothing else: what they enqueued, what they were answered, what they
//! were handed. From the first sight of an entry on, everybody must be handed the same one. What can be told
//! at once is checked at once; the rest, such as who was a member when, at the end.

mod end;
mod handing;
mod log;
mod marks;
mod membership;
mod sending;
mod state;
#[cfg(test)]
mod tests;
mod violation;

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Event, InboxItem, Status};
use fulmar_protocol::{ConversationId, ErrorCode, Seq, UserId};
use parking_lot::Mutex;
use tokio::time::Instant;

pub use violation::{Invariant, Violation};

use state::State;

/// See the module. Clones are the same recorder.
#[derive(Clone, Debug)]
pub struct Recorder {
    state: Arc<Mutex<State>>,
    origin: Instant,
}

/// A message's mark in its body, by which the recorder knows it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId(u64);

/// What there is to say of a run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// A hash over all that apps were told and when.
    pub digest: u64,
    /// Entries that devices were handed.
    pub entries_handed: u64,
    /// Messages that the server accepted.
    pub messages_accepted: u64,
    /// What happened last, oldest first.
    pub last_events: Vec<String>,
}

impl MessageId {
    /// A body of about so many bytes that says which message it is.
    #[must_use]
    pub fn body(self, bytes: usize) -> String {
        let mark = format!("m{} ", self.0);
        let rest = bytes.saturating_sub(mark.len());
        mark + &"x".repeat(rest)
    }

    fn of_body(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        text.strip_prefix('m')?.split(' ').next()?.parse().ok().map(Self)
    }
}

impl Recorder {
    /// Begins at this moment of the runtime's clock.
    #[must_use]
    pub fn new(origin: Instant) -> Self {
        Self { state: Arc::default(), origin }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = self.state.lock();
        act(&mut state, self.origin.elapsed())
    }

    /// Something worth telling beside the events, when it comes to telling.
    pub fn note(&self, text: impl Into<String>) {
        self.with(|state, now| state.tell(now, &text.into()));
    }

    /// A device of this user will be heard of under this number.
    pub fn device(&self, number: usize, user: &UserId) {
        self.with(|state, _| state.device(number, user));
    }

    /// The app is about to enqueue a message.
    #[must_use]
    pub fn new_message(&self, device: usize, conversation: ConversationId) -> MessageId {
        self.with(|state, now| state.new_message(now, device, conversation))
    }

    /// It is in the device's outbox, durably.
    pub fn enqueued(&self, message: MessageId) {
        self.with(|state, _| state.enqueued(message));
    }

    /// The server accepted it.
    pub fn accepted(&self, message: MessageId, seq: Seq) {
        self.with(|state, now| state.accepted(now, message, seq));
    }

    /// The server refused it for good.
    pub fn refused(&self, message: MessageId, code: ErrorCode) {
        self.with(|state, now| state.refused(now, message, code));
    }

    /// A device was told something.
    pub fn told(&self, device: usize, event: &Event) {
        self.with(|state, now| match event {
            Event::Entry(entry) => state.handed(now, device, &entry.into()),
            Event::Skipped { conversation, first, last, reason } => {
                state.skipped(now, device, *conversation, (*first, *last), *reason);
            }
            Event::Marks { conversation, user, delivered, read } => {
                state.marks(now, device, *conversation, user, (*delivered, *read));
            }
            Event::Unread { conversation, read_seq, unread } => {
                state.unread(now, device, *conversation, *read_seq, *unread);
            }
            Event::Conversation(conversation) => state.conversation(now, device, conversation),
            Event::SendFailed { conversation, client_seq, code } => {
                state.send_failed(now, device, *conversation);
                state.tell(now, &format!("device {device}: send {client_seq} failed, {code}"));
            }
            Event::Status(Status::Offline { reason, .. }) => {
                state.tell(now, &format!("device {device}: offline, {reason}"));
            }
            Event::Status(Status::Ended { code: Some(_), reason }) => {
                let what = format!("device {device} ended: {reason}");
                state.violate(now, Invariant::NobodyGivesUp, what);
            }
            Event::Status(status) => state.tell(now, &format!("device {device}: {status:?}")),
            _ => {}
        });
    }

    /// The app marks a conversation read.
    pub fn marked_read(&self, device: usize, conversation: ConversationId, seq: Seq) {
        self.with(|state, _| state.marked_read(device, conversation, seq));
    }

    /// The app on a device died: it may be handed again what it had not confirmed for good.
    pub fn app_died(&self, device: usize) {
        self.with(|state, now| {
            state.tell(now, &format!("device {device}: its app ends"));
            state.app_died(device);
        });
    }

    /// A backup was made of a device's disk.
    pub fn backed_up(&self, device: usize) {
        self.with(|state, now| {
            state.tell(now, &format!("device {device}: backed up"));
            state.backed_up(device);
        });
    }

    /// The backup took the place of a device's disk, while its app was not running.
    pub fn restored(&self, device: usize) {
        self.with(|state, now| {
            state.tell(now, &format!("device {device}: restored"));
            state.restored(device);
        });
    }

    /// The last entry of a conversation that a device was handed.
    #[must_use]
    pub fn last_handed(&self, device: usize, conversation: ConversationId) -> Option<Seq> {
        self.with(|state, _| state.last_handed(device, conversation))
    }

    /// The last messages of a user in a conversation that can be edited or redacted, the last first.
    #[must_use]
    pub fn messages_of(&self, user: &UserId, conversation: ConversationId, count: usize) -> Vec<Seq> {
        self.with(|state, _| state.messages_of(user, conversation, count))
    }

    /// What is missing until every device that is a member has been handed everything, and every message has
    /// its answer: the first thing found.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        self.with(|state, _| state.missing())
    }

    /// What is checked when all has come to rest: that nothing is missing, and who was a member when.
    pub fn check_end(&self) {
        self.with(|state, now| state.check_end(now));
    }

    /// When all has come to rest: what the server says to a device of its user's conversations.
    pub fn check_inbox(&self, device: usize, items: &[InboxItem]) {
        self.with(|state, now| state.check_inbox(now, device, items));
    }

    /// The first thing that was wrong.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.with(|state, _| state.violation.clone())
    }

    /// Something was wrong that the recorder itself cannot see.
    pub fn violated(&self, invariant: Invariant, what: String) {
        self.with(|state, now| state.violate(now, invariant, what));
    }

    /// What there is to say of the run so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.state.lock().summary()
    }

    /// The same from outside the world, or `None` when the world holds it for longer than this.
    #[must_use]
    pub fn snapshot(&self, wait: Duration) -> Option<Summary> {
        self.state.try_lock_for(wait).map(|state| state.summary())
    }
}
