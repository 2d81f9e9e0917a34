//! The append: the one transaction that changes a conversation.
//!
//! A batch of sends goes through one after another; each is told apart from its duplicates by its
//! sender's window, judged by `rules`, and written by `Draft`. Head, windows and inbox rows are written
//! once for the whole batch. The closure may run again from the start, so nothing here outlives it.
//!
//! Holds: the seqs of a conversation are gapless; an accepted send appears once however often it is
//! retried; nobody but a member at that moment writes.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use fulmar_protocol::{
    BodyHash, ClientSeq, Content, ConversationId, Decision, DeviceId, DeviceTag, ErrorCode, Outcome,
    SenderWindow, Seq, TimestampMs, UserId,
};
use futures_util::future::try_join_all;

use super::{LogError, News, Notice, draft::Draft, entry::StoredEntry, roster::Roster, rules};
use crate::{
    fault::Faults,
    limits::Limits,
    rows::{Head, Key},
    store::Transaction,
};

/// Who sends: a device of a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sender {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) tag: DeviceTag,
}

/// One send as the session read it.
#[derive(Clone, Debug)]
pub(crate) struct SendRequest {
    pub(crate) sender: Sender,
    pub(crate) client_seq: ClientSeq,
    pub(crate) hash: BodyHash,
    /// The bytes as sent, which are hashed, stored and delivered.
    pub(crate) content: Bytes,
    /// What they mean, or why they mean nothing.
    pub(crate) parsed: Result<Content, ErrorCode>,
    /// Direct conversations: the other user, checked against the id.
    pub(crate) peer: Option<UserId>,
    /// The lane it came on.
    pub(crate) lane: Arc<LaneState>,
    /// It came before the handshake was complete, and may be a recording.
    pub(crate) early: bool,
}

/// What a send lane has come to.
#[derive(Debug, Default)]
pub(crate) struct LaneState {
    reused: AtomicBool,
}

impl LaneState {
    /// A number was reused on it. The client will send everything on the lane again as a new device, so that
    /// nothing more of it may be appended.
    pub(crate) fn set_reused(&self) {
        self.reused.store(true, Ordering::Release);
    }

    fn is_reused(&self) -> bool {
        self.reused.load(Ordering::Acquire)
    }
}

/// What became of one send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    Accepted {
        seq: Seq,
        at: TimestampMs,
        duplicate: bool,
    },
    Refused {
        code: ErrorCode,
        expected: Option<ClientSeq>,
    },
    /// It came early, and its body is known under another number: it is to come again when it is certain who
    /// sends it (FUL-SEND-23). Nothing was done.
    Deferred,
}

/// What a batch did, once it is durable.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) outcomes: Vec<SendOutcome>,
    pub(crate) head: Head,
    pub(crate) roster: Arc<Roster>,
    /// New entries, in order.
    pub(crate) entries: Vec<StoredEntry>,
    /// Older entries that lost their body.
    pub(crate) redacted: Vec<StoredEntry>,
    /// Users who left with this batch: they are told too.
    pub(crate) departed: Vec<UserId>,
    /// Users who came with it.
    pub(crate) joined: Vec<UserId>,
    /// An earlier attempt may have committed and told nobody: what is a duplicate now may be news.
    pub(crate) maybe_committed: bool,
    /// The conversation was large before: its members are not told one by one, but those who come and go are.
    pub(crate) was_large: bool,
}

impl Appended {
    /// Whether anybody has something to learn of it.
    pub(crate) fn is_news(&self) -> bool {
        !self.entries.is_empty() || self.maybe_committed
    }

    /// What is to be told of it, and to whom.
    pub(crate) fn notice(&self, conversation: ConversationId) -> Notice<'_> {
        let members = self.roster.members.keys().filter(|_| !self.was_large);
        let joined = self.joined.iter().filter(|_| self.was_large);
        Notice {
            conversation,
            news: News::Head,
            users: members.chain(joined).chain(&self.departed).collect(),
            to_interested: self.was_large,
            appended: Some(self),
        }
    }
}

/// Runs one batch. `cached` is a roster that was true at some time; it is used if its version still is.
pub(crate) async fn append(
    transaction: &Transaction,
    id: ConversationId,
    batch: &[SendRequest],
    cached: Option<Arc<Roster>>,
    now: TimestampMs,
    limits: &Limits,
    faults: &Faults,
) -> Result<Appended, LogError> {
    let Known { head, mut windows_stored, stored_bytes } =
        read_together(transaction, &id, batch, limits).await?;
    let roster = match cached {
        Some(roster) if roster.version == head.roster_version => roster,
        _ => Arc::new(Roster::load(transaction, &id, &head).await?),
    };
    let mut draft = Draft::new(transaction, id, head, roster, now, limits, faults);
    draft.know_stored_bytes(stored_bytes);
    let mut windows = BTreeMap::new();
    let mut outcomes = Vec::with_capacity(batch.len());
    // Lanes on which this very batch found a reused number; the others know it from their state.
    let mut reused = HashSet::new();
    for request in batch {
        let lane = Arc::as_ptr(&request.lane) as usize;
        let outcome = if request.lane.is_reused() || reused.contains(&lane) {
            REUSED
        } else {
            send(&mut draft, &mut windows, &mut windows_stored, request).await?
        };
        if outcome == REUSED {
            reused.insert(lane);
        }
        outcomes.push(outcome);
    }
    for (sender, window) in &windows {
        if let Window::Known { window, changed: true } = window {
            transaction.set(&Key::sender(&id, &sender.user, &sender.device), window.encode());
        }
    }
    draft.finish(outcomes).await
}

