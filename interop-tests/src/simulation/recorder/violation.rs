//! What was found wrong.

use std::fmt;
use std::time::Duration;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// An accepted entry is never lost, and everybody is handed the same one.
    AcceptedIsNeverLost,
    /// Each device is handed 1, 2, 3 … without repeat, reordering or unnamed gap.
    EachSeqOnceInOrder,
    /// A send that is retried any number of times appears once, and a device's sends in their order.
    EachSendOnceInOrder,
    /// Nobody writes who is not a member, nor reads outside their intervals.
    MembersOnly,
    /// Marks say no more than is true.
    MarksAreTrue,
    /// When all is well again, everybody has everything.
    EverythingArrives,
    /// No client gives up for good: nothing that happens here is a reason to.
    NobodyGivesUp,
    /// Neither client nor server nor what runs them panics.
    NothingPanics,
    /// Nobody is busy for ever: simulated time passes.
    TimePasses,
}

impl fmt::Display for Invariant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AcceptedIsNeverLost => "an accepted entry is never lost, and is the same for everybody",
            Self::EachSeqOnceInOrder => "each device is handed every entry once, in order",
            Self::EachSendOnceInOrder => "each send appears once, in its device's order",
            Self::MembersOnly => "nobody writes or reads who is not a member",
            Self::MarksAreTrue => "marks say no more than is true",
            Self::EverythingArrives => "when all is well again, everybody has everything",
            Self::NobodyGivesUp => "no client gives up for good",
            Self::NothingPanics => "nothing panics",
            Self::TimePasses => "time passes",
        })
    }
}

/// One thing that was wrong.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What should have held.
    pub invariant: Invariant,
    /// What was seen instead.
    pub what: String,
    /// When, since the world began.
    pub at: Duration,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (at {:.3} s): {}", self.invariant, self.at.as_secs_f64(), self.what)
    }
}
