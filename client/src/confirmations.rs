//! What the app has confirmed or read, and the driver has not taken yet: the highest seq of each
//! conversation.
//!
//! Bound: two numbers per conversation that the app was handed entries of, and one waiter per call of
//! `mark_read` that the app still holds.

use std::collections::BTreeMap;

use fulmar_protocol::{ConversationId, Seq};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::command::Reply;
use crate::error::ClientError;

/// Written by entries and conversation handles, taken by the driver.
#[derive(Default)]
pub(crate) struct Confirmations {
    waiting: Mutex<Waiting>,
    news: Notify,
}

/// What waits for the driver.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) confirmed: BTreeMap<ConversationId, Seq>,
    pub(crate) reads: Vec<ReadMarkAsked>,
    /// The driver has ended and takes nothing more.
    closed: Option<ClientError>,
}

/// A read mark that a caller asked for.
pub(crate) struct ReadMarkAsked {
    pub(crate) conversation: ConversationId,
    pub(crate) seq: Seq,
    pub(crate) reply: Reply<()>,
}

impl std::fmt::Debug for Confirmations {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Confirmations").finish_non_exhaustive()
    }
}

impl Confirmations {
    /// Everything up to `seq` is the app's.
    pub(crate) fn confirm(&self, conversation: ConversationId, seq: Seq) {
        {
            let mut waiting = self.waiting.lock();
            if waiting.closed.is_some() {
                return;
            }
            let known = waiting.confirmed.entry(conversation).or_insert(seq);
            *known = seq.max(*known);
        }
        self.news.notify_one();
    }

    /// Everything up to `seq` was read.
    pub(crate) fn read(
        &self,
        conversation: ConversationId,
        seq: Seq,
    ) -> oneshot::Receiver<Result<(), ClientError>> {
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            if let Some(error) = waiting.closed.clone() {
                // The receiver is held below.
                let _ = reply.send(Err(error));
                return answer;
            }
            waiting.reads.push(ReadMarkAsked { conversation, seq, reply });
        }
        self.news.notify_one();
        answer
    }

    /// Takes all of it.
    pub(crate) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock())
    }

    /// Takes all of it for the last time; later calls fail with `error`.
    pub(crate) fn close(&self, error: ClientError) -> Waiting {
        std::mem::replace(&mut *self.waiting.lock(), Waiting { closed: Some(error), ..Waiting::default() })
    }

    /// Waits for something to take. Cancel-safe.
    pub(crate) async fn changed(&self) {
        self.news.notified().await;
    }
}
