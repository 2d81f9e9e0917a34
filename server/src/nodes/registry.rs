//! The nodes' rows in the store: taking a number, renewing a lease, clearing what a dead node left.
//!
//! A number is never used twice, so that what an older life of a node wrote is told from what it writes now.
//! Whatever a node writes among the rows of users and conversations it also writes under its own number, in the same
//! transaction; whoever finds it dead clears both, page by page, and the node's own row last.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{Fingerprint, NodeNumber};
use crate::{
    clock::Clock,
    limits::{HELD_ROWS_PER_CLEAR, NODES_MAX},
    log::LogError,
    rows::{Held, Key, NodeRow, hold, node_at_end, release},
    store::{Snapshot, Store, Transaction},
};

/// Rows of nodes that are read: some are of dead ones, which nobody has cleared yet.
const ROWS_MAX: usize = 2 * NODES_MAX;

/// What a node says of itself in its row.
#[derive(Clone, Debug)]
pub(super) struct SelfDescription {
    pub(super) address: SocketAddr,
    pub(super) fingerprint: Fingerprint,
    pub(super) client_addresses: Vec<String>,
    pub(super) server_id: u32,
}

/// What came of an attempt to become a node.
#[derive(Clone, Debug)]
pub(super) enum Joined {
    /// The number that was taken, and those of earlier lives at the same address: they are dead, since the address
    /// is this node's.
    As(NodeNumber, Vec<NodeNumber>),
    /// Another node has the same server id, or had it until it died.
    ServerIdOf(NodeNumber, NodeRow),
    /// There are [`NODES_MAX`] already: these, of which some may be dead.
    TooMany(Vec<(NodeNumber, NodeRow)>),
}

/// See the module.
pub(super) struct Registry {
    store: Store,
    clock: Clock,
    own: SelfDescription,
}

impl Registry {
    pub(super) fn new(store: Store, clock: Clock, own: SelfDescription) -> Self {
        Self { store, clock, own }
    }

    /// Takes a new number and a lease. `dead`: nodes that were found dead.
    pub(super) async fn join(&self, dead: Vec<NodeNumber>) -> Result<Joined, LogError> {
        let own = self.row(0);
        Ok(self
            .store
            .run(move |transaction| {
                let (own, dead) = (own.clone(), dead.clone());
                Box::pin(async move { join(transaction, &own, &dead).await })
            })
            .await?)
    }

    /// Renews the lease. `false`: the row is gone, since the others took this node for dead.
    pub(super) async fn renew(&self, number: NodeNumber, renewals: u64) -> Result<bool, LogError> {
        let row = self.row(renewals).encode();
        let key = Key::node(number);
        Ok(self
            .store
            .run(move |transaction| {
                let (key, row) = (key.clone(), row.clone());
                Box::pin(async move {
                    let held = transaction.get(&key).await?.is_some();
                    if held {
                        transaction.set(&key, row);
                    }
                    Ok::<_, LogError>(held)
                })
            })
            .await?)
    }

    /// All nodes that have a row.
    pub(super) async fn nodes(&self) -> Result<Vec<(NodeNumber, NodeRow)>, LogError> {
        let snapshot: Snapshot = self.store.snapshot();
        decode(snapshot.range(Key::nodes(), ROWS_MAX, false).await?)
    }

    /// Clears all that a node holds, and its row at last.
    pub(super) async fn clear(&self, number: NodeNumber) -> Result<(), LogError> {
        while self.clear_page(number).await? == HELD_ROWS_PER_CLEAR {}
        Ok(())
    }

    async fn clear_page(&self, node: NodeNumber) -> Result<usize, LogError> {
        Ok(self
            .store
            .run(move |transaction| {
                Box::pin(async move {
                    let rows = transaction.range(Key::all_held(node), HELD_ROWS_PER_CLEAR, false).await?;
                    for (key, _) in &rows {
                        if let Some(held) = Held::of_key(key, node) {
                            transaction.clear(&held.key(node));
                        }
                        transaction.clear(key);
                    }
                    if rows.len() < HELD_ROWS_PER_CLEAR {
                        transaction.clear(&Key::node(node));
                    }
                    Ok::<_, LogError>(rows.len())
                })
            })
            .await?)
    }

