//! What a link is like. Every type here is `Copy`, so that profiles are constants.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::limits::{MTU_STEPS_MAX, OUTAGES_MAX, UDP_PAYLOAD_BYTES_ETHERNET};

/// A share of all packets, or a probability: 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// None.
    pub const NONE: Self = Self(0.0);
    /// All.
    pub const ALL: Self = Self(1.0);

    /// A share, cut to 0 to 1; what is not a number is none.
    #[must_use]
    pub const fn of(share: f64) -> Self {
        if share > 1.0 {
            Self::ALL
        } else if share > 0.0 {
            Self(share)
        } else {
            Self::NONE
        }
    }

    /// As a number from 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// How fast a link carries bytes away, and how many it lets wait.
///
/// Bytes are those of the UDP payload and of the headers ([`HEADER_BYTES`](crate::HEADER_BYTES)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bits a second.
    pub bits_per_second: NonZeroU64,
    /// Bytes that may wait or be under way onto the link; a packet that would be beyond is dropped.
    pub queue_bytes_max: u32,
}

impl Rate {
    /// A rate in kilobits (1,000 bits) a second, and its queue. A rate of nothing becomes one bit a second.
    #[must_use]
    pub const fn kilobits(kilobits_per_second: u32, queue_bytes_max: u32) -> Self {
        // Lossless; `From` is not const.
        let bits = kilobits_per_second as u64 * 1_000;
        let bits_per_second = match NonZeroU64::new(bits) {
            Some(bits) => bits,
            None => NonZeroU64::MIN,
        };
        Self { bits_per_second, queue_bytes_max }
    }
}

/// Loss in bursts, after Gilbert and Elliott: two states, each with its own loss, changed packet by packet.
///
/// The state is a matter of the radio, not of our packets: after a pause it is not what it was. So when no
/// packet was offered for `memory`, the next one finds a state drawn from the long-run shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// The chance that a packet finds a good link turned bad.
    pub good_to_bad: Share,
    /// The chance that a packet finds a bad link turned good.
    pub bad_to_good: Share,
    /// What is lost while the link is good.
    pub loss_good: Share,
    /// What is lost while it is bad.
    pub loss_bad: Share,
    /// How long a state is remembered without a packet.
    pub memory: Duration,
}

impl Burst {
    /// The share of packets that find the link bad.
    #[must_use]
    pub fn bad_share(&self) -> Share {
        let sum = self.good_to_bad.get() + self.bad_to_good.get();
        if sum > 0.0 { Share::of(self.good_to_bad.get() / sum) } else { Share::NONE }
    }

    /// The share of packets lost in the long run.
    #[must_use]
    pub fn loss(&self) -> Share {
        let bad = self.bad_share().get();
        Share::of(bad * self.loss_bad.get() + (1.0 - bad) * self.loss_good.get())
    }
}

/// Packets that come later than those sent after them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reordering {
    /// How many.
    pub share: Share,
    /// How much later. Nothing is reordered unless packets follow each other within this.
    pub extra_delay: Duration,
}

/// Something that happens again and again: from `first` on, every `period`, for `length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periodic {
    /// When it begins for the first time, before the phase of the link is taken off.
    pub first: Duration,
    /// From one beginning to the next. Zero: it never happens.
    pub period: Duration,
    /// How long it lasts.
    pub length: Duration,
}

impl Periodic {
    /// How many times it has begun by `now`.
    #[must_use]
    pub fn begun(&self, now: Duration) -> u64 {
        let period = self.period.as_nanos();
        match now.checked_sub(self.first) {
            Some(since) if period > 0 => {
                u64::try_from(since.as_nanos() / period).unwrap_or(u64::MAX).saturating_add(1)
            }
            _ => 0,
        }
    }

    /// Whether it is going on.
    #[must_use]
    pub fn holds(&self, now: Duration) -> bool {
        let period = self.period.as_nanos();
        match now.checked_sub(self.first) {
            Some(since) if period > 0 => since.as_nanos() % period < self.length.as_nanos(),
            _ => false,
        }
    }
}

