//! What one device was handed, written down as it came, and what is wrong with it. Pure.
//!
//! The log of a conversation must begin with seq 1 and go on without repeat, reordering or gap, but for
//! ranges that were named as skipped and then fetched. After the app was killed it may be handed again what
//! it had not confirmed durably: then the log goes back by some entries, and from there on without a gap.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use fulmar_client::{ConversationId, Seq};

/// Something that a device was handed, in the order of handing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// An entry; `body` where it is a message.
    Entry { seq: Seq, body: Option<Bytes> },
    /// A range that was named as skipped.
    Named { last: Seq },
    /// An entry of such a range, fetched.
    Fetched { seq: Seq, body: Option<Bytes> },
    /// The app was killed and started again.
    Restarted,
}

/// What one device was handed.
#[derive(Debug, Default)]
pub(super) struct DeviceLog {
    conversations: HashMap<ConversationId, Vec<Step>>,
    reached: HashMap<ConversationId, Seq>,
    bodies: HashSet<Bytes>,
}

/// What is wrong with a log, and what it holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Entries by seq.
    pub(super) entries: BTreeMap<Seq, Option<Bytes>>,
    /// Entries handed over twice without a restart, and messages that stand in the log twice.
    pub(super) duplicated: u64,
    /// Entries handed over after a later one.
    pub(super) out_of_order: u64,
    /// Entries handed over again after a restart, as they must be when they were not confirmed.
    pub(super) handed_again: u64,
}

impl DeviceLog {
    pub(super) fn entry(&mut self, conversation: ConversationId, seq: Seq, body: Option<Bytes>) {
        self.bodies.extend(body.clone());
        self.reach(conversation, seq);
        self.conversations.entry(conversation).or_default().push(Step::Entry { seq, body });
    }

    pub(super) fn named(&mut self, conversation: ConversationId, last: Seq) {
        self.conversations.entry(conversation).or_default().push(Step::Named { last });
    }

    pub(super) fn fetched(&mut self, conversation: ConversationId, seq: Seq, body: Option<Bytes>) {
        self.bodies.extend(body.clone());
        self.reach(conversation, seq);
        self.conversations.entry(conversation).or_default().push(Step::Fetched { seq, body });
    }

    pub(super) fn restarted(&mut self) {
        for steps in self.conversations.values_mut() {
            steps.push(Step::Restarted);
        }
    }

    fn reach(&mut self, conversation: ConversationId, seq: Seq) {
        let reached = self.reached.entry(conversation).or_insert(seq);
        *reached = (*reached).max(seq);
    }

    /// The highest seq that was handed over.
    pub(super) fn reached(&self, conversation: ConversationId) -> Seq {
        self.reached.get(&conversation).copied().unwrap_or(Seq::ZERO)
    }

    /// Whether a message was handed over.
    pub(super) fn has(&self, body: &Bytes) -> bool {
        self.bodies.contains(body)
    }

    /// How many messages were handed over, each counted once.
    pub(super) fn messages(&self) -> u64 {
        u64::try_from(self.bodies.len()).unwrap_or(u64::MAX)
    }

    /// Looks through the log of a conversation.
    pub(super) fn examine(&self, conversation: ConversationId) -> Findings {
        let mut findings = Findings::default();
        let mut bodies = HashMap::new();
        let mut next = Seq::FIRST;
        let mut may_go_back = false;
        for step in self.conversations.get(&conversation).into_iter().flatten() {
            match step {
                Step::Restarted => may_go_back = true,
                Step::Named { last } => next = next.max(last.next()),
                Step::Fetched { seq, body } => findings.keep(*seq, body.as_ref(), &mut bodies),
                Step::Entry { seq, body } => {
                    if *seq >= next {
                        // A gap shows as what is missing from the entries in the end.
                        next = seq.next();
                    } else if may_go_back {
                        findings.handed_again += next.get().saturating_sub(seq.get());
                        next = seq.next();
                    } else if findings.entries.contains_key(seq) {
                        findings.duplicated += 1;
                    } else {
                        findings.out_of_order += 1;
                    }
                    may_go_back = false;
                    findings.keep(*seq, body.as_ref(), &mut bodies);
                }
            }
        }
        findings
    }
}

impl Findings {
    fn keep(&mut self, seq: Seq, body: Option<&Bytes>, bodies: &mut HashMap<Bytes, Seq>) {
        self.entries.insert(seq, body.cloned());
        if let Some(body) = body {
            let first = *bodies.entry(body.clone()).or_insert(seq);
            if first != seq {
                self.duplicated += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fulmar_client::UserId;

    use super::*;

    fn conversation() -> ConversationId {
        let user = UserId::parse("alice").expect("a user id");
        ConversationId::direct(&user, &user)
    }

    fn body(text: &str) -> Option<Bytes> {
        Some(Bytes::from(text.to_owned()))
    }

    fn handed(seqs: &[u64]) -> DeviceLog {
        let mut log = DeviceLog::default();
        for seq in seqs {
            log.entry(conversation(), Seq::new(*seq), body(&format!("message {seq}")));
        }
        log
    }

    fn faults(log: &DeviceLog) -> (u64, u64, usize) {
        let findings = log.examine(conversation());
        (findings.duplicated, findings.out_of_order, findings.entries.len())
    }

    #[test]
    fn a_log_in_order_has_no_faults() {
        assert_eq!(faults(&handed(&[1, 2, 3])), (0, 0, 3));
    }

    #[test]
    fn a_repeat_a_reordering_and_a_gap_are_found() {
        assert_eq!(faults(&handed(&[1, 2, 2, 3])), (1, 0, 3));
        assert_eq!(faults(&handed(&[1, 3, 2])), (0, 1, 3));
        assert_eq!(faults(&handed(&[1, 3])), (0, 0, 2));
    }

    #[test]
    fn a_message_that_stands_in_the_log_twice_is_found() {
        let mut log = handed(&[1, 2]);
        log.entry(conversation(), Seq::new(3), body("message 1"));
        assert_eq!(faults(&log), (1, 0, 3));
    }

    #[test]
    fn only_a_restart_may_go_back_and_then_once() {
        let mut log = handed(&[1, 2, 3]);
        log.restarted();
        for seq in [2, 3, 4] {
            log.entry(conversation(), Seq::new(seq), body(&format!("message {seq}")));
        }
        assert_eq!(faults(&log), (0, 0, 4));
        assert_eq!(log.examine(conversation()).handed_again, 2);
        log.entry(conversation(), Seq::new(4), body("message 4"));
        assert_eq!(faults(&log), (1, 0, 4));
    }

    #[test]
    fn what_was_named_and_fetched_is_no_fault() {
        let mut log = handed(&[1]);
        log.named(conversation(), Seq::new(3));
        for seq in [2, 3] {
            log.fetched(conversation(), Seq::new(seq), body(&format!("message {seq}")));
        }
        log.entry(conversation(), Seq::new(4), body("message 4"));
        assert_eq!(faults(&log), (0, 0, 4));
    }
}
