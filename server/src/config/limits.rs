//! `[limits]`: how much a user may do, and all users together.
//!
//! Each of them has an error code of the registry, named beside it: what a client is told that reaches it.
//! What both ends must agree on (sizes of frames, numbers of streams) is not here but in the protocol.

use serde::{Deserialize, Serialize};

use super::{ConfigError, within};

pub(super) const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;
const TICKETS_MAX: usize = 40_000_000;

/// `[limits]`: how much a user may do, and all users together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Sends of one user a second, in the long run, over all devices (`rate_limited`).
    pub sends_per_second: u32,
    /// Sends of one user at once, after a pause (`rate_limited`).
    pub sends_burst: u32,
    /// Conversations that one user starts within an hour, groups and direct ones
    /// (`conversation_rate_limited`).
    pub conversations_started_per_hour: u32,
    /// Members of a group (`group_too_large`).
    pub group_members_max: usize,
    /// Bytes of all entries that one user sent and that are still kept (`storage_quota_exceeded`).
    pub stored_bytes_per_user_max: u64,
    /// Sessions of one user at a time (`too_many_sessions`).
    pub sessions_per_user_max: usize,
    /// Devices of one user (`too_many_devices`).
    pub devices_per_user_max: usize,
    /// Users that one user blocks (`too_many_blocked`).
    pub blocked_users_max: usize,
    /// Sessions of all users at a time (`too_many_sessions`).
    pub sessions_max: usize,
    /// Tickets by which clients come back without waiting for a round trip; 0: four for each of
    /// `sessions_max`. Beyond it the oldest is forgotten, and whoever holds it waits for that round trip.
    pub tickets_max: usize,
}

impl LimitsConfig {
    /// For a trial or a measurement: what holds one user back is as far away as it may be.
    #[must_use]
    pub fn development() -> Self {
        Self {
            sends_per_second: 1_000_000,
            sends_burst: 1_000_000,
            conversations_started_per_hour: 1_000_000,
            stored_bytes_per_user_max: 1024 * GIB,
            ..Self::default()
        }
    }

    /// `tickets_max`, worked out where it is 0: clients keep up to a few each, and some are away.
    #[must_use]
    pub fn tickets_max(&self) -> usize {
        match self.tickets_max {
            0 => self.sessions_max.saturating_mul(4).min(TICKETS_MAX),
            tickets_max => tickets_max,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("limits.sends_per_second", self.sends_per_second, 1..=1_000_000)?;
        within("limits.sends_burst", self.sends_burst, 1..=1_000_000)?;
        let started = self.conversations_started_per_hour;
        within("limits.conversations_started_per_hour", started, 1..=1_000_000)?;
        within("limits.group_members_max", self.group_members_max, 2..=10_000)?;
        let stored = self.stored_bytes_per_user_max;
        within("limits.stored_bytes_per_user_max", stored, MIB..=1024 * 1024 * GIB)?;
        within("limits.sessions_per_user_max", self.sessions_per_user_max, 1..=1_000)?;
        within("limits.devices_per_user_max", self.devices_per_user_max, 1..=1_000)?;
        within("limits.blocked_users_max", self.blocked_users_max, 1..=100_000)?;
        within("limits.sessions_max", self.sessions_max, 1..=10_000_000)?;
        within("limits.tickets_max", self.tickets_max, 0..=TICKETS_MAX)
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            sends_per_second: 200,
            sends_burst: 2_000,
            conversations_started_per_hour: 200,
            group_members_max: 1_000,
            stored_bytes_per_user_max: GIB,
            sessions_per_user_max: 16,
            devices_per_user_max: 16,
            blocked_users_max: 1_000,
            sessions_max: 50_000,
            tickets_max: 0,
        }
    }
}
