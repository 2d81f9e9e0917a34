//! Datagrams from the client: its presence, and that its user types.
//!
//! Over the rate they are dropped and counted: the client renews what is still true. One that says something
//! older than what is known is dropped too.

use bytes::Bytes;
use fulmar_protocol::{Datagram, TypingUpdate};

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
        let (id, own) = (update.conversation_id, &self.handle.identity.user);
        match self.shared.log.roster(id).await {
            Ok(Some(roster)) => {
                let shown = self
                    .shared
                    .hub
                    .show_typing(id, &roster, own, update.typing, |user| self.handle.blocks(user));
                if let (true, Some(node)) = (shown, &self.shared.node) {
                    node.typing(id, own, update.typing);
                }
            }
            Ok(None) => {}
            Err(error) => return Err(self.failed("reading a roster", &error)),
        }
        Ok(())
    }
}
