//! Presence of users whose devices are on other nodes, and telling those nodes of the devices here.

use std::sync::Weak;

use fulmar_protocol::{PresenceState, TimestampMs, UserId};

use super::{Neighbours, Presence, State, WATCHES_OF_NODES_MAX};
use crate::rows::NodeNumber;

impl Presence {
    /// From now on there are other nodes.
    pub(crate) fn set_neighbours(&self, neighbours: Weak<dyn Neighbours>) {
        let _ = self.neighbours.set(neighbours);
    }

    /// Users whom somebody here watches.
    pub(crate) fn watched(&self) -> Vec<UserId> {
        let all = self.state.lock();
        let watched = all.users.iter().filter(|(_, record)| !record.watchers.is_empty());
        let mut watched: Vec<_> = watched.map(|(user, _)| user.clone()).collect();
        watched.sort_unstable();
        watched
    }

    /// Whether somebody here watches the user.
    pub(crate) fn is_watched(&self, user: &UserId) -> bool {
        self.state.lock().users.get(user).is_some_and(|record| !record.watchers.is_empty())
    }

    /// Another node wants to be told of a user, or no more.
    pub(crate) fn set_watched_by(&self, node: NodeNumber, user: &UserId, watch: bool) {
        let mut all = self.state.lock();
        if watch && all.watches_of_nodes < WATCHES_OF_NODES_MAX {
            let record = all.users.entry(user.clone()).or_default();
            let (state, last_seen) = (record.state_here(), record.last_seen);
            let is_new = record.told.insert(node, state).is_none();
            all.watches_of_nodes += usize::from(is_new);
            self.with_neighbours(|neighbours| neighbours.show(node, user, state, last_seen));
        } else if !watch && let Some(record) = all.users.get_mut(user) {
            let was = record.told.remove(&node).is_some();
            all.watches_of_nodes -= usize::from(was);
            all.forget_if_gone(user);
        }
    }

    /// Another node told how a user is there. Without effect if nobody here watches them.
    pub(crate) fn set_elsewhere(
        &self,
        node: NodeNumber,
        user: &UserId,
        state: PresenceState,
        last_seen: Option<TimestampMs>,
    ) {
        let mut all = self.state.lock();
        let Some(record) = all.users.get_mut(user).filter(|record| !record.watchers.is_empty()) else {
            return;
        };
        record.elsewhere.insert(node, (state, last_seen));
        all.publish(user, self);
    }

    /// The link to a node is down: it asks again when it is up.
    pub(crate) fn unwatch_all(&self, node: NodeNumber) {
        let mut all = self.state.lock();
        let State { users, watches_of_nodes, .. } = &mut *all;
        let told =
            users.iter_mut().filter_map(|(user, record)| record.told.remove(&node).map(|_| user.clone()));
        let mut told: Vec<_> = told.collect();
        *watches_of_nodes -= told.len();
        told.sort_unstable();
        told.iter().for_each(|user| all.forget_if_gone(user));
    }

    /// A node is dead: nobody is there any more.
    pub(crate) fn forget_node(&self, node: NodeNumber) {
        self.unwatch_all(node);
        let mut all = self.state.lock();
        let mut there: Vec<_> = all
            .users
            .iter_mut()
            .filter_map(|(user, record)| record.elsewhere.remove(&node).map(|_| user.clone()))
            .collect();
        there.sort_unstable();
        there.iter().for_each(|user| all.publish(user, self));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_users_whom_a_lost_node_watched_no_more_are_remembered_than_of_others() {
        let presence = Presence::default();
        let user = UserId::parse("ann").unwrap();
        presence.set_watched_by(NodeNumber::new(1), &user, true);
        presence.unwatch_all(NodeNumber::new(1));
        let all = presence.state.lock();
        assert_eq!((all.watches_of_nodes, &all.gone), (0, &[user].into()));
    }
}
