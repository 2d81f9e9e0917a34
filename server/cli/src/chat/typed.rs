//! What typing does to the chat's state. Pure.

use bytes::Bytes;
use fulmar_client::{
    AddMembers, Content, ContentType, ConversationId, Edit, Leave, Message, PresenceState, React, Reaction,
    Redact, RemoveMembers, Role, Seq, SetRole, SetTitle, Title, TransferOwnership, UserId, UserList,
};

use super::slash::{self, Line};
use super::state::Chat;
use super::update::Action;

/// Lines that a page key moves by.
const PAGE_LINES: isize = 10;

/// Messages that are on their way; then the next is not taken.
const UNDER_WAY_MAX: usize = 500;

/// A key, by what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Text(String),
    NewLine,
    Enter,
    Backspace,
    Delete,
    DeleteWord,
    ClearLine,
    Left,
    Right,
    Home,
    End,
    Up,
    Down,
    PageUp,
    PageDown,
    NextConversation,
    PreviousConversation,
    Escape,
    Help,
    FocusGained,
    FocusLost,
    Quit,
}

impl Chat {
    /// Takes in a key, and says what is to be done about it.
    pub(super) fn typed(&mut self, key: Key) -> Vec<Action> {
        let mut actions = Vec::new();
        match key {
            Key::Quit => actions.push(Action::Quit),
            Key::Help => self.is_help_shown = !self.is_help_shown,
            Key::Escape => self.escape(),
            Key::FocusGained | Key::FocusLost => {
                self.is_focused = key == Key::FocusGained;
                let presence = if self.is_focused { PresenceState::Online } else { PresenceState::Away };
                actions.push(Action::Presence(presence));
            }
            Key::Up => self.scroll(-1),
            Key::Down => self.scroll(1),
            Key::PageUp => self.scroll(-PAGE_LINES),
            Key::PageDown => self.scroll(PAGE_LINES),
            Key::NextConversation => self.step(1, &mut actions),
            Key::PreviousConversation => self.step(-1, &mut actions),
            Key::Enter => self.submit(&mut actions),
            key => self.edit(key, &mut actions),
        }
        self.settle(&mut actions);
        actions
    }

    fn escape(&mut self) {
        self.is_help_shown = false;
        self.notice = None;
        if let Some(conversation) = self.current_mut() {
            conversation.anchor = None;
            conversation.timeline.forget_refused();
        }
    }

    fn scroll(&mut self, lines: isize) {
        if let Some(conversation) = self.current_mut() {
            conversation.scroll(lines);
        }
    }

    fn step(&mut self, by: isize, actions: &mut Vec<Action>) {
        let ids: Vec<ConversationId> = self.list().map(|conversation| conversation.id).collect();
        let here = ids.iter().position(|id| Some(*id) == self.selected);
        let next = match here {
            Some(here) => here.checked_add_signed(by).unwrap_or(ids.len().saturating_sub(1)),
            None => 0,
        };
        if let Some(id) = ids.get(next).or_else(|| ids.first()) {
            self.select(Some(*id), actions);
        }
    }

    fn edit(&mut self, key: Key, actions: &mut Vec<Action>) {
        let compose = &mut self.compose;
        match key {
            Key::Text(text) => compose.insert(&text),
            Key::NewLine => compose.insert("\n"),
            Key::Backspace => compose.backspace(),
            Key::Delete => compose.delete(),
            Key::DeleteWord => compose.delete_word(),
            Key::ClearLine => compose.clear(),
            Key::Left => return compose.left(),
            Key::Right => return compose.right(),
            Key::Home => return compose.home(),
            Key::End => return compose.end(),
            _ => return,
        }
        let is_typing = !self.compose.text().is_empty() && !self.compose.text().starts_with('/');
        match (is_typing, self.selected) {
            // The client sends no more of it than is needed.
            (true, Some(conversation)) => {
                self.is_typing_told = true;
                actions.push(Action::Typing { conversation, is_typing: true });
            }
            _ => self.stop_typing(actions),
        }
    }

    fn submit(&mut self, actions: &mut Vec<Action>) {
        let text = self.compose.text().trim();
        if text.is_empty() {
            return;
        }
        self.notice = None;
        match slash::read(text).and_then(|line| self.carry_out(line, actions)) {
            // A send says by itself that nobody types any more.
            Ok(()) => {
                self.compose.clear();
                self.is_typing_told = false;
            }
            Err(hint) => self.notice = Some(hint),
        }
    }

