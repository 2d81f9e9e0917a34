//! The chat's state and its drawing, told what happened and what was typed.

use bytes::Bytes;
use fulmar_client::{
    AddMembers, ClientSeq, Content, ContentType, ConversationId, Edit, Message, Ordinal, PresenceState,
    React, Reaction, Redact, Redacted, Role, Seq, TimestampMs, UserId, UserList,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::time::{Duration, Instant};

use super::draw;
use super::state::Chat;
use super::typed::Key;
use super::update::{Action, Entry, Member, Outline, Page, Standing, Update};

/// Noon of a Sunday in UTC; wherever the test runs, these messages are of one or two days.
const NOON: u64 = 1_795_348_800_000;

fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

fn direct() -> ConversationId {
    ConversationId::direct(&user("alice"), &user("bob"))
}

fn outline(id: ConversationId, peer: &str, head: u64, unread: u64) -> Outline {
    Outline {
        id,
        peer: Some(user(peer)),
        title: String::new(),
        role: Some(Role::Member),
        head: Seq::new(head),
        read: Seq::new(head - unread),
        unread,
        last_at: Some(TimestampMs::new(NOON + head)),
    }
}

fn text(text: &str) -> Content {
    let (content_type, body) = (ContentType::plain_text(), Bytes::from(text.to_owned()));
    Content::Message(Message { content_type, body, reply_to: None })
}

fn entry(seq: u64, sender: &str, content: Content) -> Entry {
    Entry {
        seq: Seq::new(seq),
        ordinal: Ordinal::new(seq),
        sender: user(sender),
        at: TimestampMs::new(NOON + seq),
        content: Some(content),
        own_number: None,
    }
}

fn arrives(chat: &mut Chat, entry: Entry, unread: u64) -> Vec<Action> {
    chat.update(Update::Entry { conversation: direct(), entry, unread })
}

/// Alice's chat, online, with one conversation of two messages open.
fn chat() -> Chat {
    let mut chat = Chat::new();
    let actions = chat.update(Update::Standing(Standing::Online { user: user("alice") }));
    assert!(actions.contains(&Action::LoadInbox), "{actions:?}");
    chat.update(Update::Inbox(vec![outline(direct(), "bob", 2, 0)]));
    let entries = vec![entry(1, "bob", text("hello")), entry(2, "alice", text("hello yourself"))];
    let page = Page { entries, range: Some((Seq::new(1), Seq::new(2))), is_first: true };
    chat.update(Update::Page { conversation: direct(), page });
    chat
}

fn types(chat: &mut Chat, text: &str) -> Vec<Action> {
    chat.typed(Key::Text(text.to_owned()));
    chat.typed(Key::Enter)
}

fn sent(actions: &[Action]) -> Option<&Content> {
    actions.iter().find_map(|action| match action {
        Action::Send { content, .. } => Some(content),
        _ => None,
    })
}

fn screen_of(chat: &Chat, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| draw::draw(frame, chat, Instant::now())).expect("a drawing");
    terminal.backend().to_string()
}

fn screen(chat: &Chat) -> String {
    screen_of(chat, 90, 20)
}

#[test]
fn the_newest_conversation_is_opened_and_its_log_asked_for() {
    let mut chat = Chat::new();
    chat.update(Update::Standing(Standing::Online { user: user("alice") }));
    let other = ConversationId::direct(&user("alice"), &user("carol"));
    let outlines = vec![outline(direct(), "bob", 2, 1), outline(other, "carol", 9, 0)];
    let actions = chat.update(Update::Inbox(outlines));
    assert_eq!(chat.selected, Some(other));
    assert!(actions.contains(&Action::LoadPage { conversation: other, before: None }), "{actions:?}");
    let watched = actions.iter().find_map(|action| match action {
        Action::Watch(watched) => Some(watched.len()),
        _ => None,
    });
    assert_eq!(watched, Some(2));
}

