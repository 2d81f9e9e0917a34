//! FoundationDB's network thread, which a process starts once and stops once.
//!
//! Holds: it is stopped, and joined, before the process runs down its libraries.

use std::sync::OnceLock;

use foundationdb::{
    FdbError,
    api::{FdbApiBuilder, NetworkAutoStop},
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

#[expect(unsafe_code, reason = "starting a thread of a C library, and saying what is to be done at exit")]
fn boot(builder: foundationdb::api::NetworkBuilder) -> Result<NetworkAutoStop, FdbError> {
    // SAFETY: `boot` demands that what it returns is dropped before the program exits. `stop`, which drops it, is
    // registered for the exit first, and so runs before what the library registered when it was loaded. A process
    // that ends without running it (a signal, `_exit`, an abort) does not run down its libraries either. Where it
    // cannot be registered nothing is booted.
    unsafe {
        if libc::atexit(stop) != 0 {
            // `client_invalid_operation`.
            return Err(FdbError::from_code(2000));
        }
        builder.boot()
    }
}

extern "C" fn stop() {
    drop(NETWORK.lock().take());
}

fn not_started(error: FdbError) -> StoreError {
    let reason = format!("FoundationDB's client library does not start: {error} ({})", error.code());
    StoreError::Failed { reason: reason.into() }
}
