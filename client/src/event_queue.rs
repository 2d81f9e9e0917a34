//! The queue between the driver, which never waits, and the app, which may never come.
//!
//! Bound: what lanes cause is paid for in kibibytes (`EVENTS_KIB_MAX`) before it is pushed; what is not paid
//! for is bounded by what causes it (failed sends by the outboxes).

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What both ends share.
struct Shared<T> {
    state: Mutex<State<T>>,
    news: Notify,
}

struct State<T> {
    items: VecDeque<T>,
    /// One of the ends is gone.
    closed: bool,
}

/// A queue's two ends.
pub(crate) fn event_queue<T>() -> (Sender<T>, Receiver<T>) {
    let state = Mutex::new(State { items: VecDeque::new(), closed: false });
    let shared = Arc::new(Shared { state, news: Notify::new() });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// The driver's end.
pub(crate) struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Puts an item at the end. Without a receiver it goes nowhere.
    pub(crate) fn push(&self, item: T) {
        {
            let mut state = self.0.state.lock();
            if state.closed {
                return;
            }
            state.items.push_back(item);
        }
        self.0.news.notify_one();
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.news.notify_one();
    }
}

/// The app's end.
pub(crate) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// The next item; `None` when the sender is gone and everything was taken. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<T> {
        loop {
            {
                let mut state = self.0.state.lock();
                if let Some(item) = state.items.pop_front() {
                    return Some(item);
                }
                if state.closed {
                    return None;
                }
            }
            // A push between the look and the wait leaves its permit, so that it is not missed.
            self.0.news.notified().await;
        }
    }

    /// The next item, if there is one already.
    pub(crate) fn try_next(&mut self) -> Option<T> {
        self.0.state.lock().items.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.state.lock().items.len()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let items = {
            let mut state = self.0.state.lock();
            state.closed = true;
            std::mem::take(&mut state.items)
        };
        // Outside the lock: items give back their room.
        drop(items);
    }
}
