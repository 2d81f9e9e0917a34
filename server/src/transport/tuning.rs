//! How QUIC is set for many small sessions, each number with its reason.
//!
//! A stranger gets the first flight and no more; a session is admitted to the rest after Welcome.

use std::time::Duration;

use fulmar_protocol::{Epoch, limits};
use quinn::{Connection, IdleTimeout, TransportConfig, VarInt};
use sha2::{Digest as _, Sha256};

use crate::limits::SEND_WINDOW_BYTES;

/// Stream data that a session may send without being read: four streams' windows.
const RECEIVE_WINDOW_BYTES: u32 = 512 * 1024;
/// And on one stream: a body of the largest size in two round trips, a third of a megabyte a second at
/// 350 ms.
const STREAM_RECEIVE_WINDOW_BYTES: u32 = 128 * 1024;
/// Clients open none.
const UNIDIRECTIONAL_STREAMS: u32 = 0;
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

/// The control stream and the first flight. Slots are allocated for each one permitted.
fn first_flight_streams() -> u32 {
    u32::try_from(limits::FIRST_FLIGHT_STREAMS_MAX).unwrap_or(u32::MAX)
}

fn first_flight_bytes() -> u32 {
    u32::try_from(limits::FIRST_FLIGHT_BYTES_MAX).unwrap_or(u32::MAX)
}

/// The server's side of every connection, before anybody is authenticated. Public for measurements that do without
/// the rest of the server.
#[must_use]
pub fn transport() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(first_flight_streams()))
        .max_concurrent_uni_streams(VarInt::from_u32(UNIDIRECTIONAL_STREAMS))
        .receive_window(VarInt::from_u32(first_flight_bytes()))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(
            u32::try_from(IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX),
        ))))
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER_BYTES)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER_BYTES));
    fulmar_transport::tune(&mut config);
    config
}

/// What a client that comes back may rely on before the server has said a word: it sends its first flight by the
/// settings that it had when its ticket was given. QUIC ends the connection of a server that accepts such a flight
/// under less, so a ticket holds only under the very settings that this digest is of.
///
/// All that RFC 9000, 7.4.1, and RFC 9221, 3, name is in it. The last two are not set here but by the QUIC stack:
/// change them with it.
pub(crate) fn early_data_settings(epoch: Epoch) -> SettingsDigest {
    let datagram_bytes = u64::try_from(DATAGRAM_RECEIVE_BUFFER_BYTES).unwrap_or(u64::MAX);
    digest(&[
        ("initial_max_data", first_flight_bytes().into()),
        ("initial_max_stream_data_bidi_local", STREAM_RECEIVE_WINDOW_BYTES.into()),
        ("initial_max_stream_data_bidi_remote", STREAM_RECEIVE_WINDOW_BYTES.into()),
        ("initial_max_stream_data_uni", STREAM_RECEIVE_WINDOW_BYTES.into()),
        ("initial_max_streams_bidi", first_flight_streams().into()),
        ("initial_max_streams_uni", UNIDIRECTIONAL_STREAMS.into()),
        ("max_datagram_frame_size", datagram_bytes),
        ("active_connection_id_limit", 5),
        ("grease_quic_bit", 1),
        // No setting of the transport; but numbers that early sends carry mean nothing in another history.
        ("epoch", epoch.get()),
    ])
}

/// Names transport settings.
pub(crate) type SettingsDigest = [u8; 16];

fn digest(settings: &[(&str, u64)]) -> SettingsDigest {
    let mut hash = Sha256::new();
    for (name, value) in settings {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(value.to_be_bytes());
    }
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

/// Streams that a session has open when it is given more.
pub(crate) const BUSY_STREAMS: usize = 8;

/// Gives no more than the first flight until the session is admitted, however much of it is read meanwhile.
pub(crate) fn hold_to_first_flight(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(0));
}

/// Widens the window for a session.
pub fn admit(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES));
}

/// Permits a busy session all the streams it may have. An idle one does without: each stream permitted costs
/// about 100 bytes, used or not.
pub fn admit_streams(connection: &Connection) {
    let streams = u32::try_from(limits::BIDIRECTIONAL_STREAMS_MAX).unwrap_or(u32::MAX);
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(streams));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_settings_have_another_digest() {
        let one = digest(&[("initial_max_data", 65_536), ("initial_max_streams_bidi", 16)]);
        assert_ne!(digest(&[("initial_max_data", 65_537), ("initial_max_streams_bidi", 16)]), one);
        assert_ne!(digest(&[("initial_max_streams_bidi", 65_536), ("initial_max_data", 16)]), one);
        assert_eq!(early_data_settings(Epoch::new(1)), early_data_settings(Epoch::new(1)));
        assert_ne!(early_data_settings(Epoch::new(1)), early_data_settings(Epoch::new(2)));
        assert_ne!(early_data_settings(Epoch::new(1)), one);
    }
}