/// What every batch needs, as it is in the store.
struct Known {
    head: Head,
    windows_stored: BTreeMap<Sender, Option<Bytes>>,
    /// Of those who send, where there is a quota.
    stored_bytes: BTreeMap<UserId, Option<Bytes>>,
}

/// Reads it in one round trip, where a read is one.
async fn read_together(
    transaction: &Transaction,
    id: &ConversationId,
    batch: &[SendRequest],
    limits: &Limits,
) -> Result<Known, LogError> {
    let senders: BTreeSet<&Sender> = batch.iter().map(|request| &request.sender).collect();
    let mut users: BTreeSet<&UserId> = senders.iter().map(|sender| &sender.user).collect();
    if limits.stored_bytes_per_user_max == 0 {
        users.clear();
    }
    let mut keys = vec![Key::head(id)];
    keys.extend(senders.iter().map(|sender| Key::sender(id, &sender.user, &sender.device)));
    keys.extend(users.iter().map(|user| Key::stored_bytes(user)));
    let reads: Vec<_> = keys.iter().map(|key| transaction.get(key)).collect();
    let mut rows = try_join_all(reads).await?.into_iter();
    let head = match rows.next().flatten() {
        Some(value) => Head::decode(&value)?,
        None => Head::new(),
    };
    Ok(Known {
        head,
        windows_stored: senders.into_iter().cloned().zip(rows.by_ref()).collect(),
        stored_bytes: users.into_iter().cloned().zip(rows).collect(),
    })
}

const REUSED: SendOutcome = SendOutcome::Refused { code: ErrorCode::ClientSeqReused, expected: None };

/// A sender's window as this batch sees it.
enum Window {
    /// The sender has no row and is no member: none is written for strangers.
    Stranger,
    Known {
        window: SenderWindow,
        /// It is to be written: some send of the batch changed it, whatever those after it did.
        changed: bool,
    },
}

async fn send(
    draft: &mut Draft<'_>,
    windows: &mut BTreeMap<Sender, Window>,
    stored: &mut BTreeMap<Sender, Option<Bytes>>,
    request: &SendRequest,
) -> Result<SendOutcome, LogError> {
    let sender = &request.sender;
    if !windows.contains_key(sender) || matches!(windows.get(sender), Some(Window::Stranger)) {
        let row = match stored.remove(sender) {
            Some(row) => row,
            None => draft.transaction.get(&Key::sender(&draft.id, &sender.user, &sender.device)).await?,
        };
        let window = match row {
            Some(row) => {
                let window = SenderWindow::decode(&row);
                let window = window.map_err(|_| LogError::malformed_key("sender"))?;
                Window::Known { window, changed: false }
            }
            None if rules::may_begin(draft, request) => {
                Window::Known { window: SenderWindow::new(), changed: false }
            }
            None => Window::Stranger,
        };
        windows.insert(sender.clone(), window);
    }
    let Some(Window::Known { window, changed }) = windows.get_mut(sender) else {
        let code = rules::refusal_of_stranger(draft);
        return Ok(SendOutcome::Refused { code, expected: None });
    };
    let before = window.next_expected();
    let outcome = decide(draft, window, request).await?;
    *changed |= window.next_expected() != before;
    Ok(outcome)
}

async fn decide(
    draft: &mut Draft<'_>,
    window: &mut SenderWindow,
    request: &SendRequest,
) -> Result<SendOutcome, LogError> {
    match window.decide(request.client_seq, request.hash) {
        Decision::Duplicate(Outcome::Accepted(_)) if draft.faults.appends_duplicates() => {
            Ok(match draft.apply(request).await? {
                Ok(seq) => SendOutcome::Accepted { seq, at: draft.head.at, duplicate: false },
                Err(code) => SendOutcome::Refused { code, expected: None },
            })
        }
        Decision::Duplicate(Outcome::Accepted(seq)) => {
            let at = draft.entry(seq).await?.map_or(TimestampMs::new(0), |entry| entry.at);
            Ok(SendOutcome::Accepted { seq, at, duplicate: true })
        }
        Decision::Duplicate(Outcome::Refused(code)) => Ok(SendOutcome::Refused { code, expected: None }),
        Decision::Ahead { expected } => {
            Ok(SendOutcome::Refused { code: ErrorCode::ClientSeqAhead, expected: Some(expected) })
        }
        Decision::Reused => Ok(REUSED),
        Decision::Append if request.early && window.remembers(request.hash) => Ok(SendOutcome::Deferred),
        Decision::Append => match draft.apply(request).await? {
            Ok(seq) => {
                window.record(request.hash, Outcome::Accepted(seq));
                Ok(SendOutcome::Accepted { seq, at: draft.head.at, duplicate: false })
            }
            Err(code) => {
                // Nothing is remembered of sends to conversations that do not exist: anybody may name those.
                if draft.head.exists() && consumes_its_number(code) {
                    window.record(request.hash, Outcome::Refused(code));
                }
                Ok(SendOutcome::Refused { code, expected: None })
            }
        },
    }
}

/// Whether a refusal is remembered, so that a retry gets the same one (FUL-SEND). What a later change of
/// membership may mend is not, and neither is what waiting mends.
fn consumes_its_number(code: ErrorCode) -> bool {
    code.retry() == fulmar_protocol::Retry::Never
        && !matches!(code, ErrorCode::ConversationNotFound | ErrorCode::NotAMember)
}
