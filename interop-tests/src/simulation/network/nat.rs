//! A NAT: which public port stands for which port behind it.
//!
//! One mapping a port, whoever it talks to, and anybody may answer to it (endpoint-independent, as RFC 4787 asks
//! for). A mapping that nothing used for the timeout is gone; the next packet from inside makes a new one with
//! a port that was not used before. Bounded by the number of ports.

use std::collections::BTreeMap;
use std::time::Duration;

use super::limits::{NAT_PORTS, NAT_TIMEOUT_DEFAULT};

#[derive(Clone, Copy, Debug)]
struct Mapping {
    public: u16,
    used: Duration,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Nat {
    by_inner: BTreeMap<u16, Mapping>,
    by_public: BTreeMap<u16, u16>,
    next_port: u16,
    timeout: Duration,
}

impl Nat {
    pub(super) fn new() -> Self {
        Self {
            by_inner: BTreeMap::new(),
            by_public: BTreeMap::new(),
            next_port: *NAT_PORTS.start(),
            timeout: NAT_TIMEOUT_DEFAULT,
        }
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Forgets every mapping.
    pub(super) fn forget(&mut self) {
        self.by_inner.clear();
        self.by_public.clear();
    }

    /// The public port of a packet on its way out.
    pub(super) fn outbound(&mut self, now: Duration, inner: u16) -> u16 {
        let timeout = self.timeout;
        if let Some(mapping) = self.by_inner.get_mut(&inner) {
            if now.saturating_sub(mapping.used) < timeout {
                mapping.used = mapping.used.max(now);
                return mapping.public;
            }
            let old = mapping.public;
            self.by_public.remove(&old);
        }
        let public = self.free_port();
        self.by_inner.insert(inner, Mapping { public, used: now });
        if let Some(robbed) = self.by_public.insert(public, inner).filter(|robbed| *robbed != inner) {
            self.by_inner.remove(&robbed);
        }
        public
    }

    /// The inner port of a packet on its way in.
    pub(super) fn inbound(&mut self, now: Duration, public: u16) -> Option<u16> {
        let inner = *self.by_public.get(&public)?;
        let mapping = self.by_inner.get_mut(&inner)?;
        if now.saturating_sub(mapping.used) >= self.timeout {
            return None;
        }
        mapping.used = mapping.used.max(now);
        Some(inner)
    }

    /// The next port; where all are taken, the one whose turn it is changes hands.
    fn free_port(&mut self) -> u16 {
        let turns = if self.by_public.len() < NAT_PORTS.len() { NAT_PORTS.len() } else { 0 };
        for _ in 0..turns {
            let port = self.take_turn();
            if !self.by_public.contains_key(&port) {
                return port;
            }
        }
        self.take_turn()
    }

    fn take_turn(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = if port >= *NAT_PORTS.end() { *NAT_PORTS.start() } else { port + 1 };
        port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_ports_inside_than_outside_take_turns_and_the_tables_stay_bounded() {
        let mut nat = Nat::new();
        let now = Duration::from_secs(1);
        for inner in 1..=u16::MAX {
            let public = nat.outbound(now, inner);
            assert!(NAT_PORTS.contains(&public));
            assert_eq!(nat.inbound(now, public), Some(inner), "the newest has it");
        }
        assert_eq!(nat.by_public.len(), NAT_PORTS.len());
        assert_eq!(nat.by_inner.len(), NAT_PORTS.len(), "who lost a port lost the mapping");
    }
}