#[test]
fn a_message_is_shown_with_its_tick_as_far_as_it_has_come() {
    let mut chat = chat();
    let marks = |delivered, read| Update::Marks {
        conversation: direct(),
        user: user("bob"),
        delivered: Seq::new(delivered),
        read: Seq::new(read),
    };
    assert!(screen(&chat).contains("alice: hello yourself ✓ "), "{}", screen(&chat));
    chat.update(marks(2, 1));
    assert!(screen(&chat).contains("alice: hello yourself ✓✓"), "{}", screen(&chat));
    chat.update(marks(2, 2));
    assert!(screen(&chat).contains("alice: hello yourself ✔✔"), "{}", screen(&chat));
    chat.update(marks(1, 1));
    assert!(screen(&chat).contains("alice: hello yourself ✔✔"), "marks only grow");
}

#[test]
fn a_group_message_has_come_as_far_as_with_the_member_who_has_least() {
    let mut chat = chat();
    let member = |name: &str, delivered, read| Member {
        user: user(name),
        role: Role::Member,
        delivered: Seq::new(delivered),
        read: Seq::new(read),
    };
    let members = vec![member("alice", 0, 2), member("bob", 2, 2), member("carol", 2, 0)];
    chat.update(Update::Roster { conversation: direct(), members });
    assert!(screen(&chat).contains("hello yourself ✓✓"), "{}", screen(&chat));
}

#[test]
fn what_is_typed_is_on_its_way_until_it_is_accepted() {
    let mut chat = chat();
    let actions = types(&mut chat, "are you there?");
    let Some(Action::Send { draft, conversation, peer, .. }) =
        actions.iter().find(|action| matches!(action, Action::Send { .. }))
    else {
        panic!("nothing is sent: {actions:?}")
    };
    assert_eq!((*conversation, peer.as_ref()), (direct(), Some(&user("bob"))));
    assert!(screen(&chat).contains("alice: are you there? …"), "{}", screen(&chat));
    assert!(screen(&chat).contains("1 on the way"), "{}", screen(&chat));
    chat.update(Update::Queued { draft: *draft, number: ClientSeq::new(7) });
    chat.update(Update::Accepted { draft: *draft, seq: Seq::new(3), at: TimestampMs::new(NOON) });
    let screen = screen(&chat);
    assert!(screen.contains("   3 ") && screen.contains("are you there? ✓"), "{screen}");
    assert!(!screen.contains("on the way"), "{screen}");
}

#[test]
fn a_message_that_the_log_brings_before_its_answer_is_shown_once() {
    let mut chat = chat();
    let actions = types(&mut chat, "only once");
    let draft = actions.iter().find_map(|action| match action {
        Action::Send { draft, .. } => Some(*draft),
        _ => None,
    });
    let draft = draft.expect("a send");
    chat.update(Update::Queued { draft, number: ClientSeq::new(7) });
    let mut entry = entry(3, "alice", text("only once"));
    entry.own_number = Some(ClientSeq::new(7));
    arrives(&mut chat, entry, 0);
    chat.update(Update::Accepted { draft, seq: Seq::new(3), at: TimestampMs::new(NOON) });
    assert_eq!(screen(&chat).matches("only once").count(), 1, "{}", screen(&chat));
}

#[test]
fn while_the_server_is_away_messages_queue_up_and_the_status_says_so() {
    let mut chat = chat();
    let retry_at = Instant::now() + Duration::from_secs(5);
    chat.update(Update::Standing(Standing::Offline { reason: "no answer".to_owned(), retry_at }));
    types(&mut chat, "one");
    types(&mut chat, "two");
    let screen = screen(&chat);
    assert!(
        screen.contains("offline: no answer; next try in") && screen.contains("2 on the way"),
        "{screen}"
    );
    assert!(screen.contains("alice: two …"), "{screen}");
}

#[test]
fn what_is_on_screen_is_marked_as_read_and_what_is_not_counts_as_unread() {
    let mut chat = chat();
    let read = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::MarkRead { .. }));
    let actions = arrives(&mut chat, entry(3, "bob", text("look")), 1);
    assert!(actions.contains(&Action::MarkRead { conversation: direct(), seq: Seq::new(3) }), "{actions:?}");
    chat.typed(Key::FocusLost);
    assert!(!read(&arrives(&mut chat, entry(4, "bob", text("are you asleep?")), 1)));
    assert!(screen(&chat).contains(" 1 "), "{}", screen(&chat));
    assert!(read(&chat.typed(Key::FocusGained)));
    // The server's word about an older mark must not bring the count back.
    chat.update(Update::Unread { conversation: direct(), read: Seq::new(3), unread: 1 });
    assert_eq!(chat.current().map(|conversation| conversation.unread), Some(0));
}

