//! The chat's state: what is known, what is selected, what is being written. Pure: it is told what happened
//! and what was typed, and answers with what is to be done.

use std::collections::HashMap;

use fulmar_client::{ConversationId, PresenceState, Seq, TimestampMs, UserId};

use super::compose::Compose;
use super::conversation::Conversation;
use super::update::{Action, DraftNumber, Outline, Standing, Update};

/// Conversations in the list; those with the oldest news are left out.
const CONVERSATIONS_MAX: usize = 2_000;
/// Conversations whose presence and receipts are followed beside the selected one.
const WATCHED_MAX: usize = 16;

/// Everything that is on the screen, and behind it.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) standing: Standing,
    pub(super) me: Option<UserId>,
    conversations: HashMap<ConversationId, Conversation>,
    /// In the order of the list.
    order: Vec<ConversationId>,
    pub(super) selected: Option<ConversationId>,
    pub(super) compose: Compose,
    pub(super) presence: HashMap<UserId, (PresenceState, Option<TimestampMs>)>,
    pub(super) notice: Option<String>,
    pub(super) is_help_shown: bool,
    pub(super) is_focused: bool,
    pub(super) is_typing_told: bool,
    drafts: HashMap<DraftNumber, ConversationId>,
    last_draft: u64,
    watched: Vec<ConversationId>,
}

impl Chat {
    pub(super) fn new() -> Self {
        Self {
            standing: Standing::Connecting,
            me: None,
            conversations: HashMap::new(),
            order: Vec::new(),
            selected: None,
            compose: Compose::default(),
            presence: HashMap::new(),
            notice: None,
            is_help_shown: false,
            is_focused: true,
            is_typing_told: false,
            drafts: HashMap::new(),
            last_draft: 0,
            watched: Vec::new(),
        }
    }

    /// The conversations, in the order of the list.
    pub(super) fn list(&self) -> impl Iterator<Item = &Conversation> {
        self.order.iter().filter_map(|id| self.conversations.get(id))
    }

