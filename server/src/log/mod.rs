//! The conversation log: everything that changes or reads a conversation, written once above the store.
//!
//! `submit` is the one way in. `run_batches` turns what is queued into one transaction after another,
//! publishes what is durable, answers, and tells `Listeners` whose heads moved. Reading goes the other
//! way round: lanes and requests read from a seq, and know nothing of who wrote.
//!
//! Absent on purpose: sessions, streams and frames. The log is told who asks, and trusts it.

mod append;
mod conversation;
mod draft;
mod entry;
mod history;
mod inbox;
mod marks;
mod read;
mod roster;
mod rules;
mod tail;
#[cfg(test)]
mod tests;
mod users;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use fulmar_protocol::{ConversationId, ErrorCode, UserId};
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

pub(crate) use append::{Appended, LaneState, SendOutcome, SendRequest, Sender};
pub(crate) use conversation::{Conversation, PendingSend};
pub(crate) use entry::StoredEntry;
pub(crate) use history::{HistoryItem, LaneStart};
pub(crate) use inbox::{Behind, Missed};
pub(crate) use marks::{ConfirmRefusal, CursorClaim};
pub(crate) use roster::Roster;
pub(crate) use users::{DeviceRegistration, epoch};

use crate::{
    clock::Clock,
    fault::Faults,
    limits::Limits,
    metrics::Metrics,
    rows::{Head, Key, RowError},
    store::{RunError, Snapshot, Store, StoreError},
};

/// Why the log could not do as asked. Refusals are not among them: those are answers.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Row(#[from] RowError),
    /// The request is refused with this code.
    #[error("refused: {}", .0.name())]
    Refused(ErrorCode),
    #[error("the transaction did not finish: {0}")]
    Unfinished(String),
}

impl LogError {
    pub(crate) fn malformed_key(row: &'static str) -> Self {
        Self::Row(RowError::malformed(row))
    }

    /// What a peer is told.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Store(_) | Self::Unfinished(_) => ErrorCode::StoreUnavailable,
            Self::Row(_) => ErrorCode::Internal,
            Self::Refused(code) => *code,
        }
    }
}

impl From<RunError<LogError>> for LogError {
    fn from(error: RunError<LogError>) -> Self {
        match error {
            RunError::Aborted(error) => error,
            RunError::Store(error) => Self::Store(error),
        }
    }
}

/// What happened to a conversation. Only ever a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It has new entries.
    Head,
    /// Marks moved.
    Marks,
}

/// News, and whom it concerns.
#[derive(Clone, Debug)]
pub(crate) struct Notice<'n> {
    pub(crate) conversation: ConversationId,
    pub(crate) news: News,
    pub(crate) users: Vec<&'n UserId>,
    /// And everybody who has said that they want to hear of this large conversation.
    pub(crate) to_interested: bool,
    /// What was appended, if it is about that.
    pub(crate) appended: Option<&'n Appended>,
}

/// Who passes news on. Must return at once, and must not call back into the log.
pub(crate) trait Listeners: Send + Sync {
    fn tell(&self, notice: Notice<'_>);

    /// Why nothing may be appended now, if that is so.
    fn bars_appends(&self) -> Option<&'static str> {
        None
    }
}

/// The log of all conversations.
pub(crate) struct Log {
    store: Store,
    clock: Clock,
    limits: Arc<Limits>,
    listeners: Arc<dyn Listeners>,
    metrics: Arc<Metrics>,
    faults: Faults,
    /// Those that a lane, a send or a batch holds: as many as there are lanes and sends.
    conversations: Mutex<HashMap<ConversationId, Weak<Conversation>>>,
    batches: TaskTracker,
}

