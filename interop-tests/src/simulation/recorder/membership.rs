//! Who was a member of a conversation when, worked out from its log alone.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_protocol::{Content, Seq, UserId};

use super::log::Log;

/// From when to when a user may read; both ends are included.
type Intervals = Vec<(Seq, Option<Seq>)>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Membership {
    intervals: BTreeMap<UserId, Intervals>,
    all_history: bool,
}

impl Membership {
    /// Of a direct conversation: both, for ever. The peers are known beforehand, as its id follows from them.
    pub(super) fn of_direct(peers: &BTreeSet<UserId>, log: &Log) -> Result<Self, String> {
        let mut membership = Self::default();
        peers.iter().for_each(|user| membership.join(user, Seq::FIRST));
        match log.entries.iter().find(|(_, seen)| !peers.contains(&seen.sender)) {
            Some((seq, seen)) => Err(format!("{} wrote {seq} and is not one of the two", seen.sender)),
            None => Ok(membership),
        }
    }

    /// Of a group; says which entry was written by somebody who was not a member.
    pub(super) fn of_group(log: &Log) -> Result<Self, String> {
        let mut membership = Self { all_history: log.shows_all_history(), ..Self::default() };
        for (seq, seen) in &log.entries {
            if let Content::CreateGroup(group) = &seen.content {
                membership.join(&seen.sender, *seq);
                group.members.iter().for_each(|user| membership.join(user, *seq));
                continue;
            }
            if !membership.is_member(&seen.sender) {
                return Err(format!("{} wrote {seq} and was not a member", seen.sender));
            }
            match &seen.content {
                Content::AddMembers(added) => added.users.iter().for_each(|user| membership.join(user, *seq)),
                Content::RemoveMembers(removed) => {
                    removed.users.iter().for_each(|user| membership.leave(user, *seq));
                }
                Content::Leave(_) => membership.leave(&seen.sender, *seq),
                _ => {}
            }
        }
        Ok(membership)
    }

    fn join(&mut self, user: &UserId, at: Seq) {
        if self.is_member(user) {
            return;
        }
        let from = if self.all_history { Seq::FIRST } else { at };
        self.intervals.entry(user.clone()).or_default().push((from, None));
    }

    fn leave(&mut self, user: &UserId, at: Seq) {
        if let Some((_, until @ None)) = self.intervals.get_mut(user).and_then(|of| of.last_mut()) {
            *until = Some(at);
        }
    }

    pub(super) fn is_member(&self, user: &UserId) -> bool {
        self.intervals.get(user).and_then(|of| of.last()).is_some_and(|(_, until)| until.is_none())
    }

    pub(super) fn may_read(&self, user: &UserId, seq: Seq) -> bool {
        let within =
            |(from, until): &(Seq, Option<Seq>)| *from <= seq && until.is_none_or(|until| seq <= until);
        self.intervals.get(user).is_some_and(|of| of.iter().any(within))
    }
}
