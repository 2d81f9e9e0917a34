//! What a device still has to send to one conversation, and what it has sent without an answer.
//!
//! Sending a send again, with the same number and body, is always safe: the server knows it. So after a lost
//! lane everything unanswered is sent again, lowest first. What is not safe is to give a number to another
//! body while a copy with the old number may still be on its way; therefore numbers change only between two
//! lanes.
//!
//! Invariants: numbers ascend; none is sent that lies 64 or more past the lowest that the caller's store may
//! still hold (the server remembers 64 answers, and after a restart the client asks for all that its store
//! holds); at most [`OutboxLimits`] are kept. Absent: the store that makes it survive a restart, and the
//! choice of back-off times. Both are the caller's.

mod error;
mod refusal;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::error_code::{ErrorCode, Retry};
use crate::frame::{Accepted, Refused, Send};
use crate::id::ClientSeq;
use crate::limits;

pub use error::{OutboxFull, OutboxInvalid};
pub use refusal::{Refusal, Renumbered};

/// The sends of one device to one conversation.
///
/// While a lane is open: [`push`](Self::push) and store the item; [`poll_send`](Self::poll_send) until it
/// answers `None`, and again at [`next_send_at`](Self::next_send_at); for each answer
/// [`handle_accepted`](Self::handle_accepted) or [`handle_refused`](Self::handle_refused), store that the item
/// is gone, and call [`settle`](Self::settle) when that is durable. When the lane is gone, or
/// [`needs_new_lane`](Self::needs_new_lane) says that it must go, reset it and call
/// [`handle_lane_lost`](Self::handle_lane_lost). New numbers are stored before anything is sent under them.
/// Before a session is open, [`unanswered_sends`](Self::unanswered_sends) may be sent along with its first
/// frame.
///
/// Otherwise, after a restart, a number could stand for another body, or a send be older than the 64 answers
/// that the server remembers.
#[derive(Clone, Debug)]
pub struct Outbox {
    limits: OutboxLimits,
    items: VecDeque<Item>,
    /// The sum of the contents' lengths.
    bytes: usize,
    next: ClientSeq,
    /// The lowest number that the caller's store may still hold.
    settled: ClientSeq,
    blocked_until: Duration,
    trouble: Option<Trouble>,
    /// Nothing from this number on is sent: see [`Outbox::hold_new`].
    held_from: Option<ClientSeq>,
}

/// How much an outbox keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Sends.
    pub items_max: usize,
    /// Bytes of content.
    pub bytes_max: usize,
}

/// A send without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxItem {
    /// Its number.
    pub client_seq: ClientSeq,
    /// The encoded content.
    pub content: Bytes,
}

#[derive(Clone, Debug)]
struct Item {
    send: OutboxItem,
    on_the_wire: bool,
}

/// Why nothing is sent for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The server expects this number, which no item has: on a new lane, those after it are numbered from it
    /// on.
    NumberMissing(ClientSeq),
    /// See [`Refusal::DeviceForgotten`].
    DeviceForgotten,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self { items_max: 1_024, bytes_max: 8 * 1_024 * 1_024 }
    }
}

impl Outbox {
    /// An outbox of a device that never sent to the conversation.
    #[must_use]
    pub const fn new(limits: OutboxLimits) -> Self {
        Self {
            limits,
            items: VecDeque::new(),
            bytes: 0,
            next: ClientSeq::FIRST,
            settled: ClientSeq::FIRST,
            blocked_until: Duration::ZERO,
            trouble: None,
            held_from: None,
        }
    }

    /// An outbox as it was stored: the number that comes next, and the unanswered sends in order.
    ///
    /// # Errors
    /// When the numbers do not ascend, or reach `next`.
    pub fn restore(
        limits: OutboxLimits,
        next: ClientSeq,
        stored: impl IntoIterator<Item = OutboxItem>,
    ) -> Result<Self, OutboxInvalid> {
        let mut outbox = Self::new(limits);
        outbox.next = next;
        let mut lowest = ClientSeq::FIRST;
        for send in stored {
            if send.client_seq < lowest || send.client_seq >= next {
                return Err(OutboxInvalid { at: send.client_seq });
            }
            lowest = send.client_seq.next();
            outbox.bytes = outbox.bytes.saturating_add(send.content.len());
            outbox.items.push_back(Item { send, on_the_wire: false });
        }
        outbox.settled = outbox.lowest_unanswered();
        Ok(outbox)
    }

    /// Takes an encoded content and gives it a number. Store both before [`poll_send`](Self::poll_send).
    ///
    /// # Errors
    /// When the outbox is full.
    pub fn push(&mut self, content: Bytes) -> Result<ClientSeq, OutboxFull> {
        let bytes = self.bytes.saturating_add(content.len());
        if self.items.len() >= self.limits.items_max || bytes > self.limits.bytes_max {
            return Err(OutboxFull { items: self.items.len(), bytes: self.bytes });
        }
        let client_seq = self.next;
        self.next = client_seq.next();
        self.bytes = bytes;
        self.items.push_back(Item { send: OutboxItem { client_seq, content }, on_the_wire: false });
        Ok(client_seq)
    }

