//! Which addresses an attempt tries, and in which order.
//!
//! First those that a server named when it sent the client away, then the configured ones, each in their order; the
//! addresses of one name with IPv6 and IPv4 in turn. Before all of them goes the one that worked last, after all of
//! them those whose servers took a connection and gave no session, or asked to be left. Names are looked up at each attempt, all at the same time;
//! an address that is written as one is known at once.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use fulmar_protocol::ServerAddress;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::limits::{ADDRESSES_MAX, ADDRESSES_PER_NAME_MAX, LOOK_UP_TIMEOUT};
use crate::transport::{DialError, Endpoints};

/// An address to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) server: ServerAddress,
    pub(super) address: SocketAddr,
    /// Its place in the order; the least goes first.
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    is_put_last: bool,
    did_not_work_last: bool,
    server: usize,
    of_server: usize,
}

type LookUp = BoxFuture<'static, (usize, ServerAddress, Result<Vec<SocketAddr>, String>)>;

/// What is left to be tried in one attempt.
pub(super) struct Candidates {
    endpoints: Endpoints,
    look_ups: FuturesUnordered<LookUp>,
    waiting: VecDeque<Candidate>,
    /// How many there were, those that are gone included.
    found: usize,
}

impl Candidates {
    /// Begins to look up `servers`, the first of which is preferred.
    pub(super) fn of(endpoints: &Endpoints, servers: &[ServerAddress]) -> Self {
        let mut candidates = Self {
            endpoints: endpoints.clone(),
            look_ups: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            found: 0,
        };
        for (nth, server) in servers.iter().enumerate() {
            match server.host().parse::<IpAddr>() {
                Ok(host) => candidates.add(nth, server, &[SocketAddr::new(host, server.port())]),
                Err(_) => candidates.look_ups.push(Box::pin(look_up(nth, server.clone()))),
            }
        }
        candidates
    }

    /// The next one to try, of those that are known.
    pub(super) fn take(&mut self) -> Option<Candidate> {
        self.waiting.pop_front()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn looks_up(&self) -> bool {
        !self.look_ups.is_empty()
    }

    /// Waits for a name to be looked up. `None` when there is none to wait for. Cancel-safe.
    pub(super) async fn found(&mut self) -> Option<Result<(), DialError>> {
        let (nth, server, found) = self.look_ups.next().await?;
        Some(match found {
            Ok(addresses) if addresses.is_empty() => {
                Err(DialError::Name { server, cause: "it has no address".to_owned() })
            }
            Ok(addresses) => {
                self.add(nth, &server, &addresses);
                Ok(())
            }
            Err(cause) => Err(DialError::Name { server, cause }),
        })
    }

    fn add(&mut self, nth: usize, server: &ServerAddress, addresses: &[SocketAddr]) {
        let last = self.endpoints.last();
        for (of_server, address) in interleaved(addresses).into_iter().enumerate() {
            if self.found >= ADDRESSES_MAX {
                break;
            }
            self.found += 1;
            let place = Place {
                is_put_last: self.endpoints.is_put_last(address),
                did_not_work_last: last != Some(address),
                server: nth,
                of_server,
            };
            self.waiting.push_back(Candidate { server: server.clone(), address, place });
        }
        self.waiting.make_contiguous().sort_by_key(|candidate| candidate.place);
    }
}

async fn look_up(
    nth: usize,
    server: ServerAddress,
) -> (usize, ServerAddress, Result<Vec<SocketAddr>, String>) {
    let looking = tokio::net::lookup_host((server.host(), server.port()));
    let found = match tokio::time::timeout(LOOK_UP_TIMEOUT, looking).await {
        Ok(Ok(addresses)) => Ok(addresses.take(ADDRESSES_PER_NAME_MAX * 4).collect()),
        Ok(Err(cause)) => Err(cause.to_string()),
        Err(_) => Err(format!("no answer within {} s", LOOK_UP_TIMEOUT.as_secs())),
    };
    (nth, server, found)
}

/// The addresses of one name, without doubles: one of the first's family, one of the other, and so on.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !unique.contains(address) {
            unique.push(*address);
        }
    }
    let begins_with_v6 = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (ones, others): (Vec<_>, Vec<_>) =
        unique.into_iter().partition(|address| address.is_ipv6() == begins_with_v6);
    let (mut ones, mut others) = (ones.into_iter(), others.into_iter());
    let mut taken = Vec::new();
    while taken.len() < ADDRESSES_PER_NAME_MAX {
        let before = taken.len();
        taken.extend(ones.next());
        taken.extend(others.next());
        if taken.len() == before {
            break;
        }
    }
    taken.truncate(ADDRESSES_PER_NAME_MAX);
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns_and_doubles_are_tried_once() {
        let found: Vec<_> =
            ["[::1]:1", "[::2]:1", "[::1]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"].map(address).to_vec();
        let order: Vec<_> = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"].map(address).to_vec();
        assert_eq!(interleaved(&found), order);
        assert_eq!(interleaved(&[]), []);
        let many: Vec<_> = (1..=100).map(|port| SocketAddr::new([1, 1, 1, 1].into(), port)).collect();
        assert_eq!(interleaved(&many).len(), ADDRESSES_PER_NAME_MAX);
        let mut both = many;
        both.push(address("[::1]:1"));
        assert_eq!(interleaved(&both).get(1), Some(&address("[::1]:1")));
    }
}
