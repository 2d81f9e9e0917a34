//! How QUIC is set between nodes: few connections, one stream each way of speaking, quick to find a node dead.

use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

/// A node that is silent for so long is taken for gone. Longer than three keep-alives, so that single losses end
/// nothing.
const IDLE_TIMEOUT_MS: u32 = 5_000;
const KEEP_ALIVE: Duration = Duration::from_millis(1_500);
/// Bytes of messages that may be on their way: 10 Gbit/s within a building, 100 Mbit/s at 80 ms.
const WINDOW_BYTES: u32 = 1024 * 1024;
/// Connections that wait to be accepted; above it they are refused.
pub(super) const INCOMING_MAX: usize = 256;
/// From the first packet to the answer to the hello.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Both ends of every link.
pub(super) fn transport() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        // The hello, and the messages.
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .stream_receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(u64::from(WINDOW_BYTES))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .datagram_receive_buffer_size(None);
    fulmar_transport::tune(&mut config);
    config
}
