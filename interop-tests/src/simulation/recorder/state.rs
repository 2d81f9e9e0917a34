//! What the recorder remembers, and the checks.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use fulmar_client::ReceivedEntry;
use fulmar_protocol::{ConversationId, ConversationKind, ErrorCode, HoleReason, Seq, UserId};

use super::MessageId;
use super::log::{Log, Seen};
use super::violation::{Invariant, Violation};

/// Lines kept to tell what led to a violation.
const RECENT_MAX: usize = 400;
/// Answers that a server remembers of a device in a conversation. A backup that is further behind may send
/// again what was accepted before: nobody can know it.
const ANSWERS_REMEMBERED: usize = 64;

#[derive(Debug, Default)]
pub(super) struct State {
    devices: BTreeMap<usize, Device>,
    messages: BTreeMap<MessageId, Message>,
    logs: BTreeMap<ConversationId, Log>,
    /// Where each message appeared.
    appeared: BTreeMap<MessageId, (ConversationId, Seq)>,
    /// What was read in a user's name.
    read: BTreeMap<(UserId, ConversationId), Seq>,
    pub(super) recent: VecDeque<String>,
    pub(super) violation: Option<Violation>,
    pub(super) digest: u64,
    pub(super) entries_handed: u64,
    pub(super) messages_accepted: u64,
}

#[derive(Clone, Debug)]
struct Device {
    user: UserId,
    cursors: BTreeMap<ConversationId, Cursor>,
    /// How many messages it had begun to send when its backup was made.
    backup: Option<usize>,
    /// Conversations in which a send of a former life failed.
    failed: BTreeMap<ConversationId, usize>,
    /// In the order of sending.
    sent: Vec<MessageId>,
}

/// How far a device was handed a conversation.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    last: Seq,
    /// The furthest that any life of the app was handed.
    furthest: Seq,
    /// The app died since: it may begin anywhere up to the entry after the last.
    anew: bool,
}

#[derive(Clone, Debug)]
struct Message {
    device: usize,
    conversation: ConversationId,
    /// It is in the outbox for good, and must have an answer in the end.
    owed: bool,
    /// A backup came between: it may appear twice, or not at all.
    disturbed: bool,
    accepted: Option<Seq>,
    refused: bool,
}

