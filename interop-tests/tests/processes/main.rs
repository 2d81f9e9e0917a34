//! The server as a process of its own: how much memory it takes, and what is there after it was killed or the
//! power was cut.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod kill;
mod memory;
mod power_cut;
mod power_cut_workload;
mod server_process;
