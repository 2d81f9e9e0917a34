//! Datagrams from the client: its presence, and that its user types.
//!
//! Over the rate they are dropped and counted: the client renews what is still true. One that says something
//! older than what is known is dropped too.

use bytes::Bytes;
use fulmar_protocol::{
    ConversationKind, Datagram, Typing, TypingUpdate,
    limits::{FAN_OUT_MEMBERS_MAX, TYPING_TTL},
};

use super::{End, Session, end_of_connection};

/// Conversations whose typing generation a session remembers; beyond that it begins anew.
const TYPING_GENERATIONS_MAX: usize = 64;

impl Session {
    pub(super) async fn accept_datagram(
        &mut self,
        datagram: Result<Bytes, quinn::ConnectionError>,
    ) -> Result<(), End> {
        let bytes = datagram.map_err(|error| end_of_connection(&error))?;
        if self.datagram_rate.take(1, self.handle.age()).is_err() {
            self.shared.metrics.datagrams_dropped.increment(1);
            return Ok(());
        }
        match Datagram::decode(&bytes) {
            Ok(Some(Datagram::PresenceUpdate(update))) => {
                if update.generation > self.presence_generation {
                    self.presence_generation = update.generation;
                    self.handle.set_presence(update.state);
                    let now = self.shared.log.now();
                    self.shared.hub.presence.set(&self.handle, update.state, now);
                }
                Ok(())
            }
            Ok(Some(Datagram::TypingUpdate(update))) => self.typing(update).await,
            Ok(Some(Datagram::HedgedSend(hedged))) => self.hedged_send(hedged).await,
            // Only servers send the others.
            Ok(Some(_)) => Err(fulmar_protocol::ErrorCode::DatagramMalformed),
            Ok(None) => Ok(()),
            Err(error) => Err(error.code()),
        }
    }

    /// Passes it on to those who have written there, and whom no block separates from this user.
    async fn typing(&mut self, update: TypingUpdate) -> Result<(), End> {
        let known = self.typing_generations.get(&update.conversation_id);
        if known.is_some_and(|known| *known >= update.generation) {
            return Ok(());
        }
        if known.is_none() && self.typing_generations.len() >= TYPING_GENERATIONS_MAX {
            self.typing_generations.clear();
        }
        self.typing_generations.insert(update.conversation_id, update.generation);
        let own = &self.handle.identity.user;
        let id = update.conversation_id;
        let roster = match self.shared.log.roster(id).await {
            Ok(Some(roster)) => roster,
            Ok(None) => return Ok(()),
            Err(error) => return Err(self.failed("reading a roster", &error)),
        };
        let separated = id.kind() == ConversationKind::Direct && roster.any_block();
        if roster.role(own).is_none() || roster.members.len() > FAN_OUT_MEMBERS_MAX || separated {
            return Ok(());
        }
        let generation = self.shared.hub.presence.next_generation();
        let typing = Datagram::Typing(Typing {
            conversation_id: id,
            user: own.clone(),
            generation,
            typing: update.typing,
            ttl: TYPING_TTL,
        });
        for (user, member) in &roster.members {
            if user == own || !member.wrote || self.handle.blocks(user) {
                continue;
            }
            for session in self.shared.hub.sessions_of(user) {
                if !session.blocks(own) {
                    session.send_datagram(&typing);
                }
            }
        }
        Ok(())
    }
}
