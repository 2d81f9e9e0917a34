//! Taking a number and a lease: at the start, and whenever the lease was lost.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use fulmar_protocol::SessionNumber;
use tokio::time::sleep;

use super::{JoinError, Node, NodeNumber, observed::Observed, registry::Joined};
use crate::{
    limits::{LEASE_RENEW_EVERY, READINGS_UNTIL_DEAD},
    rows::NodeRow,
};

/// Sessions of a node have so many bits of their number to themselves; the node's number stands above.
const SESSION_NUMBER_BITS: u32 = 40;

impl Node {
    pub(super) async fn join(&self) -> Result<(), JoinError> {
        let number = self.take_number().await?;
        tracing::info!(node = %number, "joined the cluster");
        self.links.set_number(number);
        self.hub.number_sessions_from(SessionNumber::new(number.get() << SESSION_NUMBER_BITS | 1));
        self.interests.lock().await.clear();
        self.number.store(number.get(), Ordering::Release);
        Ok(())
    }

    /// Which of these are dead by now; waits for the next reading where none is.
    async fn read_once_more(
        &self,
        observed: &mut Observed,
        nodes: &[(NodeNumber, NodeRow)],
    ) -> BTreeSet<NodeNumber> {
        let now = self.clock.now();
        let dead = observed.read(nodes.iter().map(|(number, row)| (*number, row)), now, now).dead;
        if dead.is_empty() {
            sleep(LEASE_RENEW_EVERY).await;
        }
        dead
    }

    async fn take_number(&self) -> Result<NodeNumber, JoinError> {
        let mut dead = Vec::new();
        let mut observed = Observed::default();
        for reading in 0.. {
            match self.registry.join(dead.clone()).await? {
                Joined::As(number, earlier) => {
                    for earlier in earlier.into_iter().chain(dead) {
                        self.clear(earlier);
                    }
                    return Ok(number);
                }
                Joined::TooMany(_) if reading > READINGS_UNTIL_DEAD + 1 => {
                    return Err(JoinError::TooManyNodes);
                }
                // It may have died a moment ago: then its lease ends soon.
                Joined::ServerIdOf(_, row) if reading > READINGS_UNTIL_DEAD + 1 => {
                    let (server_id, address) = (row.server_id, row.address);
                    return Err(JoinError::ServerIdInUse { server_id, address });
                }
                Joined::ServerIdOf(number, row) => {
                    dead.extend(self.read_once_more(&mut observed, &[(number, row)]).await);
                }
                // All of them may have died, and nobody is left to clear their rows.
                Joined::TooMany(nodes) => dead.extend(self.read_once_more(&mut observed, &nodes).await),
            }
        }
        Err(JoinError::TooManyNodes)
    }
}
