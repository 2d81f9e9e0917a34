//! A world in one process under tokio's paused clock: what a test needs so that an hour of bad network takes a
//! second and repeats itself from a seed.
//!
//! | file | what |
//! |---|---|
//! | `network` | hosts, links, address translation, packets |
//! | `ground` | time and store: simulated, or real |
//! | `world` | the server and its machine |
//! | `device` | a client and its machine |
//! | `lab` | measurements of latency and bytes |
//! | `herd` | many clients that lose their server at once |
//! | `storm` | users that act at random while everything breaks |
//! | `storms` | many of them at once |
//! | `watch` | what may be known of a world from outside |
//! | `recorder` | what must hold whatever happens |
//! | `fault` | what a server can do wrong on purpose |
//! | `credentials`, `time` | what makes two runs the same |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test support: what goes wrong is a failed test"
)]

mod credentials;
mod device;
mod fault;
mod ground;
mod herd;
mod lab;
mod network;
mod recorder;
mod storm;
mod storms;
mod time;
mod watch;
mod world;

pub use device::{Device, Watcher};
pub use fault::Fault;
pub use ground::{CLUSTER_FILE_VARIABLE, Ground, run, run_in_real_time};
pub use herd::{HerdOptions, HerdReport, herd};
pub use lab::{
    Delivery, Figures, HeadOfLine, Run, Settings, Trial, Way, first_messages, head_of_line, measure,
    measure_once,
};
pub use network::{
    Cause, Counters, Direction, Host, InboxOptions, NAT_TIMEOUT_DEFAULT, Network, Packet, Tally, Tap,
    Verdict, receive,
};
pub use recorder::{Invariant, MessageId, Recorder, Summary, Violation};
pub use storm::{StormOptions, StormReport, storm};
pub use storms::{SeedReport, StormNews, StormsOptions, storms};
pub use time::{BEGINNING, HostTime};
pub use watch::Watch;
pub use world::{SERVER_ADDRESS, SERVER_PORT, World};
