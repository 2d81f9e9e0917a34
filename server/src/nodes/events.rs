//! What the other nodes tell this one.
//!
//! A node is trusted with what it tells, as it is with the store; but nothing it says is taken for more than a hint.
//! A hint of a conversation that nobody here has, or of a seq that was never appended, makes a session look, and find
//! what there is.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use fulmar_protocol::{ConversationId, UserId};
use tokio::{sync::mpsc, time::sleep};

use super::{
    Node, NodeNumber,
    link::LinkEvent,
    message::{EndToken, Hint, HintNews, HintTo, Message},
};
use crate::log::News;

/// Users whom a node is asked of at once, and how long it is until the next: 10,000 a second.
const ASKED_AT_ONCE: usize = 500;
const ASKED_EVERY: Duration = Duration::from_millis(50);

impl Node {
    /// Handles what comes over the links until they are closed.
    pub(super) async fn handle_events(self: Arc<Self>, mut events: mpsc::Receiver<LinkEvent>) {
        while let Some(event) = events.recv().await {
            match event {
                LinkEvent::Message { from, message } => self.take(from, message),
                LinkEvent::Up(peer) => {
                    self.unreachable.lock().remove(&peer);
                    // Whatever was for it until now is lost, and so is what it was asked to tell.
                    self.send(peer, Message::HintsLost);
                    self.ask_for_presence(peer);
                }
                LinkEvent::Down(peer) => {
                    if self.is_peer(peer) {
                        self.unreachable.lock().insert(peer);
                    }
                    // What it tells does not arrive either, most likely; and one that left told its last in vain.
                    self.hub.look_for_lost_hints();
                    self.hub.presence.unwatch_all(peer);
                }
            }
        }
    }

    /// Whether another node that lives cannot be reached, so that hints from there may be lost too.
    pub(crate) fn is_degraded(&self) -> bool {
        !self.unreachable.lock().is_empty()
    }

    fn take(self: &Arc<Self>, from: NodeNumber, message: Message) {
        match message {
            Message::Hint(hint) => self.take_hint(hint),
            Message::HintsLost => {
                self.hub.look_for_lost_hints();
                // What it told of presence may be lost too, and whom it is to tell of.
                self.ask_for_presence(from);
            }
            Message::Typing { conversation, user, typing } => self.show_typing(conversation, user, typing),
            Message::PresenceWatch { user, watch } => self.hub.presence.set_watched_by(from, &user, watch),
            Message::Presence { user, state, last_seen } => {
                self.hub.presence.set_elsewhere(from, &user, state, last_seen);
            }
            Message::EndSessions { user, device, up_to, code, token } => {
                let mut sessions = self.hub.sessions_of(&user);
                sessions.retain(|session| {
                    let identity = &session.identity;
                    device.is_none_or(|device| identity.device == device)
                        && up_to.is_none_or(|up_to| identity.number <= up_to)
                });
                sessions.iter().for_each(|session| session.end(code));
                self.spawn(async move |node| {
                    // Each ends at once, but for a task that hangs; the asking node does not wait for that.
                    for session in sessions {
                        session.finished().await;
                    }
                    node.send(from, Message::SessionsEnded { user, device, token });
                });
            }
            Message::SessionsEnded { token, .. } => self.ended(token),
            Message::Blocked { user, other, blocked } => self.hub.set_blocked(&user, &other, blocked),
        }
    }

    fn take_hint(&self, hint: Hint) {
        let Some(log) = self.log.get().and_then(Weak::upgrade) else { return };
        let news = match hint.news {
            HintNews::Head { head, entries, redacted } => {
                // Where nobody has the conversation in hand, whoever is told reads it.
                if let Some(conversation) = log.held_conversation(&hint.conversation) {
                    conversation.take_in(&head, entries.as_slice(), redacted);
                }
                News::Head
            }
            HintNews::Marks => News::Marks,
        };
        match hint.to {
            HintTo::Users(users) => self.hub.tell_users(&users, hint.conversation, news),
            HintTo::AllInterested => self.hub.tell_interested(hint.conversation, news),
        }
    }

    /// Asks a node to tell of all whom somebody here watches. No faster than a link takes, which has hints to carry.
    fn ask_for_presence(&self, peer: NodeNumber) {
        if self.asking.lock().insert(peer, true).is_some() {
            return;
        }
        self.spawn(async move |node| {
            while node.is_to_ask(peer) {
                for (at, user) in node.hub.presence.watched().into_iter().enumerate() {
                    if at % ASKED_AT_ONCE == ASKED_AT_ONCE - 1 {
                        sleep(ASKED_EVERY).await;
                    }
                    while node.is_peer(peer)
                        && node.hub.presence.is_watched(&user)
                        && !node.links.send(peer, Message::PresenceWatch { user: user.clone(), watch: true })
                    {
                        sleep(ASKED_EVERY).await;
                    }
                }
            }
        });
    }

    /// Whether there is something to ask that was not asked since; if not, whoever asks next begins anew.
    fn is_to_ask(&self, peer: NodeNumber) -> bool {
        let mut asking = self.asking.lock();
        let again = asking.get_mut(&peer).is_some_and(std::mem::take);
        if !again {
            asking.remove(&peer);
        }
        again
    }

    fn show_typing(&self, conversation: ConversationId, user: UserId, typing: bool) {
        let Some(log) = self.log.get().and_then(Weak::upgrade) else { return };
        // Over the bound it is dropped: clients say again what is still true.
        let Ok(permit) = Arc::clone(&self.lookups).try_acquire_owned() else { return };
        self.spawn(async move |node| {
            match futures_util::try_join!(log.roster(conversation), log.blocked(&user)) {
                Ok((Some(roster), blocked)) => {
                    let blocks = |other: &UserId| blocked.contains(other);
                    node.hub.show_typing(conversation, &roster, &user, typing, blocks);
                }
                Ok((None, _)) => {}
                Err(error) => tracing::debug!(%conversation, %error, "typing was not shown"),
            }
            drop(permit);
        });
    }

    fn ended(&self, token: EndToken) {
        if let Some(waiting) = self.ending.lock().remove(&token) {
            // Nobody waits any more where it took too long.
            let _ = waiting.send(());
        }
    }
}
