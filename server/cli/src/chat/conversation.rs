//! One conversation of the chat: its place in the list, its log, and what is known of its members. Pure.

use std::collections::{BTreeSet, HashMap};

use fulmar_client::{Content, ConversationId, ConversationKind, Role, Seq, TimestampMs, UserId};

use super::timeline::Timeline;
use super::update::{Entry, Member, Outline};

/// Entries above the topmost on screen, below which an older page is asked for.
const AHEAD_MIN: usize = 40;

/// Lines that stay on screen above the lowest one when somebody scrolls to the top.
const TOP_LINES: usize = 8;

/// One conversation.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) id: ConversationId,
    pub(super) peer: Option<UserId>,
    pub(super) title: String,
    pub(super) role: Option<Role>,
    pub(super) head: Seq,
    pub(super) read: Seq,
    pub(super) unread: u64,
    pub(super) last_at: TimestampMs,
    pub(super) timeline: Timeline,
    /// Delivered and read, of others.
    pub(super) marks: HashMap<UserId, (Seq, Seq)>,
    pub(super) members: Vec<Member>,
    pub(super) typing: BTreeSet<UserId>,
    /// The lowest line on screen; `None` follows the newest.
    pub(super) anchor: Option<Seq>,
    pub(super) is_page_wanted: bool,
    pub(super) is_roster_wanted: bool,
}

/// How far a message of this user's has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    Sent,
    Delivered,
    Read,
}

impl Conversation {
    pub(super) fn new(id: ConversationId, peer: Option<UserId>) -> Self {
        Self {
            id,
            peer,
            title: String::new(),
            role: None,
            head: Seq::ZERO,
            read: Seq::ZERO,
            unread: 0,
            last_at: TimestampMs::new(0),
            timeline: Timeline::default(),
            marks: HashMap::new(),
            members: Vec::new(),
            typing: BTreeSet::new(),
            anchor: None,
            is_page_wanted: false,
            is_roster_wanted: false,
        }
    }

    /// Takes in what the server says of it.
    pub(super) fn take(&mut self, outline: Outline) {
        let Outline { peer, title, role, head, read, unread, last_at, .. } = outline;
        if peer.is_some() {
            self.peer = peer;
        }
        self.title = title;
        self.role = role;
        self.head = self.head.max(head);
        self.take_unread(read, unread);
        self.last_at = self.last_at.max(last_at.unwrap_or(TimestampMs::new(0)));
    }

    /// What the server says of this user's read mark. It may not know of the newest one yet.
    pub(super) fn take_unread(&mut self, read: Seq, unread: u64) {
        if read >= self.read {
            (self.read, self.unread) = (read, unread);
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        let name = match &self.peer {
            Some(peer) if self.id.kind() == ConversationKind::Direct => peer.as_str(),
            _ if self.title.is_empty() => return format!("group {}", self.id),
            _ => &self.title,
        };
        crate::output::plain(name)
    }

    pub(super) fn is_group(&self) -> bool {
        self.id.kind() == ConversationKind::Group
    }

    /// Takes in what an entry changes about the conversation itself.
    pub(super) fn take_change(&mut self, entry: &Entry, me: Option<&UserId>) {
        let is_me = |user: &UserId| Some(user) == me;
        match &entry.content {
            Some(Content::CreateGroup(created)) => {
                self.title = created.title.to_string();
                self.role = Some(if is_me(&entry.sender) { Role::Owner } else { Role::Member });
            }
            Some(Content::SetTitle(change)) => self.title = change.title.to_string(),
            Some(Content::AddMembers(change)) if change.users.iter().any(is_me) => {
                self.role = Some(Role::Member);
            }
            Some(Content::RemoveMembers(change)) if change.users.iter().any(is_me) => self.role = None,
            Some(Content::Leave(_)) if is_me(&entry.sender) => self.role = None,
            Some(
                Content::AddMembers(_)
                | Content::RemoveMembers(_)
                | Content::Leave(_)
                | Content::SetRole(_)
                | Content::TransferOwnership(_),
            ) => {}
            _ => return,
        }
        // They are asked for again.
        self.members.clear();
        self.is_roster_wanted = false;
    }

    /// Whether one may write here.
    pub(super) fn is_open(&self) -> bool {
        !self.is_group() || self.role.is_some() || self.head == Seq::ZERO
    }

    pub(super) fn take_members(&mut self, members: Vec<Member>) {
        for member in &members {
            self.take_marks(&member.user, member.delivered, member.read);
        }
        self.members = members;
    }

    /// Marks only grow.
    pub(super) fn take_marks(&mut self, user: &UserId, delivered: Seq, read: Seq) {
        let marks = self.marks.entry(user.clone()).or_insert((Seq::ZERO, Seq::ZERO));
        *marks = (marks.0.max(delivered), marks.1.max(read));
    }

    /// How far an entry of `me` has come: as far as with the member who has least of it.
    pub(super) fn progress(&self, seq: Seq, me: &UserId) -> Progress {
        let of = |user: &UserId| {
            let (delivered, read) = self.marks.get(user).copied().unwrap_or((Seq::ZERO, Seq::ZERO));
            if read >= seq {
                Progress::Read
            } else if delivered >= seq {
                Progress::Delivered
            } else {
                Progress::Sent
            }
        };
        let others: BTreeSet<&UserId> = if self.members.is_empty() {
            self.marks.keys().chain(&self.peer).filter(|user| *user != me).collect()
        } else {
            self.members.iter().map(|member| &member.user).filter(|user| *user != me).collect()
        };
        others.into_iter().map(of).min().unwrap_or(Progress::Sent)
    }

    /// Moves the view by so many lines; up is negative.
    pub(super) fn scroll(&mut self, lines: isize) {
        let timeline = &self.timeline;
        let newest = timeline.newest();
        let from = self.anchor.unwrap_or(newest);
        let moved = if lines < 0 {
            let up = timeline.lines_up_to(from).rev().map(|entry| entry.seq);
            up.take(lines.unsigned_abs().saturating_add(1)).last()
        } else {
            timeline.lines_after(from).map(|entry| entry.seq).take(lines.unsigned_abs()).last()
        };
        let last_line = timeline.lines().next_back().map(|entry| entry.seq);
        // So far up that the screen is not empty above the oldest line.
        let highest = timeline.lines().nth(TOP_LINES).map(|entry| entry.seq);
        self.anchor = moved.or(self.anchor).max(highest).filter(|seq| Some(*seq) < last_line);
    }

    /// Whether somebody looks near the top of what is loaded, and there is more.
    pub(super) fn wants_older(&self) -> Option<Option<Seq>> {
        let wanted = self.timeline.wanted_before()?;
        let last = self.anchor.unwrap_or(self.timeline.newest());
        let above = self.timeline.lines_up_to(last).rev().take(AHEAD_MIN).count();
        (!self.is_page_wanted && above < AHEAD_MIN).then_some(wanted)
    }

    /// The newest line of this user's, or of somebody else.
    pub(super) fn newest_of(&self, me: &UserId, is_mine: bool) -> Option<Seq> {
        let mut lines = self.timeline.lines().rev();
        lines
            .find(|entry| {
                (entry.sender == *me) == is_mine && matches!(entry.content, Some(Content::Message(_)))
            })
            .map(|entry| entry.seq)
    }
}
