//! What must hold, whatever happens: the invariants of the design, checked from what the apps were told.
//!
//! The recorder sees what apps see and nothing else: what they enqueued, what they were answered, what they
//! were handed. From the first sight of an entry on, everybody must be handed the same one. What can be told
//! at once is checked at once; the rest, such as who was a member when, at the end.

mod log;
mod state;
mod violation;

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Event, ReceivedEntry};
use fulmar_protocol::{ConversationId, ErrorCode, HoleReason, Seq, UserId};
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
        self.with(|state, now| state.tell(now, text.into()));
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
        match event {
            Event::Entry(entry) => self.handed(device, entry),
            Event::Skipped { conversation, first, last, reason } => {
                self.skipped(device, *conversation, *first, *last, *reason);
            }
            Event::Marks { conversation, user, delivered, read } => self.with(|state, now| {
                state.marks(now, device, *conversation, user, *delivered, *read);
            }),
            Event::SendFailed { conversation, client_seq, code } => self.with(|state, now| {
                state.send_failed(now, device, *conversation);
                state.tell(now, format!("device {device}: send {client_seq} failed, {code}"));
            }),
            Event::Status(status) => self.note(format!("device {device}: {status:?}")),
            _ => {}
        }
    }

    fn handed(&self, device: usize, entry: &ReceivedEntry) {
        self.with(|state, now| state.handed(now, device, entry));
    }

    fn skipped(
        &self,
        device: usize,
        conversation: ConversationId,
        first: Seq,
        last: Seq,
        reason: HoleReason,
    ) {
        self.with(|state, now| state.skipped(now, device, conversation, first, last, reason));
    }

    /// The app marks a conversation read.
    pub fn marked_read(&self, device: usize, conversation: ConversationId, seq: Seq) {
        self.with(|state, _| state.marked_read(device, conversation, seq));
    }

    /// The app on a device died: it may be handed again what it had not confirmed for good.
    pub fn app_died(&self, device: usize) {
        self.with(|state, now| {
            state.tell(now, format!("device {device}: crashes"));
            state.app_died(device);
        });
    }

    /// A backup was made of a device's disk.
    pub fn backed_up(&self, device: usize) {
        self.with(|state, now| {
            state.tell(now, format!("device {device}: backed up"));
            state.backed_up(device);
        });
    }

    /// The backup took the place of a device's disk, while its app was not running.
    pub fn restored(&self, device: usize) {
        self.with(|state, now| {
            state.tell(now, format!("device {device}: restored"));
            state.restored(device);
        });
    }

    /// The last entry of a conversation that a device was handed.
    #[must_use]
    pub fn last_handed(&self, device: usize, conversation: ConversationId) -> Option<Seq> {
        self.with(|state, _| state.last_handed(device, conversation))
    }

    /// Whether every device that is a member has been handed everything, and every message has its answer.
    #[must_use]
    pub fn is_complete(&self, devices: &[usize]) -> bool {
        self.with(|state, _| state.missing(devices).is_none())
    }

    /// What is checked when all has come to rest: that nothing is missing, and who was a member when.
    pub fn check_end(&self, devices: &[usize]) {
        self.with(|state, now| state.check_end(now, devices));
    }

    /// The first thing that was wrong.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.with(|state, _| state.violation.clone())
    }

    /// A hash over all that apps were told and when.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.with(|state, _| state.digest)
    }

    /// How many entries were handed over to devices, and how many messages accepted.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        self.with(|state, _| (state.entries_handed, state.messages_accepted))
    }

    /// What happened last, oldest first.
    #[must_use]
    pub fn last_events(&self) -> Vec<String> {
        self.with(|state, _| state.recent.iter().cloned().collect())
    }
}