impl Log {
    pub(crate) fn new(
        store: Store,
        clock: Clock,
        limits: Arc<Limits>,
        listeners: Arc<dyn Listeners>,
        metrics: Arc<Metrics>,
        faults: Faults,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            clock,
            limits,
            listeners,
            metrics,
            faults,
            conversations: Mutex::default(),
            batches: TaskTracker::new(),
        })
    }

    /// The conversation as this process holds it, whether it exists in the store or not.
    pub(crate) fn conversation(&self, id: ConversationId) -> Arc<Conversation> {
        let mut conversations = self.conversations.lock();
        if let Some(conversation) = conversations.get(&id).and_then(Weak::upgrade) {
            return conversation;
        }
        // Dropped ones leave their key behind; sweep when those may outnumber the living.
        if conversations.len() == conversations.capacity() {
            conversations.retain(|_, conversation| conversation.strong_count() > 0);
        }
        let conversation = Arc::new(Conversation::new(id));
        conversations.insert(id, Arc::downgrade(&conversation));
        conversation
    }

    /// The conversation, if anybody here has it in hand.
    pub(crate) fn held_conversation(&self, id: &ConversationId) -> Option<Arc<Conversation>> {
        self.conversations.lock().get(id).and_then(Weak::upgrade)
    }

    /// Queues a send; the answer comes through it once it is durable. Dropping the receiver takes nothing
    /// back.
    pub(crate) fn submit(self: &Arc<Self>, conversation: &Arc<Conversation>, send: PendingSend) {
        if conversation.enqueue(send) {
            let log = Arc::clone(self);
            let conversation = Arc::clone(conversation);
            self.batches.spawn(async move { log.run_batches(&conversation).await });
        }
    }

    async fn run_batches(&self, conversation: &Arc<Conversation>) {
        while let Some(batch) = conversation.next_batch() {
            // Halves of a batch that was too large for one transaction; the first comes out first.
            let mut parts = vec![batch];
            while let Some(part) = parts.pop() {
                parts.extend(self.run_batch(conversation, part).await.into_iter().flatten());
            }
        }
    }

    /// Appends a batch and answers it; or gives it back in two parts, the second first, when together it is
    /// too large for one transaction.
    async fn run_batch(
        &self,
        conversation: &Arc<Conversation>,
        batch: Vec<PendingSend>,
    ) -> Option<[Vec<PendingSend>; 2]> {
        let started = tokio::time::Instant::now();
        let (requests, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|send| (send.request, (send.answer, send._room))).unzip();
        let requests: Arc<[SendRequest]> = requests.into();
        let result = self.append(conversation, Arc::clone(&requests)).await;
        self.metrics.append_batch_seconds.record(started.elapsed());
        match result {
            Ok(appended) => {
                self.count(&appended);
                conversation.publish(&appended);
                for (request, outcome) in requests.iter().zip(&appended.outcomes) {
                    if matches!(outcome, SendOutcome::Refused { code: ErrorCode::ClientSeqReused, .. }) {
                        request.lane.set_reused();
                    }
                }
                for ((answer, _room), outcome) in answers.into_iter().zip(&appended.outcomes) {
                    // Nobody waits any more when the session ended: the client will ask again.
                    let _ = answer.send(Ok(outcome.clone()));
                }
                if appended.is_news() {
                    self.tell(appended.notice(conversation.id));
                }
                None
            }
            Err(LogError::Store(StoreError::TransactionTooLarge)) if answers.len() > 1 => {
                let again = requests.iter().cloned().zip(answers);
                let mut first: Vec<_> =
                    again.map(|(request, (answer, _room))| PendingSend { request, answer, _room }).collect();
                let second = first.split_off(first.len() / 2);
                Some([second, first])
            }
            Err(error) => {
                tracing::warn!(conversation = %conversation.id, %error, "an append failed");
                for (answer, _room) in answers {
                    let _ = answer.send(Err(error.clone()));
                }
                None
            }
        }
    }

    /// Hints only, here and everywhere.
    fn tell(&self, mut notice: Notice<'_>) {
        notice.users.retain(|_| !self.faults.loses_hint());
        notice.to_interested = notice.to_interested && !self.faults.loses_hint();
        self.listeners.tell(notice);
    }

    fn count(&self, appended: &Appended) {
        let bytes: usize = appended.entries.iter().map(|entry| entry.frame.len()).sum();
        self.metrics.append_batch_bytes.record(count_as_f64(bytes));
        self.metrics.append_batch_entries.record(count_as_f64(appended.entries.len()));
        self.metrics.entries_accepted.increment(u64::try_from(appended.entries.len()).unwrap_or(u64::MAX));
        let is_duplicate =
            |outcome: &&SendOutcome| matches!(outcome, SendOutcome::Accepted { duplicate: true, .. });
        let duplicates = appended.outcomes.iter().filter(is_duplicate).count();
        self.metrics.duplicates_removed.increment(u64::try_from(duplicates).unwrap_or(u64::MAX));
    }

    async fn append(
        &self,
        conversation: &Conversation,
        requests: Arc<[SendRequest]>,
    ) -> Result<Appended, LogError> {
        if let Some(cause) = self.listeners.bars_appends() {
            return Err(LogError::Unfinished(cause.to_owned()));
        }
        let id = conversation.id;
        let cached = conversation.cached_roster();
        let now = self.clock.now();
        let (limits, faults) = (Arc::clone(&self.limits), self.faults.clone());
        let appended = self
            .store
            .run(move |transaction| {
                let (requests, cached) = (Arc::clone(&requests), cached.clone());
                let (limits, faults) = (Arc::clone(&limits), faults.clone());
                Box::pin(async move {
                    append::append(transaction, id, &requests, cached, now, &limits, &faults).await
                })
            })
            .await?;
        Ok(appended)
    }

    /// The newest durable state, to read from later.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.store.snapshot()
    }

    /// The head, as of the newest durable state.
    pub(crate) async fn head(&self, id: &ConversationId) -> Result<Option<Head>, LogError> {
        let row = self.store.snapshot().get(&Key::head(id)).await?;
        let head = row.map(|row| Head::decode(&row)).transpose()?;
        Ok(head.filter(Head::exists))
    }

    /// The roster, from the cache when it is still true.
    pub(crate) async fn roster(&self, id: ConversationId) -> Result<Option<Arc<Roster>>, LogError> {
        let snapshot = self.store.snapshot();
        let Some(head) = snapshot.get(&Key::head(&id)).await? else {
            return Ok(None);
        };
        let head = Head::decode(&head)?;
        if !head.exists() {
            return Ok(None);
        }
        let conversation = self.conversation(id);
        match conversation.cached_roster() {
            Some(roster) if roster.version == head.roster_version => Ok(Some(roster)),
            _ => {
                let roster = Arc::new(Roster::load(&snapshot, &id, &head).await?);
                conversation.cache_roster(&roster);
                Ok(Some(roster))
            }
        }
    }

    /// Waits for the appends in flight. Call once no session can submit any more.
    pub(crate) async fn finish(&self) {
        self.batches.close();
        self.batches.wait().await;
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(crate) fn now(&self) -> fulmar_protocol::TimestampMs {
        self.clock.now()
    }
}

/// Histograms take `f64`; batches are far below where that loses anything.
fn count_as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
