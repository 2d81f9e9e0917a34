//! One conversation as this process holds it: the queue of sends that wait for the append, and the newest
//! entries, shared by all lanes.
//!
//! One append is in flight at a time; what arrives meanwhile is the next batch. Nothing here is a source of
//! truth: a conversation that nobody holds is dropped, and the next one to ask builds it again from the
//! store.

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
    tail::Tail,
};
use crate::{
    limits::{APPEND_BATCH_BYTES_MAX, APPEND_BATCH_SENDS_MAX},
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

    /// Takes in what an append of this process made durable.
    pub(super) fn publish(&self, appended: &Appended) {
        self.cache_roster(&appended.roster);
        let now = Instant::now();
        let entries = appended.entries.iter();
        let entries: Vec<_> =
            entries.map(|entry| StoredEntry { accepted: Some(now), ..entry.clone() }).collect();
        let mut tail = self.tail.lock();
        tail.extend(&appended.head, &entries);
        appended.redacted.iter().for_each(|changed| tail.replace(changed));
    }

    /// Takes in what another node made durable, and told. `redacted`: older entries changed too.
    pub(crate) fn take_in(&self, head: &Head, entries: &[StoredEntry], redacted: bool) {
        let mut tail = self.tail.lock();
        if redacted {
            tail.forget();
        }
        tail.extend(head, entries);
    }

    /// Takes note of a head that was read.
    pub(crate) fn know(&self, head: &Head) {
        self.tail.lock().know(head);
    }

    /// The newest head that this process knows of, if it knows of one.
    pub(crate) fn known_head(&self) -> Option<Head> {
        self.tail.lock().head().cloned()
    }

    /// Entries from `from` on, if the tail reaches back that far: at most `limit`, none when `from` is past
    /// what is known. `None` means: read the store.
    pub(crate) fn tail_from(&self, from: Seq, limit: usize) -> Option<Vec<StoredEntry>> {
        self.tail.lock().from(from, limit)
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