impl State {
    pub(super) fn tell(&mut self, now: Duration, text: String) {
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

    fn violate(&mut self, now: Duration, invariant: Invariant, what: String) {
        self.tell(now, format!("VIOLATED {invariant}: {what}"));
        self.violation.get_or_insert(Violation { invariant, what, at: now });
    }

    fn hash(&mut self, now: Duration, event: impl Hash) {
        let mut hasher = DefaultHasher::new();
        (self.digest, now, event).hash(&mut hasher);
        self.digest = hasher.finish();
    }

    pub(super) fn device(&mut self, number: usize, user: &UserId) {
        let device = Device {
            user: user.clone(),
            cursors: BTreeMap::new(),
            backup: None,
            failed: BTreeMap::new(),
            sent: Vec::new(),
        };
        self.devices.insert(number, device);
    }

    fn device_mut(&mut self, number: usize) -> &mut Device {
        self.devices.get_mut(&number).expect("a device that was announced")
    }

    pub(super) fn new_message(
        &mut self,
        now: Duration,
        device: usize,
        conversation: ConversationId,
    ) -> MessageId {
        let id = MessageId(u64::try_from(self.messages.len()).unwrap_or(u64::MAX));
        let message =
            Message { device, conversation, owed: false, disturbed: false, accepted: None, refused: false };
        self.messages.insert(id, message);
        self.device_mut(device).sent.push(id);
        self.tell(now, format!("device {device}: sends m{} to {}", id.0, short(conversation)));
        id
    }

    pub(super) fn enqueued(&mut self, id: MessageId) {
        self.messages.get_mut(&id).expect("a message").owed = true;
    }

    pub(super) fn accepted(&mut self, now: Duration, id: MessageId, seq: Seq) {
        self.messages_accepted += 1;
        self.hash(now, (1, id.0, seq));
        let message = self.messages.get_mut(&id).expect("a message");
        message.accepted = Some(seq);
        let (device, conversation) = (message.device, message.conversation);
        self.tell(now, format!("device {device}: m{} accepted as {seq} of {}", id.0, short(conversation)));
        let seen = self.logs.get(&conversation).and_then(|log| log.entries.get(&seq));
        if let Some(seen) = seen.filter(|seen| seen.message() != Some(id)) {
            let what =
                format!("m{} was accepted as {seq} of {}, which is {seen:?}", id.0, short(conversation));
            self.violate(now, Invariant::AcceptedIsNeverLost, what);
        }
    }

    pub(super) fn refused(&mut self, now: Duration, id: MessageId, code: ErrorCode) {
        self.hash(now, (2, id.0, code.code()));
        let message = self.messages.get_mut(&id).expect("a message");
        message.refused = true;
        let device = message.device;
        self.tell(now, format!("device {device}: m{} refused, {code}", id.0));
    }

    pub(super) fn send_failed(&mut self, now: Duration, device: usize, conversation: ConversationId) {
        self.hash(now, (3, device, conversation));
        *self.device_mut(device).failed.entry(conversation).or_default() += 1;
    }

    pub(super) fn handed(&mut self, now: Duration, device: usize, entry: &ReceivedEntry) {
        let (conversation, seq) = (entry.conversation, entry.seq);
        self.entries_handed += 1;
        self.hash(now, (4, device, conversation, seq));
        self.move_cursor(now, device, conversation, seq, seq);
        let Some(seen) = Seen::of(entry) else {
            let what = format!("entry {seq} of {} does not decode", short(conversation));
            return self.violate(now, Invariant::AcceptedIsNeverLost, what);
        };
        if let Some(id) = seen.message() {
            let (place, number) = (short(conversation), entry.client_seq);
            self.tell(now, format!("device {device}: handed {seq} of {place}, m{} (send {number})", id.0));
            self.check_once(now, id, conversation, seq);
        }
        let log = self.logs.entry(conversation).or_default();
        if let Some(known) = log.entries.get(&seq) {
            if *known != seen {
                let what = format!("entry {seq} of {} is {known:?} and {seen:?}", short(conversation));
                self.violate(now, Invariant::AcceptedIsNeverLost, what);
            }
            return;
        }
        log.entries.insert(seq, seen);
    }

    /// A message appears in one place only, and in the place that its sender was told.
    fn check_once(&mut self, now: Duration, id: MessageId, conversation: ConversationId, seq: Seq) {
        let place = *self.appeared.entry(id).or_insert((conversation, seq));
        let Some(message) = self.messages.get(&id) else {
            let what = format!("m{} was never sent", id.0);
            return self.violate(now, Invariant::EachSendOnceInOrder, what);
        };
        if place != (conversation, seq) && !message.disturbed {
            let what = format!("m{} is both {} and {seq} of {}", id.0, place.1, short(conversation));
            return self.violate(now, Invariant::EachSendOnceInOrder, what);
        }
        if let Some(accepted) = message.accepted.filter(|accepted| *accepted != seq && !message.disturbed) {
            let what = format!("m{} was accepted as {accepted} and handed over as {seq}", id.0);
            self.violate(now, Invariant::AcceptedIsNeverLost, what);
        }
    }

    pub(super) fn skipped(
        &mut self,
        now: Duration,
        device: usize,
        conversation: ConversationId,
        first: Seq,
        last: Seq,
        reason: HoleReason,
    ) {
        self.hash(now, (5, device, conversation, first, last));
        self.tell(now, format!("device {device}: {first} to {last} of {} {reason:?}", short(conversation)));
        self.move_cursor(now, device, conversation, first, last);
    }

    fn move_cursor(
        &mut self,
        now: Duration,
        number: usize,
        conversation: ConversationId,
        first: Seq,
        last: Seq,
    ) {
        let cursors = &mut self.device_mut(number).cursors;
        let begin = Cursor { last: Seq::ZERO, furthest: Seq::ZERO, anew: false };
        let cursor = cursors.entry(conversation).or_insert(begin);
        let expected = cursor.last.next();
        let good = if cursor.anew { first <= cursor.furthest.next() } else { first == expected };
        *cursor = Cursor { last, furthest: cursor.furthest.max(last), anew: false };
        if !good {
            let what = format!(
                "device {number} was handed {first} of {} instead of {expected}",
                short(conversation)
            );
            self.violate(now, Invariant::EachSeqOnceInOrder, what);
        }
    }

    pub(super) fn last_handed(&self, device: usize, conversation: ConversationId) -> Option<Seq> {
        self.devices.get(&device)?.cursors.get(&conversation).map(|cursor| cursor.last)
    }

    pub(super) fn marked_read(&mut self, device: usize, conversation: ConversationId, seq: Seq) {
        let user = self.device_mut(device).user.clone();
        let read = self.read.entry((user, conversation)).or_insert(seq);
        *read = seq.max(*read);
    }

    pub(super) fn marks(
        &mut self,
        now: Duration,
        device: usize,
        conversation: ConversationId,
        user: &UserId,
        delivered: Seq,
        read: Seq,
    ) {
        self.hash(now, (6, device, conversation, user.as_str(), delivered, read));
        let of_user = self.devices.values().filter(|device| device.user == *user);
        let has = of_user.filter_map(|device| Some(device.cursors.get(&conversation)?.furthest)).max();
        if has.unwrap_or(Seq::ZERO) < delivered {
            let what = format!("{user} has {has:?} of {}, not {delivered}", short(conversation));
            self.violate(now, Invariant::MarksAreTrue, what);
        }
    }

    pub(super) fn app_died(&mut self, device: usize) {
        for cursor in self.device_mut(device).cursors.values_mut() {
            cursor.anew = true;
        }
    }

    pub(super) fn backed_up(&mut self, device: usize) {
        let device = self.device_mut(device);
        device.backup = Some(device.sent.len());
    }

    /// Messages since the backup may have left or not, and are sent again by nobody. Those before it may be sent
    /// again; where the server has forgotten the answer it cannot know them.
    pub(super) fn restored(&mut self, device: usize) {
        self.app_died(device);
        let device = self.device_mut(device);
        let at_backup = device.backup.unwrap_or(0);
        let sent = device.sent.clone();
        let mut since: BTreeMap<ConversationId, usize> = BTreeMap::new();
        for id in &sent[at_backup..] {
            let message = self.messages.get_mut(id).expect("a message");
            *since.entry(message.conversation).or_default() += 1;
            message.owed &= message.accepted.is_some();
        }
        for id in &sent[..at_backup] {
            let message = self.messages.get_mut(id).expect("a message");
            let forgotten =
                since.get(&message.conversation).is_some_and(|since| *since >= ANSWERS_REMEMBERED / 2);
            message.disturbed |= forgotten;
        }
    }

    /// What is missing, if all is to have come to rest.
    pub(super) fn missing(&self, devices: &[usize]) -> Option<String> {
        for (id, message) in &self.messages {
            if let Some(seq) = message.accepted.filter(|_| !self.appeared.contains_key(id)) {
                return Some(format!("m{} was accepted as {seq} and nobody was handed it", id.0));
            }
            let failed = self.devices[&message.device].failed.get(&message.conversation);
            let answered = message.accepted.is_some() || message.refused || failed.is_some();
            if message.owed && !message.disturbed && !answered && !self.appeared.contains_key(id) {
                return Some(format!("m{} of device {} has no answer", id.0, message.device));
            }
        }
        for (id, log) in &self.logs {
            let head = log.head().unwrap_or(Seq::ZERO);
            let Ok(membership) = log.membership(id.kind()) else { continue };
            let members = membership.members();
            for number in devices {
                let device = &self.devices[number];
                let last = device.cursors.get(id).map_or(Seq::ZERO, |cursor| cursor.last);
                if members.contains(&device.user) && last < head {
                    let what =
                        format!("device {number} ({}) has {last} of {head} in {}", device.user, short(*id));
                    return Some(what);
                }
            }
        }
        None
    }

    pub(super) fn check_end(&mut self, now: Duration, devices: &[usize]) {
        if let Some(what) = self.missing(devices) {
            self.violate(now, Invariant::EverythingArrives, what);
        }
        let found: Vec<(Invariant, String)> =
            self.logs.iter().filter_map(|(id, log)| self.check_log(*id, log)).collect();
        for (invariant, what) in found {
            self.violate(now, invariant, what);
        }
    }

    fn check_log(&self, id: ConversationId, log: &Log) -> Option<(Invariant, String)> {
        let place = short(id);
        let mut newest: BTreeMap<usize, MessageId> = BTreeMap::new();
        let mut last_at = None;
        for (position, (seq, seen)) in log.entries.iter().enumerate() {
            if usize::try_from(seq.get()).is_ok_and(|seq| seq != position + 1) {
                return Some((
                    Invariant::EverythingArrives,
                    format!("nobody was handed what is before {seq} of {place}"),
                ));
            }
            if last_at.is_some_and(|last| seen.at < last) {
                return Some((
                    Invariant::EachSeqOnceInOrder,
                    format!("{seq} of {place} is older than the one before"),
                ));
            }
            last_at = Some(seen.at);
            let Some((message, of)) = seen.message().and_then(|id| Some((id, self.messages.get(&id)?)))
            else {
                continue;
            };
            let before = newest.insert(of.device, message);
            if before.is_some_and(|before| before > message) && !of.disturbed {
                let what =
                    format!("m{} of device {} comes after a later one in {place}", message.0, of.device);
                return Some((Invariant::EachSendOnceInOrder, what));
            }
        }
        let membership = match log.membership(id.kind()) {
            Ok(membership) => membership,
            Err(what) => return Some((Invariant::MembersOnly, format!("{what} of {place}"))),
        };
        if id.kind() == ConversationKind::Direct {
            return None;
        }
        for (number, device) in &self.devices {
            let Some(cursor) = device.cursors.get(&id) else { continue };
            // Entries only: holes that are hidden move the cursor too, and show nothing.
            if cursor.last > Seq::ZERO && !membership.may_read(&device.user, cursor.last) {
                let what = format!("device {number} ({}) was handed {} of {place}", device.user, cursor.last);
                return Some((Invariant::MembersOnly, what));
            }
        }
        None
    }
}

/// Enough of an id to tell conversations apart.
fn short(id: ConversationId) -> String {
    id.to_string().chars().take(8).collect()
}
