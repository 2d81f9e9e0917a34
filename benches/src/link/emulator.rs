//! The thread that moves packets: reads what the kernel hands to one device, asks the model when it arrives, and hands
//! it to the other device then.
//!
//! One thread for both directions, so that a packet costs few wake-ups and a benchmark on two cores loses little of
//! them. It waits in one system call for a packet, the next arrival, or the end.
//!
//! A packet is stamped when it is read: the time until then, and from its arrival until it is handed over, is what the
//! emulator adds. `fulmar-bench link --verify` says how much.

use std::{
    cmp::{Ordering as Order, Reverse},
    collections::BinaryHeap,
    io::ErrorKind,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fulmar_network_model as model;
use rustix::event::{PollFd, PollFlags, poll};
use tun_rs::SyncDevice;

use super::{
    clock,
    nat::Nat,
    packet::Packet,
    stats::{Counters, DropReason},
    urgent::become_urgent,
};

/// Packets on their way in one direction: about 100 MB of them. What is offered beyond is dropped and counted.
const IN_FLIGHT_PACKETS_MAX: usize = 65_536;
/// Packets read from one device before others get their turn.
const BATCH_PACKETS_MAX: usize = 64;
/// Larger than any packet: the devices' MTU is that of Ethernet at most.
pub(super) const PACKET_BYTES_MAX: usize = 2_048;
/// Bytes that every packet has that the model does not count as payload.
const MODEL_HEADER_BYTES: usize = model::HEADER_BYTES as usize;

/// What the emulator shares with whoever looks on.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) nat: Nat,
    pub(super) up: Counters,
    pub(super) down: Counters,
    pub(super) stop: AtomicBool,
    pub(super) processor_ns: AtomicU64,
    /// Why it ended before it was told to.
    pub(super) failure: OnceLock<String>,
}

/// See the module.
pub(super) struct Emulator {
    pub(super) up: Way,
    pub(super) down: Way,
    pub(super) shared: Arc<Shared>,
    /// Readable when the emulator is to end.
    pub(super) wake: OwnedFd,
    /// When the link's own time began.
    pub(super) began: Duration,
}

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

/// One direction.
pub(super) struct Way {
    direction: Direction,
    from: Arc<SyncDevice>,
    to: Arc<SyncDevice>,
    link: model::Link,
    in_flight: BinaryHeap<Reverse<InFlight>>,
    /// Of the next packet: those that arrive at one moment keep their order.
    number: u64,
}

struct InFlight {
    at: Duration,
    number: u64,
    bytes: Box<[u8]>,
}

impl InFlight {
    fn key(&self) -> (Duration, u64) {
        (self.at, self.number)
    }
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for InFlight {}

impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> Order {
        self.key().cmp(&other.key())
    }
}

impl Emulator {
    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        become_urgent();
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        while !self.shared.stop.load(Ordering::Relaxed) {
            if let Err(error) = self.turn(&mut buffer) {
                let _ = self.shared.failure.set(error.to_string());
                return;
            }
        }
    }

    fn turn(&mut self, buffer: &mut [u8]) -> std::io::Result<()> {
        let began = self.began;
        let time = || clock::now().saturating_sub(began);
        for way in [&mut self.up, &mut self.down] {
            way.hand_over(&self.shared, &time);
        }
        let used = clock::thread_processor_time().as_nanos().try_into().unwrap_or(u64::MAX);
        self.shared.processor_ns.store(used, Ordering::Relaxed);
        let next = [&self.up, &self.down].into_iter().filter_map(Way::next_arrival).min();
        let wait = next.map(|at| clock::timespec(at.saturating_sub(time())));
        let [up_is_readable, down_is_readable] = {
            let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
            let mut fds = [
                readable(self.up.from.as_fd()),
                readable(self.down.from.as_fd()),
                readable(self.wake.as_fd()),
            ];
            match poll(&mut fds, wait.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [up, down, _] = fds.map(|fd| !fd.revents().is_empty());
            [up, down]
        };
        if up_is_readable {
            self.up.read(&self.shared, buffer, &time)?;
        }
        if down_is_readable {
            self.down.read(&self.shared, buffer, &time)?;
        }
        Ok(())
    }
}

impl Way {
    pub(super) fn new(
        direction: Direction,
        from: &Arc<SyncDevice>,
        to: &Arc<SyncDevice>,
        link: model::Link,
    ) -> Self {
        let (from, to) = (Arc::clone(from), Arc::clone(to));
        Self { direction, from, to, link, in_flight: BinaryHeap::new(), number: 0 }
    }

    fn next_arrival(&self) -> Option<Duration> {
        self.in_flight.peek().map(|Reverse(packet)| packet.at)
    }

    fn counters<'a>(&self, shared: &'a Shared) -> &'a Counters {
        match self.direction {
            Direction::Up => &shared.up,
            Direction::Down => &shared.down,
        }
    }

    /// Reads what has come and sends it on its way.
    fn read(
        &mut self,
        shared: &Shared,
        buffer: &mut [u8],
        time: &impl Fn() -> Duration,
    ) -> std::io::Result<()> {
        for _ in 0..BATCH_PACKETS_MAX {
            let length = match self.from.recv(buffer) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            if let Some(bytes) = buffer.get_mut(..length)
                && let Err(why) = self.offer(shared, bytes, time())
            {
                self.counters(shared).dropped(why);
            }
        }
        Ok(())
    }

    fn offer(&mut self, shared: &Shared, bytes: &mut [u8], now: Duration) -> Result<(), DropReason> {
        let mut packet = Packet::parse(bytes).ok_or(DropReason::NotIpv4)?;
        if self.direction == Direction::Up && !shared.nat.outbound(&mut packet) {
            return Err(DropReason::Address);
        }
        self.counters(shared).offered(bytes.len());
        // The model adds the headers that it knows of, so that what it counts is the length of the packet, be it UDP,
        // TCP or a fragment.
        let fate = self.link.offer(now, bytes.len().saturating_sub(MODEL_HEADER_BYTES));
        if let model::Fate::Dropped(cause) = fate {
            return Err(DropReason::Model(cause));
        }
        for at in fate.arrivals() {
            if self.in_flight.len() >= IN_FLIGHT_PACKETS_MAX {
                return Err(DropReason::InFlight);
            }
            self.in_flight.push(Reverse(InFlight { at, number: self.number, bytes: Box::from(&*bytes) }));
            self.number += 1;
        }
        Ok(())
    }

    /// Hands over what has arrived by now.
    fn hand_over(&mut self, shared: &Shared, time: &impl Fn() -> Duration) {
        while let Some(at) = self.next_arrival() {
            let now = time();
            if at > now {
                break;
            }
            let Some(Reverse(mut packet)) = self.in_flight.pop() else { break };
            match self.deliver(shared, &mut packet.bytes) {
                Ok(()) => self.counters(shared).delivered(packet.bytes.len(), now.saturating_sub(at)),
                Err(why) => self.counters(shared).dropped(why),
            }
        }
    }

    fn deliver(&self, shared: &Shared, bytes: &mut [u8]) -> Result<(), DropReason> {
        if self.direction == Direction::Down {
            let mut packet = Packet::parse(bytes).ok_or(DropReason::NotIpv4)?;
            if !shared.nat.inbound(&mut packet) {
                return Err(DropReason::Address);
            }
        }
        self.to.send(bytes).map(drop).map_err(|_| DropReason::Refused)
    }
}
