//! What the recorder remembers. The checks stand in the files beside it, by what they are about.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use fulmar_protocol::{ConversationId, ConversationKind, ErrorCode, Seq, UserId};

use super::log::Log;
use super::marks::Claims;
use super::membership::Membership;
use super::violation::{Invariant, Violation};
use super::{MessageId, Summary};

/// Lines kept to tell what led to a violation.
const RECENT_MAX: usize = 2_000;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) devices: BTreeMap<usize, Device>,
    pub(super) messages: BTreeMap<MessageId, Message>,
    pub(super) logs: BTreeMap<ConversationId, Log>,
    /// Whose direct conversation each is.
    peers: BTreeMap<ConversationId, BTreeSet<UserId>>,
    /// Where each message appeared.
    pub(super) appeared: BTreeMap<MessageId, (ConversationId, Seq)>,
    /// What was marked read in a user's name.
    pub(super) read: BTreeMap<(UserId, ConversationId), Seq>,
    /// What was said of a user's marks.
    pub(super) claims: BTreeMap<(UserId, ConversationId), Claims>,
    recent: VecDeque<String>,
    pub(super) violation: Option<Violation>,
    digest: u64,
    pub(super) entries_handed: u64,
    pub(super) messages_accepted: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) user: UserId,
    pub(super) cursors: BTreeMap<ConversationId, Cursor>,
    /// Every entry that it was handed, holes left out.
    pub(super) handed: BTreeSet<(ConversationId, Seq)>,
    /// How many messages it had begun to send when its backup was made.
    pub(super) backup: Option<usize>,
    /// Conversations in which a send of a former life failed.
    pub(super) failed: BTreeSet<ConversationId>,
    /// In the order of sending.
    pub(super) sent: Vec<MessageId>,
}

/// How far a device was handed a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) last: Seq,
    /// The furthest that any life of the app was handed.
    pub(super) furthest: Seq,
    /// The app died since: it may begin anywhere up to the entry after the last.
    pub(super) anew: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) device: usize,
    pub(super) conversation: ConversationId,
    /// It is in the outbox for good, and must have an answer in the end.
    pub(super) owed: bool,
    /// A backup came between: it may appear twice, or not at all.
    pub(super) disturbed: bool,
    pub(super) accepted: Option<Seq>,
    pub(super) refused: Option<ErrorCode>,
}

impl State {
    pub(super) fn tell(&mut self, now: Duration, text: &str) {
        tracing::debug!("{:.6} {text}", now.as_secs_f64());
        if self.violation.is_some() {
            // What led there is of interest, not what came of it.
            return;
        }
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(format!("{:>12.6} {text}", now.as_secs_f64()));
    }

    pub(super) fn violate(&mut self, now: Duration, invariant: Invariant, what: String) {
        self.tell(now, &format!("VIOLATED {invariant}: {what}"));
        self.violation.get_or_insert(Violation { invariant, what, at: now });
    }

    pub(super) fn hash(&mut self, now: Duration, event: impl Hash) {
        let mut hasher = DefaultHasher::new();
        (self.digest, now, event).hash(&mut hasher);
        self.digest = hasher.finish();
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            digest: self.digest,
            entries_handed: self.entries_handed,
            messages_accepted: self.messages_accepted,
            last_events: self.recent.iter().cloned().collect(),
        }
    }

    pub(super) fn device(&mut self, number: usize, user: &UserId) {
        let device = Device {
            user: user.clone(),
            cursors: BTreeMap::new(),
            handed: BTreeSet::new(),
            backup: None,
            failed: BTreeSet::new(),
            sent: Vec::new(),
        };
        self.devices.insert(number, device);
        for other in self.devices.values() {
            let both = BTreeSet::from([user.clone(), other.user.clone()]);
            self.peers.insert(ConversationId::direct(user, &other.user), both);
        }
    }

    pub(super) fn device_mut(&mut self, number: usize) -> &mut Device {
        self.devices.get_mut(&number).expect("a device that was announced")
    }

    pub(super) fn message_mut(&mut self, id: MessageId) -> &mut Message {
        self.messages.get_mut(&id).expect("a message that was announced")
    }

    pub(super) fn membership(&self, id: ConversationId, log: &Log) -> Result<Membership, String> {
        match id.kind() {
            ConversationKind::Direct => {
                let peers = self.peers.get(&id).ok_or("nobody's direct conversation")?;
                Membership::of_direct(peers, log)
            }
            ConversationKind::Group => Membership::of_group(log),
        }
    }
}

/// Enough of an id to tell conversations apart.
pub(super) fn short(id: ConversationId) -> String {
    id.to_string().chars().take(8).collect()
}
