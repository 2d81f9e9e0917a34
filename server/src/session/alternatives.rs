//! Where clients may go when this server drains: other nodes of the cluster.
//!
//! Whoever knows the nodes sets the list; each session that is sent away takes its own order of it, so that a
//! server's clients spread over the others. Empty in a server that is alone: then clients come back to it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use fulmar_protocol::{ServerAddress, limits::GO_AWAY_ADDRESSES_MAX};

use crate::clock::Rng;
use crate::limits::ALTERNATIVES_MAX;

/// See the module. Clones share the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alternatives {
    addresses: Arc<ArcSwap<Vec<ServerAddress>>>,
}

impl Alternatives {
    /// Replaces the list. What is beyond the bound is left out.
    pub(crate) fn set(&self, mut addresses: Vec<ServerAddress>) {
        addresses.truncate(ALTERNATIVES_MAX);
        self.addresses.store(Arc::new(addresses));
    }

    /// What one client is told: as many as a frame may name, in an order of its own.
    pub(crate) fn for_one(&self, rng: &Rng) -> Vec<ServerAddress> {
        let mut addresses = self.addresses.load().as_ref().clone();
        for last in (1..addresses.len()).rev() {
            let ends = u64::try_from(last).map_or(u64::MAX, |last| last + 1);
            addresses.swap(last, usize::try_from(rng.number() % ends).unwrap_or(last));
        }
        addresses.truncate(GO_AWAY_ADDRESSES_MAX);
        addresses
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn address(number: usize) -> ServerAddress {
        ServerAddress::parse(&format!("node-{number}:4433")).unwrap()
    }

    // FUL-SESS-47
    #[test]
    fn clients_are_spread_over_all_other_nodes() {
        let (alternatives, rng) = (Alternatives::default(), Rng::seeded(1));
        assert_eq!(alternatives.for_one(&rng), []);
        alternatives.set((0..10).map(address).collect());
        let mut first = BTreeMap::new();
        for _ in 0..1_000 {
            let told = alternatives.for_one(&rng);
            assert_eq!(told.len(), GO_AWAY_ADDRESSES_MAX);
            *first.entry(told[0].clone()).or_insert(0) += 1;
        }
        assert!(first.len() == 10 && first.values().all(|clients| (60..140).contains(clients)), "{first:?}");
    }

    #[test]
    fn the_list_is_bounded() {
        let (alternatives, rng) = (Alternatives::default(), Rng::seeded(1));
        alternatives.set((0..1_000).map(address).collect());
        assert_eq!(alternatives.addresses.load().len(), ALTERNATIVES_MAX);
        assert_eq!(alternatives.for_one(&rng).len(), GO_AWAY_ADDRESSES_MAX);
    }
}
