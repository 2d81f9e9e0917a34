//! The slow look for rows of this node that it does not need any more.

use std::sync::Arc;

use fulmar_protocol::SessionNumber;
use tokio::time::sleep;

use super::{Node, NodeNumber};
use crate::{limits::HELD_SWEEP_EVERY, rows::Held};

impl Node {
    /// Clears rows of this node that it does not need any more: those of sessions that ended while the store did not
    /// answer, and of large conversations that nobody here has left.
    pub(super) async fn sweep_held(self: Arc<Self>) {
        let mut issued = self.hub.next_session_number();
        loop {
            sleep(HELD_SWEEP_EVERY).await;
            // Younger ones may be about to begin.
            let settled = std::mem::replace(&mut issued, self.hub.next_session_number());
            let mut after = None;
            while let Some(number) = self.number() {
                let (held, last) = match self.registry.held(number, after.as_ref()).await {
                    Ok(page) => page,
                    Err(error) => {
                        tracing::warn!(%error, "this node's rows were not read");
                        break;
                    }
                };
                self.release_needless(number, held, settled).await;
                after = last;
                if after.is_none() {
                    break;
                }
            }
        }
    }

    async fn release_needless(&self, number: NodeNumber, held: Vec<Held>, settled: SessionNumber) {
        // Nobody writes a row of interest meanwhile.
        let mut interests = self.interests.lock().await;
        let needless = |held: &Held| match held {
            Held::Session(user, session) => session.number < settled && !self.hub.has(user, session.number),
            Held::Interest(conversation) => !self.hub.is_interested(conversation),
        };
        let held: Vec<_> = held.into_iter().filter(needless).collect();
        if held.is_empty() {
            return;
        }
        for held in &held {
            if let Held::Interest(conversation) = held {
                interests.remove(conversation);
            }
        }
        if let Err(error) = self.registry.release(number, held).await {
            tracing::warn!(%error, "rows that are not needed any more were not cleared");
        }
    }
}
