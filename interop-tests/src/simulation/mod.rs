//! A world in one process under tokio's paused clock: what a test needs so that an hour of bad network takes a
//! second and repeats itself from a seed.

mod network;

pub use network::{
    Cause, Counters, Direction, Host, InboxOptions, NAT_TIMEOUT_DEFAULT, Network, Packet, Tally, Tap,
    Verdict, receive,
};
