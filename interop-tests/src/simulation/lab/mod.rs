//! Measurements in simulation: how long messages take to a device on a bad network, and what they cost.
//!
//! | file | what |
//! |---|---|
//! | `options` | what is measured: the network, the way, how many messages |
//! | `lanes` | Fulmar, with hedging or without |
//! | `one_stream` | plain QUIC with everything on one stream, for comparison |
//! | `first` | how long the first message of a session takes |
//! | `head_of_line` | whether a conversation waits for the losses of another |
//! | `settings` | what of QUIC may be set otherwise, to see what it is worth |
//! | `meter` | what passes the device's link, and what is lost there |
//! | `figures` | what came out, over several runs |
//!
//! Runs of one seed are the same run, and the three ways have the same messages at the same times over links
//! that draw from the same numbers.

mod figures;
mod first;
mod head_of_line;
mod lanes;
mod meter;
mod one_stream;
mod options;
mod settings;

pub use figures::{Delivery, Figures, Run};
pub use first::first_messages;
pub use head_of_line::{HeadOfLine, head_of_line};
pub use options::{Settings, Trial, Way};

use super::ground::run;

/// Runs a trial once for each seed, on a thread for each of the machine's cores.
#[must_use]
pub fn measure(trial: &Trial, seeds: std::ops::Range<u64>) -> Figures {
    let seeds = parking_lot::Mutex::new(seeds);
    let runs = parking_lot::Mutex::new(std::collections::BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.lock().next() else { return };
                    let done = measure_once(trial, seed);
                    runs.lock().insert(seed, done);
                }
            });
        }
    });
    Figures::of(trial, runs.into_inner().into_values().collect())
}

/// Runs a trial once.
#[must_use]
pub fn measure_once(trial: &Trial, seed: u64) -> Run {
    match trial.way {
        Way::OneStream => run(one_stream::deliver(trial, seed)),
        Way::Lanes | Way::Hedged => run(lanes::deliver(trial, seed)),
    }
}
