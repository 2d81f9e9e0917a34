//! States that come by datagram: of two the one with the higher generation is right, and each holds for a
//! time only.
//!
//! Bounded: a new key in a full map takes the place of the state that would end first. A state that said
//! "nothing" is kept too until its time is over, so that an older datagram that comes late cannot bring back
//! what has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::{ConversationId, Generation, UserId};

/// The latest state for each key.
#[derive(Clone, Debug)]
pub struct LatestWins<K, V> {
    states: BTreeMap<K, State<V>>,
    states_max: usize,
}

/// Who types where. The value tells whether they do.
pub type TypingState = LatestWins<(ConversationId, UserId), bool>;

#[derive(Clone, Debug)]
struct State<V> {
    generation: Generation,
    value: V,
    until: Duration,
}

/// What an update did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The value is another one now.
    Changed,
    /// The value is the same, for longer.
    Renewed,
    /// The update was older than what is known: nothing happened.
    Stale,
}

impl<K: Ord + Clone, V: PartialEq> LatestWins<K, V> {
    /// An empty map that holds at most `states_max` (at least one).
    #[must_use]
    pub fn new(states_max: usize) -> Self {
        Self { states: BTreeMap::new(), states_max: states_max.max(1) }
    }

    /// Takes an update that holds for `ttl` from `now` on.
    pub fn apply(
        &mut self,
        key: K,
        generation: Generation,
        value: V,
        ttl: Duration,
        now: Duration,
    ) -> Applied {
        let state = State { generation, value, until: now.saturating_add(ttl) };
        let applied = match self.states.get(&key).filter(|known| now < known.until) {
            Some(known) if known.generation >= generation => return Applied::Stale,
            Some(known) if known.value == state.value => Applied::Renewed,
            _ => Applied::Changed,
        };
        self.make_room_for(&key);
        self.states.insert(key, state);
        applied
    }

    /// The value that holds now.
    #[must_use]
    pub fn get(&self, key: &K, now: Duration) -> Option<&V> {
        self.states.get(key).filter(|state| now < state.until).map(|state| &state.value)
    }

    /// Takes out what has ended.
    pub fn expire(&mut self, now: Duration) -> Vec<(K, V)> {
        self.states
            .extract_if(.., |_, state| state.until <= now)
            .map(|(key, state)| (key, state.value))
            .collect()
    }

    /// When the next state ends.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Duration> {
        self.states.values().map(|state| state.until).min()
    }

    /// Forgets everything: generations begin anew with a session.
    pub fn clear(&mut self) {
        self.states.clear();
    }

    /// How many states it holds, those included that have ended and were not taken out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    fn make_room_for(&mut self, key: &K) {
        if self.states.len() < self.states_max || self.states.contains_key(key) {
            return;
        }
        let first_to_end = self.states.iter().min_by_key(|(_, state)| state.until);
        if let Some(key) = first_to_end.map(|(key, _)| key.clone()) {
            self.states.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(6);

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const fn generation(number: u64) -> Generation {
        Generation::new(number)
    }

    #[test]
    fn an_older_state_that_comes_late_changes_nothing() {
        let mut states = LatestWins::new(8);
        assert_eq!(states.apply("bob", generation(1), true, TTL, at(0)), Applied::Changed);
        assert_eq!(states.apply("bob", generation(3), false, TTL, at(1)), Applied::Changed);
        assert_eq!(states.apply("bob", generation(2), true, TTL, at(2)), Applied::Stale);
        assert_eq!(states.apply("bob", generation(3), true, TTL, at(2)), Applied::Stale);
        assert_eq!(states.get(&"bob", at(2)), Some(&false));
    }

    #[test]
    fn a_state_that_is_not_renewed_ends() {
        let mut states = LatestWins::new(8);
        states.apply("bob", generation(1), true, TTL, at(0));
        assert_eq!(states.apply("bob", generation(2), true, TTL, at(3)), Applied::Renewed);
        assert_eq!(states.get(&"bob", at(8)), Some(&true));
        assert_eq!((states.next_expiry(), states.get(&"bob", at(9))), (Some(at(9)), None));
        assert_eq!(states.expire(at(8)), []);
        assert_eq!(states.expire(at(9)), [("bob", true)]);
        assert!(states.is_empty());
    }

    #[test]
    fn a_full_map_drops_the_state_that_ends_first() {
        let mut states = LatestWins::new(2);
        states.apply("alice", generation(1), true, TTL, at(1));
        states.apply("bob", generation(1), true, TTL, at(0));
        states.apply("carol", generation(1), true, TTL, at(2));
        assert_eq!(states.len(), 2);
        assert_eq!((states.get(&"alice", at(2)), states.get(&"bob", at(2))), (Some(&true), None));
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            mut updates in proptest::collection::vec((0_u8..4, 0_u64..50, any::<bool>()), 1..60),
        ) {
            // One value for each key and generation, as a sender would have it.
            updates.sort_by_key(|(key, generation, _)| (*key, *generation));
            updates.dedup_by_key(|(key, generation, _)| (*key, *generation));
            let forwards = arrive(updates.iter());
            let backwards = arrive(updates.iter().rev());
            for key in 0..4 {
                prop_assert_eq!(forwards.get(&key, at(0)), backwards.get(&key, at(0)));
            }
        }
    }

    fn arrive<'a>(updates: impl Iterator<Item = &'a (u8, u64, bool)>) -> LatestWins<u8, bool> {
        let mut states = LatestWins::new(4);
        for (key, number, value) in updates {
            states.apply(*key, generation(*number), *value, TTL, at(0));
        }
        states
    }
}
