//! One direction of a path: what becomes of each packet.
//!
//! A packet passes, in this order: the MTU, the switch and the outages, the queue and the rate, loss, delay
//! (with jitter and the cell's own), reordering, duplication. A lost packet has used its share of the rate. A
//! link is dark for a packet that is offered, or leaves the queue, while it is dark; what left before is on
//! its way and arrives.
//!
//! Order of calls: [`Link::offer`] with times that do not go back (one that does is taken for the latest seen).
//! The logarithm in the jitter is the platform's: runs are compared on one platform.
//!
//! State is of constant size: the queue is a time at which it will be empty, not a list.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::limits::{DELAY_MAX, HEADER_BYTES, JITTER_MULTIPLE_MAX, TRACE_QUEUE_BYTES};
use crate::options::{Burst, Handovers, LinkOptions, Rate, Share};
use crate::trace::{Trace, TraceQueue};

/// Why a link dropped a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropCause {
    /// It was larger than the MTU.
    Mtu,
    /// The link was dark: switched off, in a tunnel, in a handover or in a scheduled outage.
    Blackout,
    /// The queue had no room.
    QueueFull,
    /// Independent loss.
    Loss,
    /// Loss in a burst.
    Burst,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives then.
    Arrives(Duration),
    /// It arrives then, and once more then.
    ArrivesTwice(Duration, Duration),
    /// It does not.
    Dropped(DropCause),
}