/// Changes of cell: a short outage, after which the path is a little longer or shorter than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handovers {
    /// When, and how long nothing gets through.
    pub outage: Periodic,
    /// Each cell adds a delay of its own, drawn evenly from nothing to this.
    pub delay_step_max: Duration,
}

/// A stretch of time: from the first moment up to, and without, the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first moment.
    pub from: Duration,
    /// The first moment after it.
    pub until: Duration,
}

impl Window {
    /// Whether a moment is inside.
    #[must_use]
    pub fn holds(&self, now: Duration) -> bool {
        self.from <= now && now < self.until
    }
}

/// A moment from which another MTU holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MtuStep {
    /// From when on.
    pub from: Duration,
    /// Bytes of UDP payload.
    pub mtu: u16,
}

/// What one direction of a path is like. Begin with [`LinkOptions::CLEAN`] and say what differs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkOptions {
    /// What every packet takes.
    pub delay: Duration,
    /// The mean of what is added to it: drawn for each packet from an exponential distribution and cut off
    /// at [`JITTER_MULTIPLE_MAX`](crate::JITTER_MULTIPLE_MAX) times the mean. Queues at radios have such
    /// one-sided tails. Order is kept: a packet waits for the one before it, so that packets close together
    /// have more of it on average.
    pub jitter: Duration,
    /// No rate: packets of any number pass at once.
    pub rate: Option<Rate>,
    /// Independent loss.
    pub loss: Share,
    /// Loss in bursts, on top.
    pub burst: Option<Burst>,
    /// What overtakes what.
    pub reordering: Option<Reordering>,
    /// Packets that arrive twice.
    pub duplication: Share,
    /// Bytes: the largest UDP payload that passes; what is larger is dropped without a word.
    pub mtu: u16,
    /// Later values of it; the newest that has begun holds.
    pub mtu_steps: [Option<MtuStep>; MTU_STEPS_MAX],
    /// Single stretches in which nothing passes.
    pub outages: [Option<Window>; OUTAGES_MAX],
    /// Stretches that come again: tunnels.
    pub tunnels: Option<Periodic>,
    /// Changes of cell.
    pub handovers: Option<Handovers>,
    /// How far along its tunnels and handovers this link is at time zero. Both directions of a path have the
    /// same, each host its own.
    pub phase: Duration,
}

impl LinkOptions {
    /// A link that adds nothing and loses nothing, with the MTU of Ethernet.
    pub const CLEAN: Self = Self {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        rate: None,
        loss: Share::NONE,
        burst: None,
        reordering: None,
        duplication: Share::NONE,
        mtu: UDP_PAYLOAD_BYTES_ETHERNET,
        mtu_steps: [None; MTU_STEPS_MAX],
        outages: [None; OUTAGES_MAX],
        tunnels: None,
        handovers: None,
        phase: Duration::ZERO,
    };

    /// A clean link with a delay.
    #[must_use]
    pub const fn with_delay(delay: Duration) -> Self {
        Self { delay, ..Self::CLEAN }
    }

    /// The MTU at a moment.
    #[must_use]
    pub fn mtu_at(&self, now: Duration) -> u16 {
        let begun = self.mtu_steps.iter().flatten().filter(|step| step.from <= now);
        begun.max_by_key(|step| step.from).map_or(self.mtu, |step| step.mtu)
    }

    /// Whether nothing passes at a moment.
    #[must_use]
    pub fn is_dark(&self, now: Duration) -> bool {
        let phased = now.saturating_add(self.phase);
        self.outages.iter().flatten().any(|window| window.holds(now))
            || self.tunnels.is_some_and(|tunnels| tunnels.holds(phased))
            || self.handovers.is_some_and(|handovers| handovers.outage.holds(phased))
    }

    /// The share of packets lost in the long run, leaving out outages, the queue and the MTU.
    #[must_use]
    pub fn mean_loss(&self) -> Share {
        let burst = self.burst.map_or(0.0, |burst| burst.loss().get());
        Share::of(1.0 - (1.0 - self.loss.get()) * (1.0 - burst))
    }
}
