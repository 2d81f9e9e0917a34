//! Whether there is room on the path for what need not be sent.

use quinn::Connection;

use crate::thin::Thin;

/// Whether so many bytes of a datagram would leave at once, with half of the congestion window to spare. What has no
/// room waits, and QUIC sends datagrams first: a copy would hold up new messages just when they wait already.
///
/// Of a connection that was not [tuned](crate::tune) nothing is known, and the answer is yes.
#[must_use]
pub fn has_room(connection: &Connection, bytes: usize) -> bool {
    let Ok(thin) = connection.congestion_state().into_any().downcast::<Thin>() else { return true };
    thin.has_room(u64::try_from(bytes).unwrap_or(u64::MAX))
}
