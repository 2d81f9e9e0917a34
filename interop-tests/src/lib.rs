//! What the whole-system tests share.

mod harness;
pub mod power_cut;
pub mod simulation;

pub use harness::contents;
pub use harness::{
    Answer, Confirmation, ConnectionEnd, Cursor, Delivered, DialOptions, Dialled, Entrance, FastTime, Flight,
    Gate, LogLane, Page, Relay, Returning, SendLane, Setup, StreamEnd, TestServer, WAIT, WireClient,
    WireStream, device, direct, user, within, within_time,
};
