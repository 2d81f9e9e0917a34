//! Closing a connection so that the peer hears of it.
//!
//! quinn 0.11 sends CONNECTION_CLOSE only if the congestion window and the pacer let it, and a connection that is
//! closed handles no acknowledgement any more: closed while its window is full, it falls silent, and the peer waits
//! for its idle timeout. (quinn issue 2785; the fix is on its main branch and in no 0.11 release up to 0.11.19 of
//! quinn-proto. QUIC itself does not hold such packets back: RFC 9002, section 7.) On a path that loses packets a full window
//! is no rare thing, so the window of a connection that ends is lifted first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quinn::{Connection, VarInt};

use crate::thin::Thin;

/// Whether a connection is about to be closed; the clones of its controller share it.
#[derive(Clone, Default)]
pub(crate) struct Closing(Arc<AtomicBool>);

impl Closing {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Closes a connection that was [tuned](crate::tune) and tells the peer, however full the congestion window is.
///
/// As [`Connection::close`] in all else: streams end at once, and what was not yet sent is not sent.
#[expect(clippy::disallowed_methods, reason = "this is what stands in for it")]
pub fn close(connection: &Connection, code: VarInt, reason: &[u8]) {
    if let Ok(thin) = connection.congestion_state().into_any().downcast::<Thin>() {
        thin.closing.set();
    }
    connection.close(code, reason);
}
