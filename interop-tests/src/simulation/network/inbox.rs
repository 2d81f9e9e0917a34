//! What is on its way to a socket, and what waits there to be read.
//!
//! A packet counts against the bounds from its arrival to its reading. Whether there was room is found out when
//! the inbox is next looked at, in the order of arrivals; as only reading makes room, that comes to the same.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::task::Waker;
use std::time::Duration;

use super::counters::{Cause, Counters};
use super::limits::{INBOX_BYTES_DEFAULT, INBOX_PACKETS_DEFAULT, PACKETS_IN_FLIGHT_MAX};
use super::packet::{Direction, Packet};

/// How much may wait at each socket of a host, and how fast it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxOptions {
    /// Bytes of payload that may wait; the packet beyond is dropped.
    pub bytes_max: usize,
    /// Packets that may wait; the one beyond is dropped.
    pub packets_max: usize,
    /// How many packets the host gets done in a second. None: all at once.
    pub packets_per_second: Option<NonZeroU32>,
}

impl Default for InboxOptions {
    fn default() -> Self {
        Self { bytes_max: INBOX_BYTES_DEFAULT, packets_max: INBOX_PACKETS_DEFAULT, packets_per_second: None }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Tells this binding of the port from an earlier one.
    pub(super) binding: u64,
    coming: BTreeMap<(Duration, u64), Packet>,
    waiting: VecDeque<(Duration, Packet)>,
    waiting_bytes: usize,
    /// When the host gets round to the next packet.
    free_at: Duration,
    reader: Option<Waker>,
    writers: BTreeMap<u64, Waker>,
}

impl Inbox {
    pub(super) fn new(binding: u64) -> Self {
        Self {
            binding,
            coming: BTreeMap::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            free_at: Duration::ZERO,
            reader: None,
            writers: BTreeMap::new(),
        }
    }

    /// A packet that will arrive then; `order` tells apart those that arrive at the same moment.
    pub(super) fn expect(&mut self, at: Duration, order: u64, packet: Packet) -> Result<(), Cause> {
        if self.coming.len() >= PACKETS_IN_FLIGHT_MAX {
            return Err(Cause::TooManyInFlight);
        }
        self.coming.insert((at, order), packet);
        Ok(())
    }

    /// Takes in what has arrived by now, and drops what finds no room.
    pub(super) fn admit(&mut self, now: Duration, options: &InboxOptions, counters: &mut Counters) {
        while let Some(next) = self.coming.first_entry().filter(|next| next.key().0 <= now) {
            let ((at, _), packet) = next.remove_entry();
            let bytes = packet.payload.len();
            let full = self.waiting.len() >= options.packets_max
                || self.waiting_bytes.saturating_add(bytes) > options.bytes_max;
            if full {
                counters.drop(Direction::Down, Cause::InboxFull, bytes);
            } else {
                self.waiting_bytes = self.waiting_bytes.saturating_add(bytes);
                self.waiting.push_back((at, packet));
            }
        }
    }

    /// The next packet that the host has got round to.
    pub(super) fn read(&mut self, now: Duration, options: &InboxOptions) -> Option<Packet> {
        if let Some(rate) = options.packets_per_second {
            let begins = self.free_at.max(self.waiting.front()?.0);
            let done = begins.saturating_add(Duration::from_secs(1) / rate.get());
            if done > now {
                return None;
            }
            self.free_at = done;
        }
        let (_, packet) = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(packet.payload.len());
        Some(packet)
    }

    /// When there may be something to read that there is not now.
    pub(super) fn next_event(&self, options: &InboxOptions) -> Option<Duration> {
        let coming = self.coming.first_key_value().map(|((at, _), _)| *at);
        let waiting = self.waiting.front().map(|(arrived, _)| {
            let each =
                options.packets_per_second.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.get());
            self.free_at.max(*arrived).saturating_add(each)
        });
        coming.into_iter().chain(waiting).min()
    }

    /// Loses what has not arrived.
    pub(super) fn lose_coming(&mut self, counters: &mut Counters) {
        for packet in std::mem::take(&mut self.coming).into_values() {
            counters.drop(Direction::Down, Cause::Moved, packet.payload.len());
        }
    }

    /// Whom to wake when something comes earlier than was known, or the host runs again.
    pub(super) fn set_reader(&mut self, waker: &Waker) {
        match &mut self.reader {
            Some(reader) => reader.clone_from(waker),
            None => self.reader = Some(waker.clone()),
        }
    }

    pub(super) fn set_writer(&mut self, poller: u64, waker: &Waker) {
        self.writers.insert(poller, waker.clone());
    }

    pub(super) fn forget_writer(&mut self, poller: u64) {
        self.writers.remove(&poller);
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn wake_all(&mut self) {
        self.wake_reader();
        std::mem::take(&mut self.writers).into_values().for_each(Waker::wake);
    }
}
