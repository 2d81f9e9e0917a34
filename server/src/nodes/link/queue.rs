//! What waits to be sent to one peer. Bounded; what finds it full is not taken.
//!
//! It outlives the connection: what is put in while the peer is being dialled goes out first when that succeeds.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::limits::{LINK_QUEUE_BYTES_MAX, LINK_QUEUE_MESSAGES_MAX};

/// Bytes that the writer takes at once, but that one message may be longer: what is lost with a connection.
const TAKEN_BYTES_MAX: usize = 64 * 1024;
/// And messages.
const TAKEN_MESSAGES_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Bytes>,
    bytes: usize,
}

impl Queue {
    /// Takes a message, or says that there is no room.
    pub(super) fn push(&self, message: Bytes) -> bool {
        let mut waiting = self.waiting.lock();
        let bytes = waiting.bytes.saturating_add(message.len());
        if waiting.messages.len() >= LINK_QUEUE_MESSAGES_MAX || bytes > LINK_QUEUE_BYTES_MAX {
            return false;
        }
        waiting.bytes = bytes;
        waiting.messages.push_back(message);
        drop(waiting);
        self.filled.notify_one();
        true
    }

    /// The oldest messages, at least one. Cancel safe. For one caller at a time.
    pub(super) async fn take(&self) -> Vec<Bytes> {
        loop {
            let taken = self.waiting.lock().take();
            if !taken.is_empty() {
                return taken;
            }
            self.filled.notified().await;
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Vec<Bytes> {
        let mut taken = Vec::new();
        let mut bytes: usize = 0;
        while bytes < TAKEN_BYTES_MAX && taken.len() < TAKEN_MESSAGES_MAX {
            let Some(message) = self.messages.pop_front() else { break };
            bytes = bytes.saturating_add(message.len());
            taken.push(message);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_put_in_comes_out_in_order_and_makes_room() {
        let queue = Queue::default();
        let message = |number: usize| Bytes::from(number.to_string());
        for number in 0..LINK_QUEUE_MESSAGES_MAX {
            assert!(queue.push(message(number)));
        }
        assert!(!queue.push(message(0)), "as many messages as it holds");
        let taken = queue.take().await;
        let expected: Vec<_> = (0..taken.len()).map(message).collect();
        assert_eq!(taken, expected);
        assert!(queue.push(message(0)), "there is room again");
    }

    #[tokio::test]
    async fn its_bytes_are_bounded() {
        let queue = Queue::default();
        let message = Bytes::from(vec![0; 128 * 1024]);
        for _ in 0..LINK_QUEUE_BYTES_MAX / message.len() {
            assert!(queue.push(message.clone()));
        }
        assert!(!queue.push(Bytes::from_static(b"one more")));
        assert_eq!(queue.take().await, [message]);
        assert!(queue.push(Bytes::from_static(b"one more")));
    }
}