    /// A page of what a node holds, after a key.
    pub(super) async fn held(
        &self,
        number: NodeNumber,
        after: Option<&Bytes>,
    ) -> Result<(Vec<Held>, Option<Bytes>), LogError> {
        let range = Key::all_held(number);
        let range = match after {
            Some(after) => range.after(after),
            None => range,
        };
        let rows = self.store.snapshot().range(range, HELD_ROWS_PER_CLEAR, false).await?;
        let last = rows.last().map(|(key, _)| key.clone()).filter(|_| rows.len() == HELD_ROWS_PER_CLEAR);
        let held = rows.iter().filter_map(|(key, _)| Held::of_key(key, number)).collect();
        Ok((held, last))
    }

    /// Writes rows that this node holds. Fails once its rows are cleared: nobody would clear these.
    pub(super) async fn hold(&self, node: NodeNumber, held: Vec<Held>) -> Result<(), LogError> {
        Ok(self
            .store
            .run(move |transaction| {
                let held = held.clone();
                Box::pin(async move {
                    if transaction.get(&Key::node(node)).await?.is_none() {
                        return Err(LogError::Unfinished("this node has no lease".to_owned()));
                    }
                    held.iter().for_each(|held| hold(transaction, node, held));
                    Ok::<_, LogError>(())
                })
            })
            .await?)
    }

    /// Clears rows that this node held.
    pub(super) async fn release(&self, node: NodeNumber, held: Vec<Held>) -> Result<(), LogError> {
        Ok(self
            .store
            .run(move |transaction| {
                let held = held.clone();
                Box::pin(async move {
                    held.iter().for_each(|held| release(transaction, node, held));
                    Ok::<_, LogError>(())
                })
            })
            .await?)
    }

    fn row(&self, renewals: u64) -> NodeRow {
        NodeRow {
            address: self.own.address,
            fingerprint: self.own.fingerprint.get(),
            client_addresses: self.own.client_addresses.clone(),
            server_id: self.own.server_id,
            renewals,
            at: self.clock.now(),
        }
    }
}

async fn join(transaction: &Transaction, own: &NodeRow, dead: &[NodeNumber]) -> Result<Joined, LogError> {
    let nodes = decode(transaction.range(Key::nodes(), ROWS_MAX, false).await?)?;
    let (earlier, mut others): (Vec<_>, Vec<_>) =
        nodes.into_iter().partition(|(_, row)| row.address == own.address);
    others.retain(|(number, _)| !dead.contains(number));
    if others.len() >= NODES_MAX {
        return Ok(Joined::TooMany(others));
    }
    if own.server_id != 0
        && let Some((number, row)) = others.into_iter().find(|(_, row)| row.server_id == own.server_id)
    {
        return Ok(Joined::ServerIdOf(number, row));
    }
    let next = transaction.get(&Key::next_node()).await?;
    let next = next.and_then(|row| Some(u64::from_be_bytes(*row.first_chunk()?))).unwrap_or(1);
    transaction.set(&Key::next_node(), Bytes::copy_from_slice(&next.saturating_add(1).to_be_bytes()));
    let number = NodeNumber::new(next);
    transaction.set(&Key::node(number), own.encode());
    Ok(Joined::As(number, earlier.into_iter().map(|(number, _)| number).collect()))
}

fn decode(rows: Vec<(Bytes, Bytes)>) -> Result<Vec<(NodeNumber, NodeRow)>, LogError> {
    let decode = |(key, row): (Bytes, Bytes)| {
        let number = node_at_end(&key).ok_or(LogError::malformed_key("node"))?;
        Ok((number, NodeRow::decode(&row)?))
    };
    rows.into_iter().map(decode).collect()
}

#[cfg(test)]
mod tests {
    use fulmar_protocol::TimestampMs;

    use super::*;
    use crate::{clock::ManualClock, store::StoreOptions};

    #[tokio::test]
    async fn dead_nodes_that_nobody_cleared_take_no_place() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store"), StoreOptions::default()).unwrap();
        let clock = ManualClock::new(TimestampMs::new(1)).clock();
        let join = async |port: usize, dead: &[NodeNumber]| {
            let own = SelfDescription {
                address: SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap())),
                fingerprint: Fingerprint::new([0; 32]),
                client_addresses: Vec::new(),
                server_id: 0,
            };
            Registry::new(store.clone(), clock.clone(), own).join(dead.to_vec()).await.unwrap()
        };
        for port in 1..=NODES_MAX {
            assert!(matches!(join(port, &[]).await, Joined::As(..)));
        }
        let Joined::TooMany(nodes) = join(1_000, &[]).await else {
            panic!("there are as many as there may be")
        };
        assert!(matches!(join(1_000, &[nodes[0].0]).await, Joined::As(..)));
    }
}
