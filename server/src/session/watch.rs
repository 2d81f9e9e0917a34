//! The conversations on screen: their lanes stay open, and the presence of their members is shown.
//!
//! Whom a session may see is worked out again each time that something is shown, so that who has written
//! meanwhile, or was removed or blocked, comes in and drops out.

use std::collections::BTreeSet;

use fulmar_protocol::{ConversationId, ConversationKind, ErrorCode, UserId, Watch};

use super::{End, Session};
use crate::limits::FAN_OUT_MEMBERS_MAX;

/// Whose presence this session is shown.
#[derive(Default)]
pub(super) struct Watching {
    users: BTreeSet<UserId>,
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
        self.find_visible().await?;
        self.handle.take_presence_due();
        self.shared.hub.presence.show(self.watching.users.iter(), &self.handle);
        Ok(())
    }

    /// Shows those whose state changed, if this session may still see them.
    pub(super) async fn show_changed(&mut self) -> Result<(), End> {
        let due = self.handle.take_presence_due();
        if due.is_empty() {
            return Ok(());
        }
        self.find_visible().await?;
        self.shared.hub.presence.show(due.intersection(&self.watching.users), &self.handle);
        Ok(())
    }

    /// Works out again whom this session may see, and watches them and nobody else.
    async fn find_visible(&mut self) -> Result<(), End> {
        let mut users = BTreeSet::new();
        for conversation in self.handle.watched().iter() {
            match self.visible_in(*conversation).await {
                Ok(visible) => users.extend(visible),
                Err(error) => return Err(self.failed("reading a roster", &error)),
            }
        }
        self.shared.hub.presence.watch(&self.handle, &self.watching.users, &users);
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
        let wrote = roster.members.iter().filter(|(user, member)| member.wrote && *user != own);
        let wrote = wrote.map(|(user, _)| user).filter(|user| !self.handle.blocks(user));
        self.shared.log.not_blocking(own, wrote).await
    }

    pub(super) fn unwatch(&mut self) {
        let before = std::mem::take(&mut self.watching.users);
        self.shared.hub.presence.watch(&self.handle, &before, &BTreeSet::new());
    }
}