    /// The next send that may go onto the open lane now, lowest number first.
    pub fn poll_send(&mut self, now: Duration) -> Option<Send> {
        if self.trouble.is_some() || now < self.blocked_until {
            return None;
        }
        let lowest = self.settled.get();
        let held_from = self.held_from;
        let may_go = |item: &Item| held_from.is_none_or(|from| item.send.client_seq < from);
        let item = self.items.iter_mut().find(|item| !item.on_the_wire).filter(|item| may_go(item))?;
        let ahead = usize::try_from(item.send.client_seq.get().saturating_sub(lowest)).unwrap_or(usize::MAX);
        if ahead >= limits::UNANSWERED_SENDS_MAX {
            return None;
        }
        item.on_the_wire = true;
        Some(Send { client_seq: item.send.client_seq, content: item.send.content.clone() })
    }

    /// What a lane that is opened before the session may begin with: everything unanswered as far as the window
    /// reaches, lowest number first. Marks nothing as sent: [`mark_sent`](Self::mark_sent) does, when the lane
    /// has become one of the session's.
    pub fn unanswered_sends(&self, now: Duration) -> impl Iterator<Item = Send> {
        let window = u64::try_from(limits::UNANSWERED_SENDS_MAX).unwrap_or(u64::MAX);
        let end = self.settled.get().saturating_add(window);
        let may_go = self.trouble.is_none() && now >= self.blocked_until;
        let end = self.held_from.map_or(end, |from| from.get().min(end));
        let within = self.items().take_while(move |item| may_go && item.client_seq.get() < end);
        within.map(|item| Send { client_seq: item.client_seq, content: item.content.clone() })
    }

    /// The open lane carries everything up to `number` already.
    pub fn mark_sent(&mut self, number: ClientSeq) {
        for item in self.items.iter_mut().take_while(|item| item.send.client_seq <= number) {
            item.on_the_wire = true;
        }
    }

    /// The lowest number without an answer, or the next one.
    #[must_use]
    pub fn lowest_unanswered(&self) -> ClientSeq {
        self.items.front().map_or(self.next, |item| item.send.client_seq)
    }

    /// The caller's store holds nothing below `number` any more: [`lowest_unanswered`](Self::lowest_unanswered) as it
    /// was when that was written. Until then the window does not move on.
    pub fn settle(&mut self, number: ClientSeq) {
        self.settled = self.settled.max(number.min(self.lowest_unanswered()));
    }

    /// Whether sends wait for [`settle`](Self::settle) and for nothing else.
    #[must_use]
    pub fn waits_for_settling(&self) -> bool {
        let window = u64::try_from(limits::UNANSWERED_SENDS_MAX).unwrap_or(u64::MAX);
        self.trouble.is_none()
            && self.settled < self.lowest_unanswered()
            && self
                .items
                .iter()
                .find(|item| !item.on_the_wire)
                .is_some_and(|item| item.send.client_seq.get().saturating_sub(self.settled.get()) >= window)
    }

    /// When [`poll_send`](Self::poll_send) is worth another call, where only time is missing.
    #[must_use]
    pub fn next_send_at(&self) -> Option<Duration> {
        let held_from = self.held_from;
        let may_go = |item: &Item| held_from.is_none_or(|from| item.send.client_seq < from);
        let waits = self.trouble.is_none() && self.items.iter().any(|item| !item.on_the_wire && may_go(item));
        waits.then_some(self.blocked_until)
    }

    /// A send is durable: the item, which is no longer in the outbox; `None` for an answer that came twice.
    pub fn handle_accepted(&mut self, accepted: &Accepted) -> Option<OutboxItem> {
        self.take(accepted.client_seq)
    }

    /// A send was refused. `back_off` is how long to wait where waiting helps and the server named no time.
    pub fn handle_refused(&mut self, refused: &Refused, now: Duration, back_off: Duration) -> Refusal {
        let number = refused.client_seq;
        let Ok(index) = self.index_of(number) else { return Refusal::Stale };
        match (refused.code, refused.code.retry()) {
            (ErrorCode::ClientSeqReused, _) => {
                self.trouble = Some(Trouble::DeviceForgotten);
                return Refusal::DeviceForgotten;
            }
            (ErrorCode::ClientSeqAhead, _) => {
                self.send_again(index);
                match refused.expected_client_seq {
                    Some(expected) if expected < number => self.handle_expected(expected),
                    // The server contradicts itself: not at once again.
                    _ => self.wait(refused.retry_after.unwrap_or(back_off), now),
                }
                return Refusal::Again;
            }
            (_, Retry::Never) => {}
            (_, Retry::Now) => {
                self.send_again(index);
                self.wait(refused.retry_after.unwrap_or_default(), now);
                return Refusal::Again;
            }
            (_, Retry::Later) => {
                self.send_again(index);
                self.wait(refused.retry_after.unwrap_or(back_off), now);
                return Refusal::Again;
            }
        }
        let Some(failed) = self.take(number) else { return Refusal::Stale };
        if !refused.code.consumes_client_seq() {
            self.handle_expected(number);
        }
        Refusal::Failed(failed)
    }

