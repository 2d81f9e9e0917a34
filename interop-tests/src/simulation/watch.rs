//! What may be known of a world from outside its thread: how far its time is, what its recorder has, and
//! whether something in it panicked.
//!
//! A task that panics ends alone, and tokio keeps what it said. So a panic is caught where it is raised, by
//! a hook that knows which world its thread belongs to. Panics of other threads are not touched.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use parking_lot::Mutex;

use super::recorder::Recorder;

/// See the module. Clones watch the same world.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    now_ms: AtomicU64,
    recorder: Mutex<Option<Recorder>>,
    panic: Mutex<Option<String>>,
}

thread_local! {
    static WATCHED: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// A thread that runs a world that is watched.
#[derive(Debug)]
pub(super) struct Watched;

impl Drop for Watched {
    fn drop(&mut self) {
        WATCHED.with(|watched| watched.borrow_mut().take());
    }
}

impl Watch {
    /// How long the world has been, to a quarter of a second.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_millis(self.shared.now_ms.load(Ordering::Relaxed))
    }

    /// Its recorder, once it has one.
    #[must_use]
    pub fn recorder(&self) -> Option<Recorder> {
        self.shared.recorder.lock().clone()
    }

    /// The first panic in it: what it said, and where.
    #[must_use]
    pub fn panic(&self) -> Option<String> {
        self.shared.panic.lock().clone()
    }

    /// The world that this thread runs is the one that is watched, until the answer is dropped.
    pub(super) fn begin(&self, recorder: &Recorder) -> Watched {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let otherwise = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let watched = WATCHED.try_with(|watched| watched.try_borrow().ok()?.clone()).ok().flatten();
                match watched {
                    Some(watch) => watch.panicked(panic),
                    None => otherwise(panic),
                }
            }));
        });
        *self.shared.recorder.lock() = Some(recorder.clone());
        WATCHED.with(|watched| *watched.borrow_mut() = Some(self.clone()));
        Watched
    }

    /// So much time has passed.
    pub(super) fn passed(&self, now: Duration) {
        self.shared.now_ms.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn panicked(&self, panic: &PanicHookInfo<'_>) {
        let said = panic.payload_as_str().unwrap_or("a panic without words");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        self.shared.panic.lock().get_or_insert(format!("{said} ({place})"));
    }
}
