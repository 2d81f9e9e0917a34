//! What was sent and what the server said of it, held against what each device was handed. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use fulmar_client::{ConversationId, Seq};

use super::device_log::Findings;

/// A message that is in an outbox or beyond: it must come out, once.
#[derive(Debug, Clone)]
struct Sent {
    conversation: ConversationId,
    body: Bytes,
    /// Where the server says that it is, if the answer arrived.
    accepted: Option<Seq>,
}

/// Everything that was sent.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: Vec<Sent>,
    by_body: HashMap<Bytes, usize>,
    /// The highest seq that the server named, for any entry.
    heads: BTreeMap<ConversationId, Seq>,
}

/// What the comparison gave.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Messages that the server has: answered, or found in the log after the answer was lost.
    pub(super) accepted: u64,
    /// Copies of messages that devices were handed.
    pub(super) delivered: u64,
    /// Entries that a device should have and has not, or has with another body.
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    pub(super) out_of_order: u64,
    pub(super) handed_again: u64,
}

impl Ledger {
    /// A message is in an outbox.
    pub(super) fn sent(&mut self, conversation: ConversationId, body: Bytes) {
        self.by_body.insert(body.clone(), self.sent.len());
        self.sent.push(Sent { conversation, body, accepted: None });
    }

    /// The server answered for a message.
    pub(super) fn accepted(&mut self, body: &Bytes, seq: Seq) {
        if let Some(sent) = self.by_body.get(body).and_then(|index| self.sent.get_mut(*index)) {
            sent.accepted = Some(seq);
            let conversation = sent.conversation;
            self.head(conversation, seq);
        }
    }

    /// The server answered for an entry that is no message.
    pub(super) fn head(&mut self, conversation: ConversationId, seq: Seq) {
        let head = self.heads.entry(conversation).or_insert(seq);
        *head = (*head).max(seq);
    }

    /// Up to where each conversation must have come.
    pub(super) fn heads(&self) -> &BTreeMap<ConversationId, Seq> {
        &self.heads
    }

    /// Messages whose answer did not arrive.
    pub(super) fn unanswered(&self) -> Vec<Bytes> {
        self.sent.iter().filter(|sent| sent.accepted.is_none()).map(|sent| sent.body.clone()).collect()
    }

    /// Holds what was sent to a conversation against what the logs of its members' devices hold.
    pub(super) fn compare(&self, conversation: ConversationId, devices: &[Findings]) -> Verdict {
        let mut verdict = Verdict::default();
        let messages = || self.sent.iter().filter(|sent| sent.conversation == conversation);
        let answered: HashSet<Seq> = messages().filter_map(|sent| sent.accepted).collect();
        let head = self.heads.get(&conversation).map_or(0, |head| head.get());
        let mut found = HashSet::new();
        for findings in devices {
            verdict.duplicated += findings.duplicated;
            verdict.out_of_order += findings.out_of_order;
            verdict.handed_again += findings.handed_again;
            let bodies = findings.entries.iter().filter_map(|(seq, body)| Some((body.as_ref()?, *seq)));
            let places: HashMap<&Bytes, Seq> = bodies.collect();
            verdict.delivered += count(places.iter());
            verdict.lost += count(messages().filter(|sent| match (places.get(&sent.body), sent.accepted) {
                (Some(place), Some(accepted)) => *place != accepted,
                (place, _) => place.is_none(),
            }));
            let others = (1..=head).map(Seq::new).filter(|seq| !answered.contains(seq));
            verdict.lost += count(others.filter(|seq| !findings.entries.contains_key(seq)));
            found.extend(places.into_keys());
        }
        verdict.accepted =
            count(messages().filter(|sent| sent.accepted.is_some() || found.contains(&sent.body)));
        verdict
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

impl Verdict {
    pub(super) fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
        self.handed_again += other.handed_again;
    }
}

#[cfg(test)]
mod tests {
    use fulmar_client::UserId;

    use super::*;
    use crate::demo::device_log::DeviceLog;

    fn conversation() -> ConversationId {
        let user = UserId::parse("alice").expect("a user id");
        ConversationId::direct(&user, &user)
    }

    fn body(number: u64) -> Bytes {
        Bytes::from(format!("message {number}"))
    }

    /// Three messages, accepted as entries 2 to 4; entry 1 is something else.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.head(conversation(), Seq::FIRST);
        for number in 2..=4 {
            ledger.sent(conversation(), body(number));
            ledger.accepted(&body(number), Seq::new(number));
        }
        ledger
    }

    fn log(seqs: &[u64]) -> Findings {
        logged(seqs).examine(conversation())
    }

    fn logged(seqs: &[u64]) -> DeviceLog {
        let mut log = DeviceLog::default();
        for seq in seqs {
            log.entry(conversation(), Seq::new(*seq), (*seq > 1).then(|| body(*seq)));
        }
        log
    }

    #[test]
    fn what_every_device_has_is_not_lost() {
        let verdict = ledger().compare(conversation(), &[log(&[1, 2, 3, 4]), log(&[1, 2, 3, 4])]);
        assert_eq!(verdict, Verdict { accepted: 3, delivered: 6, ..Verdict::default() });
    }

    #[test]
    fn what_one_device_lacks_is_lost_message_or_not() {
        assert_eq!(ledger().compare(conversation(), &[log(&[1, 2, 3, 4]), log(&[1, 2, 4])]).lost, 1);
        assert_eq!(ledger().compare(conversation(), &[log(&[2, 3, 4])]).lost, 1);
        assert_eq!(ledger().compare(conversation(), &[log(&[])]).lost, 4);
    }

    #[test]
    fn a_message_in_another_place_than_was_answered_is_lost() {
        let mut log = logged(&[1, 2]);
        log.entry(conversation(), Seq::new(3), Some(body(4)));
        log.entry(conversation(), Seq::new(4), Some(body(3)));
        assert_eq!(ledger().compare(conversation(), &[log.examine(conversation())]).lost, 2);
    }

    #[test]
    fn a_message_whose_answer_was_lost_must_come_out_all_the_same() {
        let mut ledger = ledger();
        ledger.sent(conversation(), body(5));
        assert_eq!(ledger.unanswered(), [body(5)]);
        assert_eq!(ledger.compare(conversation(), &[log(&[1, 2, 3, 4])]).lost, 1);
        let verdict = ledger.compare(conversation(), &[log(&[1, 2, 3, 4, 5])]);
        assert_eq!((verdict.lost, verdict.accepted), (0, 4));
    }
}
