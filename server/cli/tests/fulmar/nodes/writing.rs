//! All devices write, now to the group and now to one of two peers, until they are told to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fulmar_client::{ClientError, ConversationId, OutgoingMessage, Sending};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::task::JoinHandle;

use super::log::Ledger;
use super::people::{Device, People};

/// Between two messages of a device.
const PAUSE: Duration = Duration::from_millis(80);
/// Of a device, without an answer.
const UNANSWERED_MAX: usize = 6;
/// How long all of it may take to be answered after the last was sent.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// Goes on until it is stopped.
pub(super) struct Writing<'p> {
    people: &'p People,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<()>>,
}

impl People {
    /// Lets all devices write.
    pub(super) fn write(&self) -> Writing<'_> {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = |device: &Arc<Device>| Writer {
            device: Arc::clone(device),
            group: self.group,
            ledger: Arc::clone(&self.ledger),
            stop: Arc::clone(&stop),
        };
        let writers = self.devices.iter().map(|device| self.runtime.spawn(writer(device).write())).collect();
        Writing { people: self, stop, writers }
    }

    /// Messages that were answered so far.
    pub(super) fn accepted(&self) -> usize {
        self.ledger.lock().unwrap().accepted_count()
    }
}

impl Writing<'_> {
    /// Returns when everything was answered. Gives how many messages there were.
    pub(super) fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.people.runtime.block_on(async {
            let all = futures_util::future::join_all(self.writers);
            for writer in tokio::time::timeout(ANSWER_TIME_MAX, all).await.expect("answers in time") {
                writer.unwrap();
            }
        });
        self.people.ledger.lock().unwrap().sent_count()
    }
}

struct Writer {
    device: Arc<Device>,
    group: ConversationId,
    ledger: Arc<Mutex<Ledger>>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    async fn write(self) {
        let mut unanswered = FuturesUnordered::new();
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            number += 1;
            let (conversation, body, sending) = self.enqueue(number).await;
            unanswered.push(async move { (conversation, body, sending.await) });
            while unanswered.len() >= UNANSWERED_MAX {
                let answer = unanswered.next().await.unwrap();
                self.note(answer);
            }
            // A real wait: the processes live in real time.
            tokio::time::sleep(PAUSE).await;
        }
        while let Some(answer) = unanswered.next().await {
            self.note(answer);
        }
    }

    async fn enqueue(&self, number: usize) -> (ConversationId, String, Sending) {
        let body = format!("{} {number}", self.device.label);
        let (conversation, sending) = self
            .device
            .with(async |client| {
                let conversation = self.device.conversation(client, self.group, number);
                let message = OutgoingMessage::text(body.clone());
                (conversation.id(), conversation.enqueue(message).await.unwrap())
            })
            .await;
        self.ledger.lock().unwrap().sent(conversation, body.clone());
        (conversation, body, sending)
    }

    fn note(
        &self,
        (conversation, body, answer): (ConversationId, String, Result<fulmar_client::Accepted, ClientError>),
    ) {
        match answer {
            Ok(accepted) => self.ledger.lock().unwrap().accepted(conversation, &body, accepted.seq),
            // The app was closed; its next life has it in its outbox.
            Err(ClientError::Closed) => {}
            Err(error) => panic!("{body}: {error}"),
        }
    }
}
