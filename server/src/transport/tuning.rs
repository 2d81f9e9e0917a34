//! How QUIC is set for many small sessions, each number with its reason.
//!
//! A stranger gets the first flight and no more; a session is admitted to the rest after Welcome.

use std::{sync::Arc, time::Duration};

use fulmar_protocol::limits;
use quinn::{Connection, IdleTimeout, TransportConfig, VarInt};

use crate::limits::SEND_WINDOW_BYTES;

/// Stream data that a session may send without being read: four streams' windows.
const RECEIVE_WINDOW_BYTES: u32 = 512 * 1024;
/// And on one stream: a body of the largest size in two round trips, a third of a megabyte a second at
/// 350 ms.
const STREAM_RECEIVE_WINDOW_BYTES: u32 = 128 * 1024;
/// Longer than the keep-alive of clients by enough for two of them to be lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// From the first packet to the end of the handshake.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that wait to be accepted; above it they are refused.
pub(crate) const INCOMING_MAX: usize = 4_096;
/// Datagrams wait here when the path is full; the oldest then gives way to the newest.
const DATAGRAM_SEND_BUFFER_BYTES: usize = 16 * 1024;
/// Those that arrived and were not read yet.
const DATAGRAM_RECEIVE_BUFFER_BYTES: usize = 16 * 1024;

/// The order in which streams get the path. Few levels, since each costs; equal ones take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Hello, confirmations, answers to sends.
    Control,
    /// Log lanes of conversations on screen.
    Watched,
    /// Other log lanes that have caught up.
    Lane,
    /// Log lanes that have not.
    Backlog,
    /// History, inbox, rosters.
    Request,
}

impl Priority {
    pub(crate) fn value(self) -> i32 {
        match self {
            Self::Control => 4,
            Self::Watched => 3,
            Self::Lane => 2,
            Self::Backlog => 1,
            Self::Request => 0,
        }
    }
}

/// The server's side of every connection, before anybody is authenticated.
pub(crate) fn transport() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    // The control stream and the first flight. Slots are allocated for each one permitted.
    let first_flight = u32::try_from(limits::FIRST_FLIGHT_STREAMS_MAX).unwrap_or(u32::MAX);
    let first_flight_bytes = u32::try_from(limits::FIRST_FLIGHT_BYTES_MAX).unwrap_or(u32::MAX);
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(first_flight))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(first_flight_bytes))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(
            u32::try_from(IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX),
        ))))
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER_BYTES)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER_BYTES));
    Arc::new(config)
}

/// Streams that a session has open when it is given more.
pub(crate) const BUSY_STREAMS: usize = 8;

/// Widens the window for a session.
pub(crate) fn admit(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES));
}

/// Permits a busy session all the streams it may have. An idle one does without: each stream permitted costs
/// about 100 bytes, used or not.
pub(crate) fn admit_streams(connection: &Connection) {
    let streams = u32::try_from(limits::BIDIRECTIONAL_STREAMS_MAX).unwrap_or(u32::MAX);
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(streams));
}
