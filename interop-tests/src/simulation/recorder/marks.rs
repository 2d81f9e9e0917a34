//! Marks and unread figures: what devices are told of them is no more than is true.
//!
//! Much of it can only be told at the end, when the log is known: what was claimed is remembered by its
//! extremes, as marks only grow.

use std::time::Duration;

use fulmar_client::{ConversationState, InboxItem};
use fulmar_protocol::{ConversationId, Seq, UserId};

use super::log::{Handed, Log};
use super::state::{State, short};
use super::violation::Invariant;

/// What was said of a user in a conversation, to anybody.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claims {
    /// They have read up to here.
    read: Option<Seq>,
    /// They have read at least so many messages.
    read_messages: u64,
    /// So many were unread.
    unread: u64,
    /// The conversation goes this far.
    head: Option<Seq>,
}

impl Claims {
    fn reads(&mut self, seq: Seq) {
        self.read = self.read.max(Some(seq));
    }
}

impl State {
    pub(super) fn marked_read(&mut self, device: usize, conversation: ConversationId, seq: Seq) {
        let user = self.device_mut(device).user.clone();
        let read = self.read.entry((user, conversation)).or_insert(seq);
        *read = seq.max(*read);
    }

    fn claims(&mut self, user: &UserId, conversation: ConversationId) -> &mut Claims {
        self.claims.entry((user.clone(), conversation)).or_default()
    }

    fn claims_of(&mut self, device: usize, conversation: ConversationId) -> &mut Claims {
        let user = self.device_mut(device).user.clone();
        self.claims(&user, conversation)
    }

    pub(super) fn marks(
        &mut self,
        now: Duration,
        device: usize,
        conversation: ConversationId,
        user: &UserId,
        (delivered, read): (Seq, Seq),
    ) {
        self.hash(now, (6, device, conversation, user.as_str(), delivered, read));
        self.claims(user, conversation).reads(read);
        let of_user = self.devices.values().filter(|device| device.user == *user);
        let has = of_user.filter_map(|device| Some(device.cursors.get(&conversation)?.furthest)).max();
        if has.unwrap_or(Seq::ZERO) < delivered {
            let what = format!("{user} has {has:?} of {}, not {delivered}", short(conversation));
            self.violate(now, Invariant::MarksAreTrue, what);
        }
    }

    pub(super) fn unread(
        &mut self,
        now: Duration,
        device: usize,
        conversation: ConversationId,
        read: Seq,
        unread: u64,
    ) {
        self.hash(now, (7, device, conversation, read, unread));
        let claims = self.claims_of(device, conversation);
        claims.reads(read);
        claims.unread = claims.unread.max(unread);
    }

    pub(super) fn conversation(&mut self, now: Duration, device: usize, state: &ConversationState) {
        self.hash(now, (8, device, state.id, state.head, state.read_seq, state.unread));
        let claims = self.claims_of(device, state.id);
        claims.reads(state.read_seq);
        claims.unread = claims.unread.max(state.unread);
        claims.head = claims.head.max(Some(state.head));
        if state.read_seq > state.head {
            let what =
                format!("{} is read to {} and goes to {}", short(state.id), state.read_seq, state.head);
            self.violate(now, Invariant::MarksAreTrue, what);
        }
    }

    /// The newest entry that the device knew of may be a later one, so this is the least that was read.
    pub(super) fn claim_unread(&mut self, device: usize, entry: &Handed) {
        let claims = self.claims_of(device, entry.conversation);
        claims.read_messages =
            claims.read_messages.max(entry.ordinal.get().saturating_sub(entry.unread_after));
        claims.unread = claims.unread.max(entry.unread_after);
    }

    /// How far a user can have read at most.
    fn read_at_most(&self, user: &UserId, conversation: ConversationId, log: &Log) -> Seq {
        let marked = self.read.get(&(user.clone(), conversation)).copied().unwrap_or(Seq::ZERO);
        marked.max(log.read_by_writing(user))
    }

    /// A claim that is not true of the log as it is in the end.
    pub(super) fn false_claim(&self, conversation: ConversationId, log: &Log) -> Option<String> {
        for ((user, of), claims) in &self.claims {
            if *of != conversation {
                continue;
            }
            let at_most = self.read_at_most(user, conversation, log);
            if let Some(read) = claims.read.filter(|read| *read > at_most) {
                return Some(format!("{user} was said to have read {read}, and has read {at_most}"));
            }
            let messages = log.ordinal_at(at_most);
            if claims.read_messages > messages.get() {
                let claimed = claims.read_messages;
                return Some(format!(
                    "{user} was said to have read {claimed} messages, and has read {messages}"
                ));
            }
            let all = log.ordinal_at(log.head());
            if claims.unread > all.get() {
                return Some(format!("{} of {all} messages were unread for {user}", claims.unread));
            }
            if let Some(head) = claims.head.filter(|head| *head > log.head()) {
                return Some(format!("{user} was told of {head}, and there is {}", log.head()));
            }
        }
        None
    }

    /// What the server says of a user's conversations when all has come to rest.
    pub(super) fn check_inbox(&mut self, now: Duration, device: usize, items: &[InboxItem]) {
        let user = self.device_mut(device).user.clone();
        for item in items {
            let said = Standing { head: item.head, read: item.read, unread: item.unread };
            if let Some(what) = self.false_standing(&user, item.conversation, said) {
                let what = format!("device {device} ({user}), {}: {what}", short(item.conversation));
                self.violate(now, Invariant::MarksAreTrue, what);
            }
        }
        let listed = |id| items.iter().any(|item| item.conversation == id);
        let unlisted = self.logs.iter().find(|(id, log)| {
            !listed(**id) && self.membership(**id, log).is_ok_and(|of| of.is_member(&user))
        });
        if let Some((id, _)) = unlisted {
            let what = format!("{} is not in the inbox of device {device} ({user})", short(*id));
            self.violate(now, Invariant::EverythingArrives, what);
        }
    }

    pub(super) fn false_standing(
        &self,
        user: &UserId,
        conversation: ConversationId,
        said: Standing,
    ) -> Option<String> {
        let log = self.logs.get(&conversation)?;
        let Ok(membership) = self.membership(conversation, log) else { return None };
        if !membership.is_member(user) {
            return None;
        }
        if said.head != log.head() {
            return Some(format!("the inbox ends at {}, the log at {}", said.head, log.head()));
        }
        let (least, most) = (log.read_by_writing(user), self.read_at_most(user, conversation, log));
        if said.read < least || said.read > most {
            return Some(format!("read to {}, which is not between {least} and {most}", said.read));
        }
        let unread = log.ordinal_at(log.head()).get() - log.ordinal_at(said.read).get();
        (said.unread != unread).then(|| format!("{} unread, not {unread}, after {}", said.unread, said.read))
    }
}

/// How a conversation stands for a user, as the server says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) head: Seq,
    pub(super) read: Seq,
    pub(super) unread: u64,
}
