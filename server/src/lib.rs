//! Fulmar's server.

mod clock;

pub use clock::{Clock, ManualClock, Rng};