    fn carry_out(&mut self, line: Line, actions: &mut Vec<Action>) -> Result<(), String> {
        match line {
            Line::Message(text) => self.send(message(&text, None), actions),
            Line::To { user, text } => {
                self.talk_to(&user, actions)?;
                text.map_or(Ok(()), |text| self.send(message(&text, None), actions))
            }
            Line::Group { title, users } => {
                self.me()?;
                actions.push(Action::Create { title, users });
                Ok(())
            }
            Line::Add(users) => {
                let users = UserList::new(users).map_err(|error| error.to_string())?;
                self.change(Content::AddMembers(AddMembers { users }), actions)
            }
            Line::Remove(users) => {
                let users = UserList::new(users).map_err(|error| error.to_string())?;
                self.change(Content::RemoveMembers(RemoveMembers { users }), actions)
            }
            Line::Leave => self.change(Content::Leave(Leave), actions),
            Line::Role { user, role: Role::Owner } => {
                self.change(Content::TransferOwnership(TransferOwnership { user }), actions)
            }
            Line::Role { user, role } => self.change(Content::SetRole(SetRole { user, role }), actions),
            Line::Title(title) => {
                let title = Title::parse(&title).map_err(|error| format!("the title {error}"))?;
                self.change(Content::SetTitle(SetTitle { title }), actions)
            }
            Line::Members => self.tell_members(),
            Line::Reply { target, text } => {
                let target = self.target(target, false)?;
                self.send(message(&text, Some(target)), actions)
            }
            Line::Edit { target, text } => {
                let (content_type, body) = (ContentType::plain_text(), Bytes::from(text));
                let edit = Edit { target_seq: self.target(target, true)?, content_type, body };
                self.send(Content::Edit(edit), actions)
            }
            Line::Redact { target } => {
                let target_seq = self.target(target, true)?;
                self.send(Content::Redact(Redact { target_seq }), actions)
            }
            Line::React { target, reaction, removed } => {
                let reaction = Reaction::parse(&reaction).map_err(|error| format!("the reaction {error}"))?;
                let react = React { target_seq: self.target(target, false)?, reaction, removed };
                self.send(Content::React(react), actions)
            }
            Line::Block { user, blocked } => {
                actions.push(Action::Block { user, blocked });
                Ok(())
            }
            Line::Help => {
                self.is_help_shown = true;
                Ok(())
            }
            Line::Quit => {
                actions.push(Action::Quit);
                Ok(())
            }
        }
    }

    fn me(&self) -> Result<UserId, String> {
        self.me.clone().ok_or_else(|| "not connected yet: wait until the line below says online".to_owned())
    }

    /// Opens the direct conversation with somebody, whether it exists or not.
    fn talk_to(&mut self, user: &UserId, actions: &mut Vec<Action>) -> Result<(), String> {
        let id = ConversationId::direct(&self.me()?, user);
        self.conversation_mut(id, Some(user)).peer = Some(user.clone());
        self.select(Some(id), actions);
        Ok(())
    }

    fn send(&mut self, content: Content, actions: &mut Vec<Action>) -> Result<(), String> {
        let Some(conversation) = self.current() else {
            return Err("nobody is there to hear it: begin with /to USER, or make a /group".to_owned());
        };
        if !conversation.is_open() {
            return Err("you are no longer a member of this group".to_owned());
        }
        if self.under_way() >= UNDER_WAY_MAX {
            return Err(format!("{UNDER_WAY_MAX} messages are on their way: wait until some have arrived"));
        }
        let (id, peer) = (conversation.id, conversation.peer.clone());
        let draft = self.new_draft(id);
        if let Some(conversation) = self.current_mut() {
            conversation.anchor = None;
            conversation.timeline.draft(draft, content.clone());
        }
        actions.push(Action::Send { draft, conversation: id, peer, content });
        Ok(())
    }

    /// A change of the group.
    fn change(&mut self, content: Content, actions: &mut Vec<Action>) -> Result<(), String> {
        if self.current().is_some_and(|conversation| conversation.is_group()) {
            self.send(content, actions)
        } else {
            Err("this is no group: open one (Tab), or make one with /group USER… = TITLE".to_owned())
        }
    }

    /// The entry meant: the one named, or the newest of this user's or of somebody else.
    fn target(&self, named: Option<Seq>, is_mine: bool) -> Result<Seq, String> {
        let newest = || self.current()?.newest_of(self.me.as_ref()?, is_mine);
        let whose = if is_mine { "yours" } else { "somebody else's" };
        named.or_else(newest).ok_or_else(|| format!("there is no message of {whose} here: name its number"))
    }

    fn tell_members(&mut self) -> Result<(), String> {
        let Some(conversation) = self.current() else { return Err("no conversation is open".to_owned()) };
        let members = conversation.members.iter().map(|member| {
            let user = crate::output::plain(member.user.as_str());
            let read = conversation.marks.get(&member.user).map_or(member.read, |(_, read)| *read);
            format!("{user} ({}, read #{read})", crate::entry_line::role_name(member.role))
        });
        self.notice = Some(members.collect::<Vec<_>>().join(", "));
        Ok(())
    }
}

fn message(text: &str, reply_to: Option<Seq>) -> Content {
    let (content_type, body) = (ContentType::plain_text(), Bytes::from(text.to_owned()));
    Content::Message(Message { content_type, body, reply_to })
}