#[test]
fn edits_reactions_and_redactions_change_the_message_they_are_about() {
    let mut chat = chat();
    let (content_type, body) = (ContentType::plain_text(), Bytes::from("goodbye"));
    arrives(
        &mut chat,
        entry(3, "bob", Content::Edit(Edit { target_seq: Seq::new(1), content_type, body })),
        0,
    );
    let reaction = Reaction::parse("👍").expect("a reaction");
    let react = React { target_seq: Seq::new(1), reaction, removed: false };
    arrives(&mut chat, entry(4, "alice", Content::React(react)), 0);
    let shown = screen(&chat);
    assert!(shown.contains("bob: goodbye (edited) [👍"), "{shown}");
    assert!(!shown.contains("hello\n") && !shown.contains("   3 "), "{shown}");
    arrives(&mut chat, entry(5, "bob", Content::Redact(Redact { target_seq: Seq::new(1) })), 0);
    let shown = screen(&chat);
    assert!(shown.contains("bob: (taken back)") && !shown.contains("goodbye"), "{shown}");
}

#[test]
fn an_edit_that_was_redacted_with_its_message_is_no_line() {
    let mut chat = chat();
    let redacted = || Content::Redacted(Redacted { by_seq: Seq::new(5) });
    let mut edit = entry(4, "bob", redacted());
    edit.ordinal = Ordinal::new(3);
    arrives(&mut chat, entry(3, "bob", redacted()), 0);
    arrives(&mut chat, edit, 0);
    assert_eq!(screen(&chat).matches("(taken back)").count(), 1, "{}", screen(&chat));
}

#[test]
fn scrolling_up_asks_for_older_entries_and_stays_in_place_when_news_arrive() {
    let mut chat = chat();
    chat.update(Update::Resynchronised);
    let page = |from: u64, to: u64| {
        let entries = (from..=to).map(|seq| entry(seq, "bob", text(&format!("message {seq}")))).collect();
        Page { entries, range: Some((Seq::new(from), Seq::new(to))), is_first: from == 1 }
    };
    chat.update(Update::Conversation(outline(direct(), "bob", 200, 0)));
    chat.update(Update::Page { conversation: direct(), page: page(141, 200) });
    assert!(screen(&chat).contains("message 200"), "{}", screen(&chat));
    let mut actions = Vec::new();
    for _ in 0..3 {
        actions.extend(chat.typed(Key::PageUp));
    }
    let older = Action::LoadPage { conversation: direct(), before: Some(Seq::new(140)) };
    assert_eq!(actions, [older], "asked for once");
    assert!(!screen(&chat).contains("message 200"), "{}", screen(&chat));
    let before = screen(&chat);
    arrives(&mut chat, entry(201, "bob", text("news")), 1);
    chat.update(Update::Page { conversation: direct(), page: page(41, 140) });
    let after = screen(&chat);
    let log =
        |screen: &str| screen.lines().filter(|line| line.contains("message")).map(str::to_owned).collect();
    let (before, after): (Vec<String>, Vec<String>) = (log(&before), log(&after));
    assert_eq!(before, after);
    chat.typed(Key::Escape);
    assert!(screen(&chat).contains("news"), "{}", screen(&chat));
}

#[test]
fn a_page_that_does_not_meet_what_is_known_leaves_no_gap() {
    let mut chat = chat();
    // The device was far behind: entries 3 to 99 are skipped, then 100 comes.
    let actions = chat.update(Update::Skipped { conversation: direct(), last: Seq::new(99) });
    let newest = Action::LoadPage { conversation: direct(), before: None };
    assert!(actions.contains(&newest), "{actions:?}");
    arrives(&mut chat, entry(100, "bob", text("the newest")), 1);
    let entries = vec![entry(2, "alice", text("hello yourself"))];
    let page = Page { entries, range: Some((Seq::new(1), Seq::new(2))), is_first: true };
    let actions = chat.update(Update::Page { conversation: direct(), page });
    let older = Action::LoadPage { conversation: direct(), before: Some(Seq::new(99)) };
    assert!(actions.contains(&older), "{actions:?}");
    let shown = screen(&chat);
    assert!(shown.contains("the newest") && !shown.contains("hello yourself"), "{shown}");
}

