//! How an entry of a log is shown: a line of JSON for scripts, a line of text for people.
//!
//! A message has exactly the fields that scripts rely on (and `reply_to` where it answers another). What is
//! no message has `kind` in place of a content type, with fields of its own. A range without entries is a
//! line of the kind `hole`.

use base64::Engine as _;
use fulmar_client::{
    Content, ContentType, ConversationId, HistoryEntry, HistoryPolicy, HoleReason, ReceivedEntry, Role, Seq,
    TimestampMs, UserId,
};
use serde::Serialize;

use crate::output::plain;
use crate::time_of_day;

/// An entry, from wherever it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryLine<'e> {
    conversation: ConversationId,
    seq: Seq,
    sender: &'e UserId,
    at: TimestampMs,
    content: Option<&'e Content>,
}

impl<'e> From<&'e ReceivedEntry> for EntryLine<'e> {
    fn from(entry: &'e ReceivedEntry) -> Self {
        let ReceivedEntry { conversation, seq, sender, at, content, .. } = entry;
        Self { conversation: *conversation, seq: *seq, sender, at: *at, content: content.as_ref() }
    }
}

/// The fields of all kinds of lines; those that a kind lacks are left out.
#[derive(Debug, Default, Serialize)]
struct Fields<'e> {
    conversation: String,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reaction: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<&'e str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl<'e> EntryLine<'e> {
    pub(crate) fn read_back(conversation: ConversationId, entry: &'e HistoryEntry) -> Self {
        let HistoryEntry { seq, sender, at, content, .. } = entry;
        Self { conversation, seq: *seq, sender, at: *at, content: content.as_ref() }
    }

    /// For scripts.
    pub(crate) fn json(&self) -> impl Serialize + 'e {
        let mut fields = Fields {
            conversation: self.conversation.to_string(),
            seq: self.seq.get(),
            sender: Some(self.sender.as_str()),
            at_ms: Some(self.at.get()),
            ..Fields::default()
        };
        fields.take(self.content);
        fields
    }

    /// For people.
    pub(crate) fn text(&self, names_conversation: bool) -> String {
        let time = time_of_day::full(self.at);
        let sender = plain(self.sender.as_str());
        let what = self.content.map_or_else(|| "(something this version does not know)".to_owned(), describe);
        let place = if names_conversation { format!("{} ", self.conversation) } else { String::new() };
        format!("{time} {place}#{} {sender}: {what}", self.seq)
    }
}

/// A range without entries, for scripts.
pub(crate) fn hole_json(
    conversation: ConversationId,
    first: Seq,
    last: Seq,
    reason: HoleReason,
) -> impl Serialize {
    Fields {
        conversation: conversation.to_string(),
        seq: first.get(),
        last_seq: Some(last.get()),
        kind: Some("hole"),
        reason: Some(match reason {
            HoleReason::Skipped => "skipped",
            HoleReason::Hidden => "hidden",
            HoleReason::Expired => "expired",
        }),
        ..Fields::default()
    }
}

/// A range without entries, for people.
pub(crate) fn hole_text(first: Seq, last: Seq, reason: HoleReason) -> String {
    let reason = match reason {
        HoleReason::Skipped => "skipped",
        HoleReason::Hidden => "not for you: before you joined, or after you left",
        HoleReason::Expired => "no longer kept",
    };
    if first == last { format!("#{first}: {reason}") } else { format!("#{first} to #{last}: {reason}") }
}

impl<'e> Fields<'e> {
    fn take(&mut self, content: Option<&'e Content>) {
        let Some(content) = content else {
            self.kind = Some("unknown");
            return;
        };
        self.kind = kind_of(content);
        match content {
            Content::Message(message) => {
                self.take_body(&message.content_type, &message.body);
                self.reply_to = message.reply_to.map(Seq::get);
            }
            Content::Edit(edit) => {
                self.target_seq = Some(edit.target_seq.get());
                self.take_body(&edit.content_type, &edit.body);
            }
            Content::Redact(redact) => self.target_seq = Some(redact.target_seq.get()),
            Content::React(react) => {
                self.target_seq = Some(react.target_seq.get());
                self.reaction = Some(react.reaction.as_str());
                self.removed = Some(react.removed);
            }
            Content::CreateGroup(created) => {
                self.title = Some(created.title.as_str());
                self.users = Some(created.members.iter().map(UserId::as_str).collect());
                self.history = Some(policy_name(created.history_policy));
            }
            Content::SetTitle(change) => self.title = Some(change.title.as_str()),
            Content::AddMembers(change) => {
                self.users = Some(change.users.iter().map(UserId::as_str).collect());
            }
            Content::RemoveMembers(change) => {
                self.users = Some(change.users.iter().map(UserId::as_str).collect());
            }
            Content::Leave(_) => {}
            Content::SetRole(change) => {
                self.users = Some(vec![change.user.as_str()]);
                self.role = Some(role_name(change.role));
            }
            Content::TransferOwnership(change) => self.users = Some(vec![change.user.as_str()]),
            Content::Redacted(redacted) => self.by_seq = Some(redacted.by_seq.get()),
        }
    }

