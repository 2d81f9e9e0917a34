//! A recorded rate, in the format of Mahimahi's `mm-link`: one whole number on each line, the millisecond at which
//! 1,500 bytes may leave; as many lines with the same number as packets may leave then. The last number is the length
//! of the recording, after which it begins anew.
//!
//! As there: what waits shares an opportunity, a packet may need more than one, and what an opportunity has left when
//! nothing waits is lost.
//!
//! Absent on purpose: comments and blank lines. Mahimahi knows none, and a file with them would not be one of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::limits::{TRACE_OPPORTUNITIES_MAX, TRACE_OPPORTUNITY_BYTES};

/// When a link may carry bytes away. Never empty, never of length zero. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// In milliseconds, ascending; the last is above zero.
    times_ms: Arc<[u32]>,
}

/// What is wrong with a recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// A line that holds something else.
    #[error("line {line}: {found:?} is not a whole number of milliseconds below 4,294,967,296")]
    NotANumber {
        /// From 1 on.
        line: usize,
        /// The beginning of it.
        found: String,
    },
    /// A number below the one before it.
    #[error("line {line}: {found} comes after {before}: numbers must not fall")]
    Falls {
        /// From 1 on.
        line: usize,
        /// The number.
        found: u32,
        /// The one before it.
        before: u32,
    },
    /// No line at all.
    #[error("line 1: the trace is empty")]
    Empty,
    /// Nothing but zeros.
    #[error("line {line}: the last number is the length of the trace and must be above 0")]
    NoLength {
        /// The last one.
        line: usize,
    },
    /// Too long to be held.
    #[error("line {line}: a trace has at most {TRACE_OPPORTUNITIES_MAX} lines")]
    TooLong {
        /// The first one too many.
        line: usize,
    },
}

/// Letters of a bad line that an error shows.
const SHOWN_LETTERS_MAX: usize = 40;

impl Trace {
    /// Reads a recording.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let mut times_ms = Vec::new();
        let mut before = 0;
        for (line, content) in (1..).zip(text.lines()) {
            if line > TRACE_OPPORTUNITIES_MAX {
                return Err(TraceError::TooLong { line });
            }
            let content = content.trim_end();
            // `u32::from_str` takes a plus sign, the format does not.
            let digits = content.bytes().all(|byte| byte.is_ascii_digit());
            let Some(found) = content.parse::<u32>().ok().filter(|_| digits) else {
                let found = content.chars().take(SHOWN_LETTERS_MAX).collect();
                return Err(TraceError::NotANumber { line, found });
            };
            if found < before {
                return Err(TraceError::Falls { line, found, before });
            }
            before = found;
            times_ms.push(found);
        }
        match (times_ms.len(), before) {
            (0, _) => Err(TraceError::Empty),
            (line, 0) => Err(TraceError::NoLength { line }),
            _ => Ok(Self { times_ms: times_ms.into() }),
        }
    }

    /// How long it is until it begins anew.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.length_ms())
    }

    /// Bits a second on average, if there is always something to carry.
    #[must_use]
    pub fn mean_bits_per_second(&self) -> u64 {
        self.count() * u64::from(TRACE_OPPORTUNITY_BYTES) * 8 * 1_000 / self.length_ms()
    }

    fn length_ms(&self) -> u64 {
        self.times_ms.last().map_or(1, |last| u64::from(*last).max(1))
    }

    fn count(&self) -> u64 {
        u64::try_from(self.times_ms.len()).unwrap_or(u64::MAX).max(1)
    }

    /// When the opportunity with this number is, counted from 0 through all repetitions.
    fn time_of(&self, number: u64) -> Duration {
        let (turn, index) = (number / self.count(), number % self.count());
        let time = usize::try_from(index).ok().and_then(|index| self.times_ms.get(index)).copied();
        Duration::from_millis(turn.saturating_mul(self.length_ms()).saturating_add(time.unwrap_or(0).into()))
    }

    /// The first opportunity that is not before a moment.
    fn first_from(&self, now: Duration) -> u64 {
        let now_ms = u64::try_from(now.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        // A turn ends with its length, which is an opportunity: the one sought is in the first turn that ends at
        // `now` or later.
        let turn = now_ms.saturating_sub(1) / self.length_ms();
        let within_ms = now_ms - turn * self.length_ms();
        let index = self.times_ms.partition_point(|time| u64::from(*time) < within_ms);
        turn.saturating_mul(self.count()).saturating_add(u64::try_from(index).unwrap_or(u64::MAX))
    }
}

/// What waits for opportunities. Of constant size: it is known by the last opportunity that is taken.
#[derive(Clone, Debug)]
pub(crate) struct TraceQueue {
    trace: Trace,
    /// The last opportunity of which something is taken.
    last: u64,
    /// How much of it.
    taken_bytes: u64,
}

const OPPORTUNITY_BYTES: u64 = TRACE_OPPORTUNITY_BYTES as u64;

impl TraceQueue {
    pub(crate) fn new(trace: Trace) -> Self {
        Self { trace, last: 0, taken_bytes: 0 }
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self, now: Duration) {
        self.last = self.trace.first_from(now);
        self.taken_bytes = 0;
    }

    /// Bytes that have not left at a moment.
    pub(crate) fn queued_bytes(&self, now: Duration) -> u64 {
        // Whatever waits is without gaps: all that is to come before the last one is taken whole.
        match self.last.checked_sub(self.trace.first_from(now)) {
            Some(whole) => whole.saturating_mul(OPPORTUNITY_BYTES).saturating_add(self.taken_bytes),
            None => 0,
        }
    }

    /// Queues so many bytes, and says when the last of them leaves.
    pub(crate) fn departure(&mut self, now: Duration, bytes: u64) -> Duration {
        let first = self.trace.first_from(now);
        if self.last < first {
            (self.last, self.taken_bytes) = (first, 0);
        }
        let taken = self.taken_bytes.saturating_add(bytes.max(1));
        self.last = self.last.saturating_add((taken - 1) / OPPORTUNITY_BYTES);
        self.taken_bytes = (taken - 1) % OPPORTUNITY_BYTES + 1;
        self.trace.time_of(self.last)
    }
}
