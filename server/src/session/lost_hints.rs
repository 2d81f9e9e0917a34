//! The slow look for what lost hints left behind: a lost hint costs time only.
//!
//! A hint that is lost with a session of its own process would be a mistake in this server; between processes
//! it is to be expected. Every few minutes, at moments of its own, each session reads its inbox again and takes
//! up what no hint told it of. That is one pass over the inbox: a few reads for most users.
//!
//! Marks are looked at again where a lane is open; elsewhere the next lane brings them.

use std::collections::HashSet;

use fulmar_protocol::{ConversationId, ErrorCode};
use tokio::time::Instant;

use super::{End, Session};
use crate::{
    limits::{BEHIND_PER_SESSION_MAX, LOST_HINTS_LOOK_DEGRADED, LOST_HINTS_LOOK_MAX, LOST_HINTS_LOOK_MIN},
    log::{LogError, Missed},
};

impl Session {
    /// When to look next: not with all the others.
    pub(super) fn next_look(&self) -> Instant {
        let degraded = self.shared.node.as_ref().is_some_and(|node| node.is_degraded());
        let range = if degraded {
            LOST_HINTS_LOOK_DEGRADED / 2..=LOST_HINTS_LOOK_DEGRADED
        } else {
            LOST_HINTS_LOOK_MIN..=LOST_HINTS_LOOK_MAX
        };
        Instant::now() + self.shared.rng.duration(range)
    }

    /// Looks for conversations that reach beyond what this session knows of.
    pub(super) async fn look_for_lost_hints(&mut self) -> Result<(), End> {
        if self.shared.log.faults().never_looks_for_lost_hints() {
            return Ok(());
        }
        self.end_if_revoked().await?;
        self.handle.tell_of_marks_again();
        match self.take_up_lost().await {
            Ok(found) => {
                self.shared.metrics.lost_hints_found.increment(found);
                Ok(())
            }
            Err(error) => Err(self.failed("looking for lost hints", &error)),
        }
    }

    /// The node that was told of a revocation may not have reached this one.
    async fn end_if_revoked(&self) -> Result<(), End> {
        match self.shared.log.revoked_before(&self.handle.identity.user).await {
            Ok(Some(before)) if self.handle.issued_at() <= before => Err(ErrorCode::TokenRevoked),
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed("looking for a revocation", &error)),
        }
    }

    async fn take_up_lost(&self) -> Result<u64, LogError> {
        let (log, identity) = (&self.shared.log, &self.handle.identity);
        let (user, device) = (&identity.user, &identity.device);
        // Those beyond the bound are older, and found when these are confirmed.
        let look = async || log.behind(&log.snapshot(), user, device, BEHIND_PER_SESSION_MAX).await;
        let Missed { mut behind, large, .. } = look().await?;
        if self.shared.take_interest(&self.handle, &large).await? {
            // What was appended to those before this moment was told to nobody here.
            behind = look().await?.behind;
        }
        let waiting: HashSet<ConversationId> = self.behind.iter().map(|it| it.conversation).collect();
        let mut found = 0;
        for behind in behind {
            let known = behind.cursor.max(self.handle.sent(&behind.conversation));
            if known >= behind.seq || waiting.contains(&behind.conversation) {
                continue;
            }
            // Who was removed may read less than the conversation's end.
            let end = log.readable_end(user, &behind.conversation).await?;
            if end > known && self.handle.tell_again(behind.conversation) {
                found += 1;
            }
        }
        Ok(found)
    }
}
