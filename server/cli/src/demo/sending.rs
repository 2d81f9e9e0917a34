//! How the demonstration sends: every message has a body of its own, is written into the ledger before the
//! client gets it, and again when the server answers.

use bytes::Bytes;
use fulmar_client::{Accepted, ClientError, Conversation, OutgoingMessage, Sending};
use futures_util::stream::{FuturesOrdered, StreamExt as _};

use super::account::Account;
use super::ledger::Ledger;
use crate::failure::Failure;

/// Messages of one sender that are under way at a time.
const UNDER_WAY_MAX: usize = 64;

/// Somebody who sends into a conversation.
pub(super) struct Sender {
    conversation: Conversation,
    name: String,
    sent: u64,
}

impl Sender {
    /// `name` tells this sender's messages from those of all others.
    pub(super) fn new(conversation: Conversation, name: impl Into<String>) -> Self {
        Self { conversation, name: name.into(), sent: 0 }
    }

    /// The next message.
    pub(super) fn next_body(&mut self) -> Bytes {
        self.sent = self.sent.saturating_add(1);
        Bytes::from(format!("{} #{}", self.name, self.sent))
    }

    /// Sends one message, and waits until it is accepted.
    pub(super) async fn send(
        &mut self,
        ledger: &mut Ledger,
        account: &Account,
    ) -> Result<(Bytes, Accepted), Failure> {
        let body = self.next_body();
        ledger.sent(self.conversation.id(), body.clone());
        let accepted = self.conversation.send(message(&body)).await?;
        ledger.accepted(&body, accepted.seq);
        account.accepted();
        Ok((body, accepted))
    }

    /// Puts messages into the outbox, all at once. When it returns they are in it durably.
    pub(super) async fn enqueue(
        &mut self,
        count: u64,
        ledger: &mut Ledger,
    ) -> Result<Vec<(Bytes, Sending)>, Failure> {
        let bodies: Vec<Bytes> = (0..count).map(|_| self.next_body()).collect();
        for body in &bodies {
            ledger.sent(self.conversation.id(), body.clone());
        }
        let sendings = self.conversation.enqueue_all(bodies.iter().map(message)).await?;
        Ok(bodies.into_iter().zip(sendings).collect())
    }
}

async fn send(conversation: Conversation, body: Bytes) -> Result<(Bytes, Accepted), ClientError> {
    let accepted = conversation.send(message(&body)).await?;
    Ok((body, accepted))
}

/// Sends `count` messages, by turns from each of the senders, many at a time, and waits until all are
/// accepted. Says after each how many are.
pub(super) async fn send_all(
    senders: &mut [Sender],
    count: u64,
    ledger: &mut Ledger,
    account: &Account,
    mut say_accepted: impl FnMut(u64),
) -> Result<(), Failure> {
    let mut under_way = FuturesOrdered::new();
    let (mut left, mut accepted_count) = (count, 0_u64);
    let mut turns = (0..senders.len()).cycle();
    let most = UNDER_WAY_MAX.saturating_mul(senders.len());
    while left > 0 || !under_way.is_empty() {
        while left > 0 && under_way.len() < most {
            let index = turns.next().unwrap_or_default();
            let Some(sender) = senders.get_mut(index) else { return Ok(()) };
            left -= 1;
            let body = sender.next_body();
            ledger.sent(sender.conversation.id(), body.clone());
            under_way.push_back(send(sender.conversation.clone(), body));
        }
        if let Some(outcome) = under_way.next().await {
            let (body, accepted) = outcome?;
            ledger.accepted(&body, accepted.seq);
            account.accepted();
            accepted_count += 1;
            say_accepted(accepted_count);
        }
    }
    Ok(())
}

fn message(body: &Bytes) -> OutgoingMessage {
    OutgoingMessage::new(OutgoingMessage::TEXT, body.clone())
}