    /// Whether the lane must be reset, because numbers must change before anything more is sent.
    #[must_use]
    pub const fn needs_new_lane(&self) -> bool {
        matches!(self.trouble, Some(Trouble::NumberMissing(_)))
    }

    /// Whether a new device id is needed: see [`Refusal::DeviceForgotten`].
    #[must_use]
    pub const fn needs_new_device(&self) -> bool {
        matches!(self.trouble, Some(Trouble::DeviceForgotten))
    }

    /// Another conversation needs a new device id. What is in the outbox now may have been appended already, so it is
    /// sent until it is answered; what comes later is kept back, until [`renumber`](Self::renumber).
    pub fn hold_new(&mut self) {
        self.held_from.get_or_insert(self.next);
    }

    /// Whether nothing is left that might have been appended under the old device id: then it may be given up.
    #[must_use]
    pub fn is_settled_for_new_device(&self) -> bool {
        // Numbers may have gone back since, with a refusal that left them free.
        let first = self.items.front().map(|first| first.send.client_seq);
        self.needs_new_device() || self.held_from.zip(first).is_none_or(|(from, first)| first >= from)
    }

    /// The lane is gone, whoever ended it: what has no answer is sent again on the next. Answers with the
    /// numbers that changed, all at once; mostly none. The caller stores them before it sends.
    #[must_use = "changed numbers must be stored before anything is sent under them"]
    pub fn handle_lane_lost(&mut self) -> Vec<Renumbered> {
        self.items.iter_mut().for_each(|item| item.on_the_wire = false);
        match self.trouble {
            Some(Trouble::NumberMissing(expected)) => {
                self.trouble = None;
                let kept = self.items.partition_point(|item| item.send.client_seq < expected);
                self.number_from(kept, expected)
            }
            Some(Trouble::DeviceForgotten) | None => Vec::new(),
        }
    }

    /// Gives all sends new numbers from `first` on: for a new device id, or when a new epoch's server names
    /// what it expects. No lane may be open.
    #[must_use = "changed numbers must be stored before anything is sent under them"]
    pub fn renumber(&mut self, first: ClientSeq) -> Vec<Renumbered> {
        self.items.iter_mut().for_each(|item| item.on_the_wire = false);
        self.trouble = None;
        self.held_from = None;
        self.number_from(0, first)
    }

    /// The sends without an answer, in order.
    pub fn items(&self) -> impl Iterator<Item = &OutboxItem> {
        self.items.iter().map(|item| &item.send)
    }

    /// How many sends have no answer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether everything was answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The number that the next content gets. Stored with the items, as it outlives them.
    #[must_use]
    pub const fn next_client_seq(&self) -> ClientSeq {
        self.next
    }

    fn index_of(&self, number: ClientSeq) -> Result<usize, usize> {
        self.items.binary_search_by_key(&number, |item| item.send.client_seq)
    }

    fn take(&mut self, number: ClientSeq) -> Option<OutboxItem> {
        let index = self.index_of(number).ok()?;
        let item = self.items.remove(index)?;
        self.bytes = self.bytes.saturating_sub(item.send.content.len());
        Some(item.send)
    }

    fn send_again(&mut self, index: usize) {
        if let Some(item) = self.items.get_mut(index) {
            item.on_the_wire = false;
        }
    }

    fn wait(&mut self, time: Duration, now: Duration) {
        self.blocked_until = self.blocked_until.max(now.saturating_add(time));
    }

    /// The server expects `expected`, so none of the sends from there on was appended. If one of them has
    /// that number all is well: it goes first. If none has, they are numbered anew, but not while a copy of
    /// one may be on the lane.
    fn handle_expected(&mut self, expected: ClientSeq) {
        match self.index_of(expected) {
            Ok(_) => {}
            Err(index) if index == self.items.len() => {
                self.next = expected;
                self.settled = self.settled.min(expected);
            }
            Err(_) if self.trouble.is_none() => self.trouble = Some(Trouble::NumberMissing(expected)),
            Err(_) => {
                if let Some(Trouble::NumberMissing(earlier)) = &mut self.trouble {
                    *earlier = expected.min(*earlier);
                }
            }
        }
    }

    /// Numbers the items from `index` on without a gap, and what is pushed after them.
    fn number_from(&mut self, index: usize, first: ClientSeq) -> Vec<Renumbered> {
        let mut renumbered = Vec::new();
        let mut number = first;
        self.settled = if index == 0 { first } else { self.settled.min(first) };
        for item in self.items.iter_mut().skip(index) {
            let from = item.send.client_seq;
            item.send.client_seq = number;
            if from != number {
                renumbered.push(Renumbered { from, to: number });
            }
            number = number.next();
        }
        self.next = number;
        renumbered
    }
}

#[cfg(test)]
mod tests;
