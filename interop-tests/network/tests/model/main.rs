//! The link model, its profiles and its traces: that each does what its figures say.

mod link;
mod profiles;
mod trace;

use std::time::Duration;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
