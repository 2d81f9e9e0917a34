//! The conversations on screen: their lanes stay open, and the presence of their members is shown.
//!
//! Whom a session may see is worked out again with every renewal, so that who has written meanwhile, or was
//! removed or blocked, comes in and drops out.

use std::collections::HashSet;

use fulmar_protocol::{ConversationId, ConversationKind, ErrorCode, UserId, Watch};

use super::{End, Session};
use crate::limits::FAN_OUT_MEMBERS_MAX;

/// Whose presence this session is shown.
#[derive(Default)]
pub(super) struct Watching {
    users: HashSet<UserId>,
}

impl Session {
    pub(super) async fn watch(&mut self, watch: Watch) -> Result<(), End> {
        if watch.check().is_err() {
            return self.problem(ErrorCode::TooManyWatched, None, None).await;
        }
        self.handle.watch(watch.conversation_ids.into_iter().collect());
        self.renew_watch().await
    }

    /// Shows, once more, everybody whom this session may see.
    pub(super) async fn renew_watch(&mut self) -> Result<(), End> {
        let mut users = HashSet::new();
        for conversation in self.handle.watched().iter() {
            match self.visible_in(*conversation).await {
                Ok(visible) => users.extend(visible),
                Err(error) => return Err(self.failed("reading a roster", &error)),
            }
        }
        if !(users.is_empty() && self.watching.users.is_empty()) {
            self.shared.hub.presence.watch(&self.handle, &self.watching.users, &users);
        }
        self.watching.users = users;
        Ok(())
    }

    /// Members who have written, if this user has too (FUL-DGRAM).
    async fn visible_in(&self, id: ConversationId) -> Result<Vec<UserId>, crate::log::LogError> {
        let own = &self.handle.identity.user;
        let Some(roster) = self.shared.log.roster(id).await? else { return Ok(Vec::new()) };
        if !roster.wrote(own)
            || roster.members.len() > FAN_OUT_MEMBERS_MAX
            || (id.kind() == ConversationKind::Direct && roster.any_block())
        {
            return Ok(Vec::new());
        }
        let visible = roster.members.iter().filter(|(user, member)| member.wrote && *user != own);
        Ok(visible.map(|(user, _)| user.clone()).collect())
    }

    pub(super) fn unwatch(&mut self) {
        let before = std::mem::take(&mut self.watching.users);
        self.shared.hub.presence.watch(&self.handle, &before, &HashSet::new());
    }
}