    fn take_body(&mut self, content_type: &'e ContentType, body: &'e [u8]) {
        self.content_type = Some(content_type.as_str());
        match body_text(content_type, body) {
            Some(text) => self.text = Some(text),
            None => self.body_base64 = Some(base64::engine::general_purpose::STANDARD.encode(body)),
        }
    }
}

fn kind_of(content: &Content) -> Option<&'static str> {
    Some(match content {
        Content::Message(_) => return None,
        Content::Edit(_) => "edit",
        Content::Redact(_) => "redact",
        Content::React(_) => "react",
        Content::CreateGroup(_) => "create_group",
        Content::SetTitle(_) => "set_title",
        Content::AddMembers(_) => "add_members",
        Content::RemoveMembers(_) => "remove_members",
        Content::Leave(_) => "leave",
        Content::SetRole(_) => "set_role",
        Content::TransferOwnership(_) => "transfer_ownership",
        Content::Redacted(_) => "redacted",
    })
}

/// What a content says, in one line that cannot steer a terminal.
pub(crate) fn describe(content: &Content) -> String {
    match content {
        Content::Message(message) => {
            let reply = message.reply_to.map(|seq| format!("(re #{seq}) ")).unwrap_or_default();
            format!("{reply}{}", body_line(&message.content_type, &message.body))
        }
        Content::Edit(edit) => {
            format!("* now #{} says: {}", edit.target_seq, body_line(&edit.content_type, &edit.body))
        }
        Content::Redact(redact) => format!("* took #{} back", redact.target_seq),
        Content::React(react) => {
            let verb = if react.removed { "no longer reacts" } else { "reacts" };
            format!("* {verb} to #{} with {}", react.target_seq, plain(react.reaction.as_str()))
        }
        Content::CreateGroup(created) => {
            format!("* created “{}” with {}", plain(created.title.as_str()), users(&created.members))
        }
        Content::SetTitle(change) => format!("* named the group “{}”", plain(change.title.as_str())),
        Content::AddMembers(change) => format!("* added {}", users(&change.users)),
        Content::RemoveMembers(change) => format!("* removed {}", users(&change.users)),
        Content::Leave(_) => "* left".to_owned(),
        Content::SetRole(change) => {
            format!("* made {} {}", plain(change.user.as_str()), role_name(change.role))
        }
        Content::TransferOwnership(change) => format!("* made {} owner", plain(change.user.as_str())),
        Content::Redacted(redacted) => format!("* (taken back by #{})", redacted.by_seq),
    }
}

fn body_line(content_type: &ContentType, body: &[u8]) -> String {
    match body_text(content_type, body) {
        Some(text) => plain(text),
        None => format!("[{}, {} bytes]", plain(content_type.as_str()), body.len()),
    }
}

/// A body that may have several lines, none of which can steer a terminal.
pub(crate) fn body_lines(content_type: &ContentType, body: &[u8]) -> String {
    match body_text(content_type, body) {
        Some(text) => text.lines().map(plain).collect::<Vec<_>>().join("\n"),
        None => body_line(content_type, body),
    }
}

/// The body as text, where it is text.
fn body_text<'b>(content_type: &ContentType, body: &'b [u8]) -> Option<&'b str> {
    if content_type.is_text() { std::str::from_utf8(body).ok() } else { None }
}

fn users(users: &[UserId]) -> String {
    let names: Vec<String> = users.iter().map(|user| plain(user.as_str())).collect();
    if names.is_empty() { "nobody else".to_owned() } else { names.join(", ") }
}

/// A role, in the word that `fulmar group role` takes.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}

/// A policy, in the word that `fulmar group create --history` takes.
pub(crate) fn policy_name(policy: HistoryPolicy) -> &'static str {
    match policy {
        HistoryPolicy::FromJoining => "from-joining",
        HistoryPolicy::All => "all",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use fulmar_client::{Leave, Message};

    use super::*;

    fn json(content: &Content) -> String {
        let sender = UserId::parse("alice").expect("a user id");
        let conversation = ConversationId::direct(&sender, &sender);
        let (seq, at) = (Seq::new(3), TimestampMs::new(7));
        let line = EntryLine { conversation, seq, sender: &sender, at, content: Some(content) };
        let text = serde_json::to_string(&line.json()).expect("JSON");
        text.replace(&conversation.to_string(), "ID")
    }

    fn message(content_type: &str, body: &'static [u8]) -> Content {
        let content_type = ContentType::parse(content_type).expect("a content type");
        Content::Message(Message { content_type, body: Bytes::from_static(body), reply_to: None })
    }

    #[test]
    fn a_text_message_has_the_fields_that_scripts_rely_on() {
        assert_eq!(
            json(&message("text/plain", b"hi")),
            r#"{"conversation":"ID","seq":3,"sender":"alice","at_ms":7,"content_type":"text/plain","text":"hi"}"#
        );
    }

    #[test]
    fn what_is_not_text_is_given_in_base64() {
        for body in [message("image/png", b"hi"), message("text/plain", b"\xff\x00")] {
            let json = json(&body);
            assert!(json.contains(r#""body_base64":""#) && !json.contains(r#""text":"#), "{json}");
        }
    }

    #[test]
    fn what_is_no_message_names_its_kind() {
        let expected = r#"{"conversation":"ID","seq":3,"sender":"alice","at_ms":7,"kind":"leave"}"#;
        assert_eq!(json(&Content::Leave(Leave)), expected);
    }
}
