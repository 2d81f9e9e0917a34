//! One process, no real socket and no real time: everything here runs under tokio's paused clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod addresses;
mod app;
mod balancing;
mod closing;
mod cluster;
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

/// Lets simulated time pass.
async fn pass(time: std::time::Duration) {
    tokio::time::sleep_until(tokio::time::Instant::now() + time).await;
}
