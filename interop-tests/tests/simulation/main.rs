//! One process, no real socket and no real time: everything here runs under tokio's paused clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod command;
mod confirming;
mod determinism;
mod faults;
mod head_of_line;
mod hedging;
mod lanes;
mod network;
mod returning;
mod storm;
mod watching;
