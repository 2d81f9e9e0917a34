//! What one device was handed, held against what was sent. Pure.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_client::{Content, ConversationId, ReceivedEntry, Seq, UserId};

/// An entry as the app sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) sender: UserId,
    /// `None`: no message.
    pub(super) body: Option<String>,
}

/// What one device was handed, from the first entry of each conversation on.
#[derive(Debug, Default)]
pub(super) struct DeviceLog {
    conversations: BTreeMap<ConversationId, Vec<Handed>>,
    /// Since the app was last started: up to where each conversation was handed over.
    handed: BTreeMap<ConversationId, u64>,
    pub(super) trouble: Vec<String>,
}

impl DeviceLog {
    /// The app starts again: what it had not confirmed may be handed over once more.
    pub(super) fn restarted(&mut self) {
        self.handed.clear();
    }

    pub(super) fn entry(&mut self, entry: &ReceivedEntry) {
        let body = match &entry.content {
            Some(Content::Message(message)) => Some(String::from_utf8_lossy(&message.body).into_owned()),
            _ => None,
        };
        self.handed(entry.conversation, entry.seq, Handed { sender: entry.sender.clone(), body });
    }

    fn handed(&mut self, conversation: ConversationId, seq: Seq, entry: Handed) {
        let entries = self.conversations.entry(conversation).or_default();
        let at = seq.get();
        let reached = entries.len() as u64;
        let expected = self.handed.get(&conversation).map(|handed| handed + 1);
        if expected.is_some_and(|expected| at != expected) || at > reached + 1 {
            self.trouble.push(format!("{conversation}: {at} came where {expected:?} was to come"));
        }
        self.handed.insert(conversation, at);
        match usize::try_from(at - 1).ok().and_then(|index| entries.get(index)) {
            None => entries.push(entry),
            Some(before) if *before == entry => {}
            Some(before) => {
                self.trouble.push(format!("{conversation}: {at} was {before:?}, and is {entry:?}"))
            }
        }
    }

    pub(super) fn reached(&self, conversation: ConversationId) -> u64 {
        self.conversations.get(&conversation).map_or(0, |entries| entries.len() as u64)
    }

    pub(super) fn entries(&self, conversation: ConversationId) -> &[Handed] {
        self.conversations.get(&conversation).map_or(&[], Vec::as_slice)
    }
}

/// Everything that went into an outbox.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: BTreeMap<ConversationId, BTreeMap<String, Option<Seq>>>,
}

impl Ledger {
    pub(super) fn sent(&mut self, conversation: ConversationId, body: String) {
        let before = self.sent.entry(conversation).or_default().insert(body, None);
        assert_eq!(before, None, "bodies are all different");
    }

    pub(super) fn accepted(&mut self, conversation: ConversationId, body: &str, seq: Seq) {
        *self.sent.get_mut(&conversation).unwrap().get_mut(body).unwrap() = Some(seq);
    }

    pub(super) fn conversations(&self) -> Vec<ConversationId> {
        self.sent.keys().copied().collect()
    }

    pub(super) fn sent_count(&self) -> usize {
        self.sent.values().map(BTreeMap::len).sum()
    }

    pub(super) fn accepted_count(&self) -> usize {
        self.sent.values().flat_map(BTreeMap::values).flatten().count()
    }

    /// How many messages a device must have of a conversation.
    pub(super) fn count_in(&self, conversation: ConversationId) -> usize {
        self.sent.get(&conversation).map_or(0, BTreeMap::len)
    }

    /// Whether a device has each message once, nothing else, all where the answers said, and those of one sending
    /// device in the order in which it sent them.
    pub(super) fn assert_holds(&self, device: &str, conversation: ConversationId, entries: &[Handed]) {
        let sent = &self.sent[&conversation];
        let (mut found, mut last) = (BTreeSet::new(), BTreeMap::new());
        for (seq, body) in (1..).zip(entries).filter_map(|(seq, entry)| Some((seq, entry.body.as_ref()?))) {
            let Some(accepted) = sent.get(body) else { panic!("{device}: {body:?} was never sent") };
            assert!(accepted.is_none_or(|accepted| accepted.get() == seq), "{device}: {body:?} is at {seq}");
            assert!(found.insert(body), "{device}: {body:?} twice");
            let (by, number) = body.rsplit_once(' ').unwrap();
            let number: u64 = number.parse().unwrap();
            let before = last.insert(by, number);
            assert!(before.is_none_or(|before| before < number), "{device}: {body:?} after {before:?}");
        }
        let lost: Vec<_> = sent.keys().filter(|body| !found.contains(body)).collect();
        assert_eq!(lost, Vec::<&String>::new(), "{device} lacks {} of {}", lost.len(), sent.len());
    }
}