#[test]
fn typing_is_told_while_something_is_written_and_ends_when_it_is_not() {
    let mut chat = chat();
    let typing = |is_typing| Action::Typing { conversation: direct(), is_typing };
    assert!(chat.typed(Key::Text("h".to_owned())).contains(&typing(true)));
    assert!(chat.typed(Key::Backspace).contains(&typing(false)));
    assert!(!chat.typed(Key::Text("/to".to_owned())).contains(&typing(true)), "a command is no message");
    chat.update(Update::Typing { conversation: direct(), user: user("bob"), is_typing: true });
    assert!(screen(&chat).contains("bob types…"), "{}", screen(&chat));
    arrives(&mut chat, entry(3, "bob", text("done")), 0);
    assert!(!screen(&chat).contains("bob types…"), "{}", screen(&chat));
}

#[test]
fn presence_is_shown_until_nobody_can_tell_it() {
    let mut chat = chat();
    let presence = Update::Presence { user: user("bob"), state: PresenceState::Online, last_seen: None };
    chat.update(presence);
    assert!(screen(&chat).contains("bob  online"), "{}", screen(&chat));
    chat.update(Update::Standing(Standing::Connecting));
    assert!(screen(&chat).contains("bob  not here"), "{}", screen(&chat));
}

#[test]
fn commands_refer_to_entries_by_number_or_to_the_newest() {
    let mut chat = chat();
    let Some(Content::Edit(edit)) = sent(&types(&mut chat, "/edit hello to you")).cloned() else {
        panic!("no edit")
    };
    assert_eq!(edit.target_seq, Seq::new(2), "the newest of one's own");
    let Some(Content::React(react)) = sent(&types(&mut chat, "/react 👍")).cloned() else {
        panic!("no reaction")
    };
    assert_eq!(react.target_seq, Seq::new(1), "the newest of somebody else");
    let Some(Content::Message(reply)) = sent(&types(&mut chat, "/reply #2 myself")).cloned() else {
        panic!("no reply")
    };
    assert_eq!(reply.reply_to, Some(Seq::new(2)));
}

#[test]
fn what_cannot_be_done_is_said_and_keeps_what_was_written() {
    let mut chat = chat();
    let actions = types(&mut chat, "/add carol");
    assert_eq!(sent(&actions), None);
    assert!(screen(&chat).contains("this is no group"), "{}", screen(&chat));
    assert_eq!(chat.compose.text(), "/add carol");
}

#[test]
fn a_user_who_was_removed_cannot_write_there_any_more() {
    let mut chat = chat();
    let users = |name: &str| UserList::from(user(name));
    let group = ConversationId::group(&user("bob"), &fulmar_protocol::GroupNonce::new([7; 16]));
    let mut outline = outline(group, "bob", 1, 0);
    (outline.peer, outline.title, outline.last_at) =
        (None, "Night watch".to_owned(), Some(TimestampMs::new(NOON + 9)));
    chat.update(Update::Conversation(outline));
    chat.typed(Key::NextConversation);
    assert_eq!(chat.selected, Some(group));
    assert!(sent(&types(&mut chat, "/add carol")).is_some());
    let joins = Content::AddMembers(AddMembers { users: users("carol") });
    let removal = fulmar_client::RemoveMembers { users: users("alice") };
    for (seq, content) in [(2, joins), (3, Content::RemoveMembers(removal))] {
        let entry = entry(seq, "bob", content);
        chat.update(Update::Entry { conversation: group, entry, unread: 0 });
    }
    assert!(screen(&chat).contains("you are no longer a member"), "{}", screen(&chat));
    assert_eq!(sent(&types(&mut chat, "hello?")), None);
}

#[test]
fn every_size_of_terminal_can_be_drawn() {
    let mut chat = chat();
    arrives(&mut chat, entry(3, "bob", text(&"a long word ".repeat(300))), 0);
    chat.typed(Key::Text("written\nover\nmany\nlines\nof\ntext\nindeed".to_owned()));
    for (width, height) in [(1, 1), (2, 3), (10, 4), (64, 5), (200, 60)] {
        screen_of(&chat, width, height);
        chat.typed(Key::Help);
        screen_of(&chat, width, height);
        chat.typed(Key::Help);
    }
}
