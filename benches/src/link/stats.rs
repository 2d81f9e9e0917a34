//! What a link has done so far, for each direction: counted by the emulator, read by anybody.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use fulmar_network_model::DropCause;
use serde::Serialize;

/// Written by the emulator alone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    offered_packets: AtomicU64,
    offered_bytes: AtomicU64,
    delivered_packets: AtomicU64,
    delivered_bytes: AtomicU64,
    late_ns: AtomicU64,
    late_ns_max: AtomicU64,
    drops: [AtomicU64; CAUSES],
}

const CAUSES: usize = 9;

/// Why a packet went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DropReason {
    /// The model says so.
    Model(DropCause),
    /// It is no whole IPv4 packet.
    NotIpv4,
    /// It is for an address that the client does not have any more, or from one that it never had.
    Address,
    /// More packets were on their way than the emulator keeps.
    InFlight,
    /// The kernel did not take it at the other end.
    Refused,
}

impl DropReason {
    fn index(self) -> usize {
        match self {
            Self::Model(DropCause::Mtu) => 0,
            Self::Model(DropCause::Blackout) => 1,
            Self::Model(DropCause::QueueFull) => 2,
            Self::Model(DropCause::Loss) => 3,
            Self::Model(DropCause::Burst) => 4,
            Self::NotIpv4 => 5,
            Self::Address => 6,
            Self::InFlight => 7,
            Self::Refused => 8,
        }
    }
}

impl Counters {
    pub(super) fn offered(&self, bytes: usize) {
        self.offered_packets.fetch_add(1, Ordering::Relaxed);
        self.offered_bytes.fetch_add(bytes.try_into().unwrap_or_default(), Ordering::Relaxed);
    }

    /// A packet was handed over, so much later than it was to.
    pub(super) fn delivered(&self, bytes: usize, late: Duration) {
        self.delivered_packets.fetch_add(1, Ordering::Relaxed);
        self.delivered_bytes.fetch_add(bytes.try_into().unwrap_or_default(), Ordering::Relaxed);
        let late_ns = late.as_nanos().try_into().unwrap_or(u64::MAX);
        self.late_ns.fetch_add(late_ns, Ordering::Relaxed);
        self.late_ns_max.fetch_max(late_ns, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, why: DropReason) {
        if let Some(count) = self.drops.get(why.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn snapshot(&self, kernel_drops: u64) -> WayStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let drops = |why: DropReason| self.drops.get(why.index()).map_or(0, read);
        let delivered_packets = read(&self.delivered_packets);
        WayStats {
            offered_packets: read(&self.offered_packets),
            offered_bytes: read(&self.offered_bytes),
            delivered_packets,
            delivered_bytes: read(&self.delivered_bytes),
            late_us_mean: micros(read(&self.late_ns).checked_div(delivered_packets).unwrap_or_default()),
            late_us_max: micros(read(&self.late_ns_max)),
            dropped: Drops {
                mtu: drops(DropReason::Model(DropCause::Mtu)),
                blackout: drops(DropReason::Model(DropCause::Blackout)),
                queue_full: drops(DropReason::Model(DropCause::QueueFull)),
                loss: drops(DropReason::Model(DropCause::Loss)),
                burst: drops(DropReason::Model(DropCause::Burst)),
                not_ipv4: drops(DropReason::NotIpv4),
                address: drops(DropReason::Address),
                in_flight: drops(DropReason::InFlight),
                refused: drops(DropReason::Refused),
                kernel: kernel_drops,
            },
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}

/// What a link has done so far.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LinkStats {
    /// From the client.
    pub(crate) up: WayStats,
    /// To the client.
    pub(crate) down: WayStats,
    /// How often the client got another address.
    pub(crate) address_changes: u32,
    /// Processor time of the emulator's thread.
    pub(crate) emulator_processor_us: u64,
}

/// One direction of it. Bytes are those of IP packets, headers included.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WayStats {
    /// What programs sent.
    pub(crate) offered_packets: u64,
    pub(crate) offered_bytes: u64,
    /// What reached the other end; a duplicate counts.
    pub(crate) delivered_packets: u64,
    pub(crate) delivered_bytes: u64,
    /// How much later packets were handed over than the model says.
    pub(crate) late_us_mean: f64,
    pub(crate) late_us_max: f64,
    /// What did not.
    pub(crate) dropped: Drops,
}

/// Packets that went no further, by cause.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Drops {
    /// Larger than the MTU, which the device does not let happen unless the MTU falls.
    pub(crate) mtu: u64,
    /// Offered while the link was dark.
    pub(crate) blackout: u64,
    /// The queue before the rate had no room.
    pub(crate) queue_full: u64,
    /// Independent loss.
    pub(crate) loss: u64,
    /// Loss in a burst.
    pub(crate) burst: u64,
    /// No IPv4 packet.
    pub(crate) not_ipv4: u64,
    /// For an address that the client does not have any more.
    pub(crate) address: u64,
    /// Too many on their way: the emulator's own limit.
    pub(crate) in_flight: u64,
    /// Not taken by the kernel at the other end.
    pub(crate) refused: u64,
    /// Dropped by the kernel before the emulator read it: it was too slow. A figure above zero spoils a measurement.
    pub(crate) kernel: u64,
}
