//! What a user says: messages, edits, redactions, reactions, read marks, typing, presence.

use fulmar_client::{ClientError, Conversation, OutgoingMessage};
use fulmar_protocol::{PresenceState, Seq, UserId};
use rand::Rng as _;

use super::actor::Actor;

/// How far back messages are changed.
const CHANGED_BACK: usize = 12;

impl Actor {
    pub(super) fn send(&mut self, messages: usize) {
        let Some(client) = self.device.client() else { return };
        let Some(conversation) = self.some_conversation(&client) else { return };
        let bodies: Vec<usize> = (0..messages)
            .map(|_| match self.random.random_range(0..20) {
                0 => self.random.random_range(1_000..20_000),
                _ => self.random.random_range(10..400),
            })
            .collect();
        let (recorder, number) = (self.scene.recorder.clone(), self.number());
        self.under_way.spawn(async move {
            let mut sendings = Vec::new();
            for bytes in bodies {
                let message = recorder.new_message(number, conversation.id());
                match conversation.enqueue(OutgoingMessage::text(message.body(bytes))).await {
                    Ok(sending) => {
                        recorder.enqueued(message);
                        sendings.push((message, sending));
                    }
                    Err(error) => recorder.note(format!("device {number}: not enqueued: {error}")),
                }
            }
            for (message, sending) in sendings {
                match sending.await {
                    Ok(accepted) => recorder.accepted(message, accepted.seq),
                    Err(ClientError::Refused { code, .. }) => recorder.refused(message, code),
                    Err(error) => recorder.note(format!("device {number}: no answer: {error}")),
                }
            }
        });
    }

    pub(super) fn mark_read(&mut self) {
        let Some(client) = self.device.client() else { return };
        let Some(conversation) = self.some_conversation(&client) else { return };
        let recorder = self.scene.recorder.clone();
        let Some(seq) = recorder.last_handed(self.number(), conversation.id()) else { return };
        recorder.marked_read(self.number(), conversation.id(), seq);
        self.under_way.spawn(async move {
            // Refused where the user is no member any more.
            let _ = conversation.mark_read(seq).await;
        });
    }

    pub(super) fn type_something(&mut self) {
        let Some(client) = self.device.client() else { return };
        let Some(conversation) = self.some_conversation(&client) else { return };
        let watch = [conversation.id()];
        self.under_way.spawn(async move {
            // Errors mean that the client has ended.
            let _ = client.watch(&watch).await;
            let _ = conversation.typing(true).await;
        });
    }

    /// Edits, redacts or reacts to a message; of somebody else's, the first two are refused to most.
    pub(super) fn change_message(&mut self) {
        let Some(client) = self.device.client() else { return };
        let Some(conversation) = self.some_conversation(&client) else { return };
        let user = if self.random.random_bool(0.8) { self.device.user.clone() } else { self.some_user() };
        let Some(target) = self.some_message(&conversation, &user) else { return };
        let what = self.random.random_range(0..4);
        let (recorder, number) = (self.scene.recorder.clone(), self.number());
        self.under_way.spawn(async move {
            let done = match what {
                0 => conversation.edit(target, OutgoingMessage::text("another text")).await,
                1 | 2 => conversation.redact(target).await,
                _ => conversation.react(target, "+").await,
            };
            let how = done.map_or_else(|error| error.to_string(), |done| done.seq.to_string());
            recorder.note(format!("device {number}: change {what} of {target}: {how}"));
        });
    }

    fn some_message(&mut self, conversation: &Conversation, user: &UserId) -> Option<Seq> {
        let messages = self.scene.recorder.messages_of(user, conversation.id(), CHANGED_BACK);
        let last = messages.len().checked_sub(1)?;
        messages.get(self.random.random_range(0..=last)).copied()
    }

    pub(super) fn be_seen(&mut self) {
        let Some(client) = self.device.client() else { return };
        let state = if self.random.random_bool(0.5) { PresenceState::Online } else { PresenceState::Away };
        self.under_way.spawn(async move {
            // Refused where it is set too often.
            let _ = client.set_presence(state).await;
        });
    }
}