impl Fate {
    /// When it arrives: never, once or twice.
    pub fn arrivals(self) -> impl Iterator<Item = Duration> {
        let (first, second) = match self {
            Self::Arrives(at) => (Some(at), None),
            Self::ArrivesTwice(at, again) => (Some(at), Some(again)),
            Self::Dropped(_) => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Link {
    options: LinkOptions,
    random: SmallRng,
    /// What a cell's own delay is drawn with, so that it depends on nothing but the cell's number.
    cell_seed: u64,
    switched_off: bool,
    latest: Option<Duration>,
    /// When what is queued now has left.
    queue_empty_at: Duration,
    /// What waits where a trace takes the place of the rate.
    trace: Option<TraceQueue>,
    /// The latest arrival of what came in order: nothing in order arrives before it.
    last_arrival: Duration,
    burst_is_bad: bool,
}

impl Link {
    /// A link that was idle so far.
    #[must_use]
    pub fn new(options: LinkOptions, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let cell_seed = random.random();
        Self {
            options,
            random,
            cell_seed,
            switched_off: false,
            latest: None,
            queue_empty_at: Duration::ZERO,
            trace: None,
            last_arrival: Duration::ZERO,
            burst_is_bad: false,
        }
    }

    /// Lets a recording say when bytes leave, in place of the options' rate. It begins at time zero. What may wait is
    /// still said by the options, or is [`TRACE_QUEUE_BYTES`] where they have no rate.
    #[must_use]
    pub fn with_trace(mut self, trace: Trace) -> Self {
        self.trace = Some(TraceQueue::new(trace));
        self
    }

    /// What it is like.
    #[must_use]
    pub fn options(&self) -> &LinkOptions {
        &self.options
    }

    /// It is another path from now on: what is on its way arrives when it was to, and what is sent now may
    /// overtake it.
    pub fn set_options(&mut self, options: LinkOptions) {
        self.options = options;
        self.last_arrival = Duration::ZERO;
        self.queue_empty_at = self.latest.unwrap_or_default();
        if let Some(trace) = &mut self.trace {
            trace.clear(self.queue_empty_at);
        }
    }

    /// Switches it off or on, whatever its options say.
    pub fn switch_off(&mut self, off: bool) {
        self.switched_off = off;
    }

    /// Bytes in the queue at a moment, headers and the packet under way included.
    #[must_use]
    pub fn queued_bytes(&self, now: Duration) -> u64 {
        if let Some(trace) = &self.trace {
            return trace.queued_bytes(now);
        }
        let waiting = self.queue_empty_at.saturating_sub(now).as_nanos();
        let Some(rate) = self.options.rate else { return 0 };
        let bits = waiting.saturating_mul(u128::from(rate.bits_per_second.get())) / 1_000_000_000;
        u64::try_from(bits / 8).unwrap_or(u64::MAX)
    }

    /// Offers a packet of so many bytes of UDP payload.
    pub fn offer(&mut self, now: Duration, bytes: usize) -> Fate {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        let pause = self.latest.map(|latest| now.saturating_sub(latest));
        self.latest = Some(now);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if bytes > u32::from(self.options.mtu_at(now)) {
            return Fate::Dropped(DropCause::Mtu);
        }
        if self.switched_off || self.options.is_dark(now) {
            return Fate::Dropped(DropCause::Blackout);
        }
        let Some(departure) = self.departure(now, bytes) else { return Fate::Dropped(DropCause::QueueFull) };
        if self.options.is_dark(departure) {
            return Fate::Dropped(DropCause::Blackout);
        }
        if self.happens(self.options.loss) {
            return Fate::Dropped(DropCause::Loss);
        }
        if self.options.burst.is_some_and(|burst| self.lost_in_burst(burst, pause)) {
            return Fate::Dropped(DropCause::Burst);
        }
        self.arrival(departure)
    }

    /// When the last bit of a packet is on the link, if there is room to wait for that.
    fn departure(&mut self, now: Duration, bytes: u32) -> Option<Duration> {
        let bytes = u64::from(bytes.saturating_add(HEADER_BYTES));
        if let Some(trace) = &mut self.trace {
            let queue_bytes_max = self.options.rate.map_or(TRACE_QUEUE_BYTES, |rate| rate.queue_bytes_max);
            let fits = trace.queued_bytes(now).saturating_add(bytes) <= u64::from(queue_bytes_max);
            return fits.then(|| trace.departure(now, bytes));
        }
        let Some(Rate { bits_per_second, queue_bytes_max }) = self.options.rate else { return Some(now) };
        if self.queued_bytes(now).saturating_add(bytes) > u64::from(queue_bytes_max) {
            return None;
        }
        let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(bits_per_second.get());
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.queue_empty_at = self.queue_empty_at.max(now).saturating_add(takes);
        Some(self.queue_empty_at)
    }

    fn arrival(&mut self, departure: Duration) -> Fate {
        let cell =
            self.options.handovers.map_or(Duration::ZERO, |handovers| self.cell(&handovers, departure));
        let delay = self.options.delay.min(DELAY_MAX).saturating_add(cell).saturating_add(self.jitter());
        let mut at = departure.saturating_add(delay);
        let reordering = self.options.reordering;
        match reordering.filter(|reordering| self.happens(reordering.share)) {
            Some(late) => at = at.saturating_add(late.extra_delay.min(DELAY_MAX)),
            None => {
                at = at.max(self.last_arrival);
                self.last_arrival = at;
            }
        }
        if self.happens(self.options.duplication) {
            let again = at.saturating_add(self.jitter());
            return Fate::ArrivesTwice(at, again);
        }
        Fate::Arrives(at)
    }

    /// Whether something of this probability happens. Draws a number only where the answer is open, so that
    /// an option that is off changes nothing for the others.
    fn happens(&mut self, share: Share) -> bool {
        if share <= Share::NONE { false } else { share >= Share::ALL || self.random.random_bool(share.get()) }
    }

    fn lost_in_burst(&mut self, burst: Burst, pause: Option<Duration>) -> bool {
        if pause.is_none_or(|pause| pause >= burst.memory) {
            self.burst_is_bad = self.happens(burst.bad_share());
        } else {
            let turn = if self.burst_is_bad { burst.bad_to_good } else { burst.good_to_bad };
            self.burst_is_bad ^= self.happens(turn);
        }
        self.happens(if self.burst_is_bad { burst.loss_bad } else { burst.loss_good })
    }

    fn jitter(&mut self) -> Duration {
        let mean = self.options.jitter.min(DELAY_MAX);
        if mean.is_zero() {
            return Duration::ZERO;
        }
        // 1 - [0, 1) is never zero, so the logarithm is finite; the cut makes the product a valid duration.
        let draw: f64 = self.random.random();
        let multiple = -(1.0 - draw).ln();
        mean.mul_f64(multiple.clamp(0.0, f64::from(JITTER_MULTIPLE_MAX)))
    }

    /// What the cell in use at a moment adds.
    fn cell(&self, handovers: &Handovers, now: Duration) -> Duration {
        let number = handovers.outage.begun(now.saturating_add(self.options.phase));
        let mut random = SmallRng::seed_from_u64(self.cell_seed.wrapping_add(number));
        let share: f64 = random.random();
        handovers.delay_step_max.min(DELAY_MAX).mul_f64(share)
    }
}