    pub(super) fn current(&self) -> Option<&Conversation> {
        self.conversations.get(&self.selected?)
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut Conversation> {
        self.conversations.get_mut(&self.selected?)
    }

    pub(super) fn conversation_mut(
        &mut self,
        id: ConversationId,
        peer: Option<&UserId>,
    ) -> &mut Conversation {
        self.conversations.entry(id).or_insert_with(|| Conversation::new(id, peer.cloned()))
    }

    /// Messages of this user's that are on their way.
    pub(super) fn under_way(&self) -> usize {
        let drafts = self.conversations.values().flat_map(|conversation| conversation.timeline.drafts());
        drafts.filter(|draft| draft.refused.is_none()).count()
    }

    /// Takes in what happened, and says what is to be done about it.
    pub(super) fn update(&mut self, update: Update) -> Vec<Action> {
        let mut actions = Vec::new();
        match update {
            Update::Standing(standing) => self.take_standing(standing, &mut actions),
            Update::Inbox(outlines) => {
                for outline in outlines {
                    self.take_outline(outline);
                }
                if self.selected.is_none() {
                    self.sort();
                    self.select(self.order.first().copied(), &mut actions);
                }
            }
            Update::Conversation(outline) => self.take_outline(outline),
            Update::Created { conversation } => {
                self.conversation_mut(conversation, None);
                self.select(Some(conversation), &mut actions);
            }
            Update::Presence { user, state, last_seen } => {
                self.presence.insert(user, (state, last_seen));
            }
            Update::Resynchronised => {
                self.conversations.values_mut().for_each(|conversation| {
                    conversation.timeline.forget();
                    conversation.anchor = None;
                });
                actions.push(Action::LoadInbox);
            }
            Update::Notice(notice) => self.notice = Some(notice),
            Update::Queued { draft, .. } | Update::Accepted { draft, .. } | Update::Refused { draft, .. } => {
                self.take_answer(draft, update);
            }
            update => self.take_news(update),
        }
        self.settle(&mut actions);
        actions
    }

    fn take_standing(&mut self, standing: Standing, actions: &mut Vec<Action>) {
        if let Standing::Online { user } = &standing {
            self.me = Some(user.clone());
            let presence = if self.is_focused { PresenceState::Online } else { PresenceState::Away };
            actions.extend([Action::LoadInbox, Action::Presence(presence)]);
            for conversation in self.conversations.values_mut() {
                conversation.is_page_wanted = false;
                conversation.is_roster_wanted = false;
            }
        } else {
            // Nobody tells of them now.
            self.presence.clear();
            self.conversations.values_mut().for_each(|conversation| conversation.typing.clear());
        }
        self.standing = standing;
    }

    fn take_outline(&mut self, outline: Outline) {
        let (id, peer) = (outline.id, outline.peer.clone());
        self.conversation_mut(id, peer.as_ref()).take(outline);
    }

    /// News of one conversation.
    fn take_news(&mut self, update: Update) {
        match update {
            Update::Entry { conversation, entry, unread } => {
                let me = self.me.clone();
                let conversation = self.conversation_mut(conversation, None);
                conversation.take_change(&entry, me.as_ref());
                conversation.head = conversation.head.max(entry.seq);
                conversation.last_at = conversation.last_at.max(entry.at);
                conversation.unread = unread;
                conversation.typing.remove(&entry.sender);
                conversation.timeline.append(entry);
            }
            Update::Skipped { conversation, last } => {
                let conversation = self.conversation_mut(conversation, None);
                conversation.timeline.skip(last);
            }
            Update::Marks { conversation, user, delivered, read } => {
                self.conversation_mut(conversation, None).take_marks(&user, delivered, read);
            }
            Update::Unread { conversation, read, unread } => {
                let conversation = self.conversation_mut(conversation, None);
                conversation.take_unread(read, unread);
            }
            Update::Typing { conversation, user, is_typing } => {
                let typing = &mut self.conversation_mut(conversation, None).typing;
                if is_typing {
                    typing.insert(user)
                } else {
                    typing.remove(&user)
                };
            }
            Update::Page { conversation, page } => {
                let conversation = self.conversation_mut(conversation, None);
                conversation.is_page_wanted = false;
                conversation.timeline.prepend(page);
            }
            Update::PageFailed { conversation, reason } => {
                // It stays wanted, so that it is not asked for again and again; the next session does.
                let name = self.conversation_mut(conversation, None).name();
                self.notice = Some(format!("cannot load older entries of {name}: {reason}"));
            }
            Update::Roster { conversation, members } => {
                self.conversation_mut(conversation, None).take_members(members);
            }
            _ => {}
        }
    }

    fn take_answer(&mut self, draft: DraftNumber, update: Update) {
        let Some(id) = self.drafts.get(&draft).copied() else { return };
        let me = self.me.clone();
        let Some(conversation) = self.conversations.get_mut(&id) else { return };
        match update {
            Update::Queued { number, .. } => {
                if let Some(draft) = conversation.timeline.draft_mut(draft) {
                    draft.queued_as = Some(number);
                }
            }
            Update::Accepted { seq, at, .. } => {
                self.drafts.remove(&draft);
                conversation.head = conversation.head.max(seq);
                conversation.last_at = conversation.last_at.max(at);
                if let Some(me) = me {
                    conversation.timeline.accepted(draft, seq, at, me);
                }
            }
            Update::Refused { reason, .. } => {
                self.drafts.remove(&draft);
                if let Some(draft) = conversation.timeline.draft_mut(draft) {
                    draft.refused = Some(reason.clone());
                }
                self.notice = Some(reason);
            }
            _ => {}
        }
    }

    /// A number for something that is sent into a conversation.
    pub(super) fn new_draft(&mut self, conversation: ConversationId) -> DraftNumber {
        self.last_draft = self.last_draft.wrapping_add(1);
        let number = DraftNumber(self.last_draft);
        self.drafts.insert(number, conversation);
        number
    }

    /// Opens a conversation.
    pub(super) fn select(&mut self, id: Option<ConversationId>, actions: &mut Vec<Action>) {
        if id == self.selected {
            return;
        }
        self.stop_typing(actions);
        self.selected = id;
        self.notice = None;
        if let Some(conversation) = self.current_mut() {
            conversation.anchor = None;
        }
    }

    pub(super) fn stop_typing(&mut self, actions: &mut Vec<Action>) {
        if let Some(conversation) = self.selected.filter(|_| std::mem::take(&mut self.is_typing_told)) {
            actions.push(Action::Typing { conversation, is_typing: false });
        }
    }

    /// What follows from how things are now, whatever brought them there: the list is in order, what is on
    /// screen is marked as read, older entries are there before somebody gets to them.
    pub(super) fn settle(&mut self, actions: &mut Vec<Action>) {
        self.sort();
        let is_seen = self.is_focused && !self.is_help_shown;
        let is_online = matches!(self.standing, Standing::Online { .. });
        if let Some(conversation) = self.current_mut() {
            let seq = conversation.timeline.newest();
            if is_seen && conversation.anchor.is_none() && conversation.unread > 0 && seq > conversation.read
            {
                conversation.read = seq;
                conversation.unread = 0;
                actions.push(Action::MarkRead { conversation: conversation.id, seq });
            }
            let is_there = conversation.head > Seq::ZERO;
            if is_online && is_there && conversation.members.is_empty() && !conversation.is_roster_wanted {
                conversation.is_roster_wanted = true;
                actions.push(Action::LoadRoster(conversation.id));
            }
            if let Some(before) = conversation.wants_older().filter(|_| is_online && is_there) {
                conversation.is_page_wanted = true;
                actions.push(Action::LoadPage { conversation: conversation.id, before });
            }
        }
        let mut watched: Vec<_> =
            self.selected.iter().chain(self.order.iter().take(WATCHED_MAX)).copied().collect();
        watched.sort_unstable();
        watched.dedup();
        if watched != self.watched {
            self.watched.clone_from(&watched);
            actions.push(Action::Watch(watched));
        }
    }

    fn sort(&mut self) {
        let mut order: Vec<_> = self.conversations.values().collect();
        order.sort_by_cached_key(|conversation| {
            (std::cmp::Reverse(conversation.last_at), conversation.name())
        });
        self.order = order.into_iter().map(|conversation| conversation.id).collect();
        for id in self.order.split_off(CONVERSATIONS_MAX.min(self.order.len())) {
            if self.selected != Some(id) {
                self.conversations.remove(&id);
            }
        }
    }
}
