//! Time that runs faster than the clock on the wall, for both ends of real sockets.
//!
//! The runtime's time is paused and moved on by a fixed step for every real millisecond. Timers of the
//! server, of QUIC and of the test all follow it, so that half a minute of silence takes a second. It works
//! on a runtime of one thread only. That a blocking task is running keeps the runtime from moving time by
//! itself when all wait for packets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Runs as long as it is held.
#[derive(Debug)]
pub struct FastTime {
    stopped: Arc<AtomicBool>,
    advancing: JoinHandle<()>,
}

impl FastTime {
    /// Every real millisecond is this long from now on.
    pub fn start(step: Duration) -> Self {
        tokio::time::pause();
        let stopped = Arc::new(AtomicBool::new(false));
        let (tick, mut ticks) = mpsc::channel(1);
        let stop = Arc::clone(&stopped);
        tokio::task::spawn_blocking(move || {
            while !stop.load(Ordering::Acquire) {
                // A real wait: this thread is the clock.
                std::thread::sleep(Duration::from_millis(1));
                // One that was not taken yet is enough: time does not race ahead of a busy runtime.
                let _ = tick.try_send(());
            }
        });
        let advancing = tokio::spawn(async move {
            while ticks.recv().await.is_some() {
                tokio::time::advance(step).await;
            }
        });
        Self { stopped, advancing }
    }
}

impl Drop for FastTime {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        self.advancing.abort();
    }
}
