//! A server to test, and a client that speaks frames over QUIC by itself.
//!
//! The client here is independent of `fulmar-client` on purpose: it can send any bytes, it shows every
//! frame, and it checks what it is given (each lane accounts for every seq, in order). It shares the codec
//! of `fulmar-protocol` and nothing else with the server. Every wait in it is bounded: what does not come is
//! a failure that names what was awaited.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "test support: what goes wrong is a failed test"
)]

mod admin;
mod bounded;
mod cable;
pub mod contents;
mod dial;
mod ends;
mod entrance;
mod fast_time;
mod lanes;
mod relay;
mod requests;
mod returning;
mod server;
mod tokens;
mod wire_client;
mod wire_stream;

use fulmar_protocol::{ConversationId, DeviceId, UserId};

pub use bounded::{WAIT, within, within_time};
pub use dial::{DialOptions, Dialled};
pub use ends::{ConnectionEnd, StreamEnd};
pub use entrance::Entrance;
pub use fast_time::FastTime;
pub use lanes::{Delivered, LogLane, SendLane};
pub use relay::{Gate, Relay};
pub use requests::{Answer, Page};
pub use returning::{Flight, Returning};
pub use server::{Setup, TestServer};
pub use wire_client::{Confirmation, Cursor, WireClient};
pub use wire_stream::WireStream;

/// The user of this name.
pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

/// A device of a user: the same one for the same user and number.
pub fn device(user: &str, number: u8) -> DeviceId {
    let mut octets = [number; 16];
    for (octet, byte) in octets.iter_mut().skip(1).zip(user.bytes()) {
        *octet = byte;
    }
    DeviceId::new(octets)
}

/// The direct conversation of two users.
pub fn direct(one: &str, other: &str) -> ConversationId {
    ConversationId::direct(&user(one), &user(other))
}
