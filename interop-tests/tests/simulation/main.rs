//! One process, no real socket and no real time: everything here runs under tokio's paused clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod determinism;
mod faults;
mod hedging;
mod network;
mod pool;
mod returning;
mod storm;
