//! One conversation as this process holds it: the queue of sends that wait for the append, and the newest
//! entries, shared by all lanes.
//!
//! One append is in flight at a time; what arrives meanwhile is the next batch. Nothing here is a source of
//! truth: a conversation that nobody holds is dropped, and the next one to ask builds it again from the
//! store. `Tail` only ever holds durable entries, contiguous up to the head it names.

use std::{collections::VecDeque, sync::Arc};

use fulmar_protocol::{ConversationId, Seq};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

use super::{
    append::{Appended, SendOutcome, SendRequest},
    entry::StoredEntry,
    roster::Roster,
};
use crate::{
    limits::{APPEND_BATCH_BYTES_MAX, APPEND_BATCH_SENDS_MAX, TAIL_BYTES_MAX, TAIL_ENTRIES_MAX},
    rows::Head,
};

/// A send on its way, with the one who waits for its answer.
pub(crate) struct PendingSend {
    pub(crate) request: SendRequest,
    pub(crate) answer: oneshot::Sender<Result<SendOutcome, super::LogError>>,
    /// Its share of what a session may have unanswered; given back with the answer.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// The queue's bound is the sum of what sessions may have unanswered: each holds permits for the bytes
/// it queued (`UNANSWERED_BYTES_PER_SESSION_MAX`).
#[derive(Default)]
struct Queue {
    waiting: VecDeque<PendingSend>,
    append_in_flight: bool,
}

#[derive(Default)]
struct Tail {
    head: Option<Head>,
    entries: VecDeque<StoredEntry>,
    bytes: usize,
}

/// See the module.
pub(crate) struct Conversation {
    pub(crate) id: ConversationId,
    queue: Mutex<Queue>,
    tail: Mutex<Tail>,
    roster: Mutex<Option<Arc<Roster>>>,
}

impl Conversation {
    pub(super) fn new(id: ConversationId) -> Self {
        Self { id, queue: Mutex::default(), tail: Mutex::default(), roster: Mutex::default() }
    }

    /// Queues a send. `true`: no append is in flight, and the caller must see that one runs.
    pub(super) fn enqueue(&self, send: PendingSend) -> bool {
        let mut queue = self.queue.lock();
        queue.waiting.push_back(send);
        !std::mem::replace(&mut queue.append_in_flight, true)
    }

    /// The next batch, or `None`: the queue is empty and no append is in flight any more.
    pub(super) fn next_batch(&self) -> Option<Vec<PendingSend>> {
        let mut queue = self.queue.lock();
        let mut bytes = 0;
        let mut count = 0;
        for send in queue.waiting.iter().take(APPEND_BATCH_SENDS_MAX) {
            bytes += send.request.content.len();
            if count > 0 && bytes > APPEND_BATCH_BYTES_MAX {
                break;
            }
            count += 1;
        }
        if count == 0 {
            queue.append_in_flight = false;
            return None;
        }
        Some(queue.waiting.drain(..count).collect())
    }

    /// Takes in what an append made durable.
    pub(super) fn publish(&self, appended: &Appended) {
        *self.roster.lock() = Some(Arc::clone(&appended.roster));
        let now = Instant::now();
        let mut tail = self.tail.lock();
        tail.head = Some(appended.head.clone());
        for entry in &appended.entries {
            tail.bytes += entry.frame.len();
            tail.entries.push_back(StoredEntry { accepted: Some(now), ..entry.clone() });
        }
        for redacted in &appended.redacted {
            for entry in tail.entries.iter_mut().filter(|entry| entry.seq == redacted.seq) {
                *entry = redacted.clone();
            }
        }
        while tail.entries.len() > TAIL_ENTRIES_MAX || tail.bytes > TAIL_BYTES_MAX {
            match tail.entries.pop_front() {
                Some(entry) => tail.bytes = tail.bytes.saturating_sub(entry.frame.len()),
                None => break,
            }
        }
    }

    /// The head as of the last append in this process, if there was one.
    pub(crate) fn published_head(&self) -> Option<Head> {
        self.tail.lock().head.clone()
    }

    /// Entries from `from` on, if the tail reaches back that far: at most `limit`, none when `from` is past
    /// the head. `None` means: read the store.
    pub(crate) fn tail_from(&self, from: Seq, limit: usize) -> Option<Vec<StoredEntry>> {
        let tail = self.tail.lock();
        if tail.head.as_ref().is_some_and(|head| from > head.seq) {
            return Some(Vec::new());
        }
        let first = tail.entries.front()?.seq;
        let skip = usize::try_from(from.get().checked_sub(first.get())?).ok()?;
        Some(tail.entries.iter().skip(skip).take(limit).cloned().collect())
    }

    pub(super) fn cached_roster(&self) -> Option<Arc<Roster>> {
        self.roster.lock().clone()
    }

    pub(super) fn cache_roster(&self, roster: &Arc<Roster>) {
        let mut cached = self.roster.lock();
        if cached.as_ref().is_none_or(|cached| cached.version < roster.version) {
            *cached = Some(Arc::clone(roster));
        }
    }
}
