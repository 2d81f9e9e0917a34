//! How fast each user sends and starts conversations, whichever device or connection it comes from.
//!
//! In memory, and bounded: when more users than `USERS_MAX` have sent lately, those whose buckets are full
//! again are forgotten first, since a full bucket is what a new one is. If there are none, the rest is
//! forgotten too: a limit that is too generous for a moment harms less than refusing everybody.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fulmar_protocol::{Rate, TokenBucket, UserId};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits::Limits;

const USERS_MAX: usize = 100_000;
const HOUR: Duration = Duration::from_secs(3600);

struct Buckets {
    sends: TokenBucket,
    starts: TokenBucket,
}

/// See the module.
pub(crate) struct Rates {
    origin: Instant,
    limits: Arc<Limits>,
    users: Mutex<HashMap<UserId, Buckets>>,
}

impl Rates {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self { origin: Instant::now(), limits, users: Mutex::default() }
    }

    /// Counts one send, or says how long to wait.
    pub(crate) fn send(&self, user: &UserId) -> Result<(), Duration> {
        self.take(user, |buckets| &mut buckets.sends)
    }

    /// Counts one conversation started, or says how long to wait.
    pub(crate) fn start_conversation(&self, user: &UserId) -> Result<(), Duration> {
        self.take(user, |buckets| &mut buckets.starts)
    }

    fn take(&self, user: &UserId, which: impl Fn(&mut Buckets) -> &mut TokenBucket) -> Result<(), Duration> {
        let now = self.origin.elapsed();
        let mut users = self.users.lock();
        if !users.contains_key(user) {
            if users.len() >= USERS_MAX {
                users.retain(|_, buckets| !(buckets.sends.is_full(now) && buckets.starts.is_full(now)));
                if users.len() >= USERS_MAX {
                    users.clear();
                }
            }
            users.insert(user.clone(), self.full());
        }
        users.get_mut(user).map_or(Ok(()), |buckets| which(buckets).take(1, now))
    }

    fn full(&self) -> Buckets {
        let limits = &self.limits;
        let starts = limits.conversations_started_per_hour;
        Buckets {
            sends: TokenBucket::new(Rate::per_second(limits.sends_per_second, limits.sends_burst)),
            starts: TokenBucket::new(Rate::new(starts, HOUR, starts)),
        }
    }
}
