//! Coming back: after the dark, on another address, on a path that has died.
//!
//! Every latency is measured on the paused clock, and tells what a user would see.

mod battery;
mod dark;
mod herd;
mod replay;
mod roaming;
mod silence;
mod talk;
