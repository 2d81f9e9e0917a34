//! FoundationDB's network thread, which a process starts once and stops once.
//!
//! Holds: it is stopped, and joined, before the process runs down its libraries.

use std::sync::OnceLock;

use foundationdb::{
    FdbError,
    api::{FdbApiBuilder, NetworkAutoStop, NetworkBuilder},
};
use parking_lot::Mutex;

use crate::store::error::StoreError;

static NETWORK: Mutex<Option<NetworkAutoStop>> = Mutex::new(None);
static STARTED: OnceLock<Result<(), StoreError>> = OnceLock::new();

/// Starts the thread, if that was not done before.
pub(super) fn start() -> Result<(), StoreError> {
    STARTED
        .get_or_init(|| {
            // Only ever called here, once: a second call would panic.
            let builder = FdbApiBuilder::default().build().map_err(not_started)?;
            *NETWORK.lock() = Some(boot(builder).map_err(not_started)?);
            Ok(())
        })
        .clone()
}

#[expect(unsafe_code, reason = "starts a thread of a C library")]
fn boot(builder: NetworkBuilder) -> Result<NetworkAutoStop, FdbError> {
    // SAFETY: what this returns must be dropped before the program exits. `stop_at_exit` sees to that, and every
    // store calls it. A process that ends without its exit handlers (a signal, `_exit`, an abort) does not run down
    // its libraries either, which is what the thread would suffer from.
    unsafe { builder.boot() }
}

/// Once it is dropped, the thread is stopped at the exit before anything that the library has made so far is run down:
/// exit handlers run in the reverse order. So one is dropped when a store was opened or was not, and another when it
/// goes.
pub(super) struct StopAtExit;

impl Drop for StopAtExit {
    fn drop(&mut self) {
        stop_at_exit();
    }
}

#[expect(unsafe_code, reason = "names what is to be done at exit")]
fn stop_at_exit() {
    // SAFETY: `stop` may be called at any time, more than once, and does not unwind: a panic in it aborts.
    if unsafe { libc::atexit(stop) } != 0 {
        tracing::warn!("FoundationDB's thread will not be stopped at the exit: no memory");
    }
}

/// From a thread of its own: the one that exits has run down its thread-locals by now, and the library wants its own.
extern "C" fn stop() {
    let network = NETWORK.lock().take();
    if network.is_some() {
        drop(std::thread::spawn(move || drop(network)).join());
    }
}

fn not_started(error: FdbError) -> StoreError {
    let reason = format!("FoundationDB's client library does not start: {error} ({})", error.code());
    StoreError::Failed { reason: reason.into() }
}
