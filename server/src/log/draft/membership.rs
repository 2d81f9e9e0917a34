//! Who comes, who goes, and who may do what from now on.

use std::{collections::BTreeSet, sync::Arc};

use fulmar_protocol::{ErrorCode, HistoryPolicy, Role, Seq, UserId};

use super::{Applied, Draft};
use crate::{
    log::{LogError, history, roster::RosterMember, rules},
    rows::{Key, Member, ReadMarkRow},
};

impl Draft<'_> {
    pub(super) async fn add(&mut self, users: &[UserId]) -> Applied<()> {
        let users: BTreeSet<&UserId> = users.iter().collect();
        if users.iter().any(|user| self.roster.role(user).is_some()) {
            return Ok(Err(ErrorCode::AlreadyMember));
        }
        if self.roster.members.len() + users.len() > self.limits.group_members_max {
            return Ok(Err(ErrorCode::GroupTooLarge));
        }
        let first = match self.head.history_policy {
            HistoryPolicy::All => Seq::FIRST,
            HistoryPolicy::FromJoining => self.head.seq.next(),
        };
        // All or nothing: find out about all of them before the first is changed.
        let mut rejoining = Vec::new();
        for user in users {
            let member = match self.member(user).await? {
                Some(mut former) => {
                    if !former.rejoin(Role::Member, first) {
                        return Ok(Err(ErrorCode::TooManyRejoins));
                    }
                    former
                }
                None => Member::new(Role::Member, first),
            };
            rejoining.push((user, member));
        }
        for (user, member) in rejoining {
            self.set_member(user, &member)?;
            self.mark_as_read_at_next(user);
        }
        Ok(Ok(()))
    }

    pub(super) async fn remove(&mut self, sender: &UserId, users: &[UserId]) -> Applied<()> {
        let users: BTreeSet<&UserId> = users.iter().collect();
        for user in &users {
            if let Err(code) = rules::may_remove(&self.roster, sender, user) {
                return Ok(Err(code));
            }
        }
        if self.faults.ignores_removal() {
            return Ok(Ok(()));
        }
        for user in users {
            self.depart(user).await?;
        }
        Ok(Ok(()))
    }

    pub(super) async fn depart(&mut self, user: &UserId) -> Result<(), LogError> {
        if let Some(mut member) = self.member(user).await? {
            let title = history::title(self.transaction, &self.id).await?;
            member.leave(self.head.seq.next(), title.as_str());
            self.set_member(user, &member)?;
            self.departed.insert(user.clone());
        }
        Ok(())
    }

    pub(super) async fn set_role(&mut self, sender: &UserId, user: &UserId, role: Role) -> Applied<()> {
        // There is one owner, and only a transfer changes who.
        if role == Role::Owner || user == sender {
            return Ok(Err(ErrorCode::NotPermitted));
        }
        self.change_role(user, role).await
    }

    pub(super) async fn transfer(&mut self, sender: &UserId, user: &UserId) -> Applied<()> {
        if user == sender {
            return Ok(Err(ErrorCode::NotPermitted));
        }
        match self.change_role(user, Role::Owner).await? {
            Ok(()) => self.change_role(sender, Role::Admin).await,
            Err(code) => Ok(Err(code)),
        }
    }

    pub(super) async fn change_role(&mut self, user: &UserId, role: Role) -> Applied<()> {
        if self.roster.role(user).is_none() {
            return Ok(Err(ErrorCode::UserNotMember));
        }
        if let Some(mut member) = self.member(user).await? {
            member.role = Some(role);
            self.set_member(user, &member)?;
        }
        Ok(Ok(()))
    }

    /// Makes `user` a member from `first` on, where there was no conversation before.
    pub(super) async fn join(&mut self, user: &UserId, role: Role, first: Seq) -> Result<(), LogError> {
        if self.roster.role(user).is_none() {
            self.set_member(user, &Member::new(role, first))?;
        }
        Ok(())
    }

    /// What came before somebody joined is no news to them: their unread begins after the joining entry.
    pub(super) fn mark_as_read_at_next(&mut self, user: &UserId) {
        let mark = ReadMarkRow { seq: self.head.seq.next(), ordinal: self.head.ordinal };
        self.read_marks.insert(user.clone(), mark);
    }

    pub(super) async fn member(&self, user: &UserId) -> Result<Option<Member>, LogError> {
        let row = self.transaction.get(&Key::member(&self.id, user)).await?;
        Ok(row.map(|row| Member::decode(&row)).transpose()?)
    }

    pub(super) fn set_member(&mut self, user: &UserId, member: &Member) -> Result<(), LogError> {
        self.transaction.set(&Key::member(&self.id, user), member.encode());
        self.head.roster_version += 1;
        let version = self.head.roster_version;
        let history_policy = self.head.history_policy;
        let roster = Arc::make_mut(&mut self.roster);
        roster.version = version;
        roster.history_policy = history_policy;
        match member.role {
            Some(role) => {
                let before = roster.members.insert(user.clone(), RosterMember { role, wrote: member.wrote });
                if before.is_none() {
                    self.joined.insert(user.clone());
                }
                self.departed.remove(user);
            }
            None => {
                roster.members.remove(user);
                self.joined.remove(user);
            }
        }
        Ok(())
    }
}
