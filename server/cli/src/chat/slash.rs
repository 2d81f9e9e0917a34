//! What a written line means: a message, or a command that begins with a slash. Pure.

use fulmar_client::{Role, Seq, UserId};

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// A message as it stands.
    Message(String),
    /// The direct conversation with somebody.
    To {
        user: UserId,
        text: Option<String>,
    },
    /// A new group.
    Group {
        title: String,
        users: Vec<UserId>,
    },
    Add(Vec<UserId>),
    Remove(Vec<UserId>),
    Leave,
    Role {
        user: UserId,
        role: Role,
    },
    Title(String),
    Members,
    /// An answer to an entry; without a number to the newest of somebody else.
    Reply {
        target: Option<Seq>,
        text: String,
    },
    /// Another text for an entry of one's own; without a number for the newest.
    Edit {
        target: Option<Seq>,
        text: String,
    },
    Redact {
        target: Option<Seq>,
    },
    React {
        target: Option<Seq>,
        reaction: String,
        removed: bool,
    },
    Block {
        user: UserId,
        blocked: bool,
    },
    Help,
    Quit,
}

/// The commands, for help: what is typed, and what it does.
pub(super) const COMMANDS: [(&str, &str); 16] = [
    ("/to USER [TEXT]", "talk to somebody"),
    ("/group USER… = TITLE", "make a group"),
    ("/add USER…", "add to this group"),
    ("/remove USER…", "remove from this group"),
    ("/leave", "leave this group"),
    ("/role USER member|admin|owner", "change a role"),
    ("/title TITLE", "rename this group"),
    ("/members", "who is here, and what they have read"),
    ("/reply [N] TEXT", "answer entry N, or the newest"),
    ("/edit [N] TEXT", "rewrite your entry N, or the newest"),
    ("/redact [N]", "take your entry N back for good"),
    ("/react [N] EMOJI", "react (/unreact takes it back)"),
    ("/block USER", "no more from them (/unblock)"),
    ("//TEXT", "a message that begins with a slash"),
    ("/help", "this page"),
    ("/quit", "end"),
];

/// Reads a line. An error says how it is written.
pub(super) fn read(line: &str) -> Result<Line, String> {
    let Some(command) = line.strip_prefix('/') else { return Ok(Line::Message(line.to_owned())) };
    if command.starts_with('/') {
        return Ok(Line::Message(command.to_owned()));
    }
    let (name, rest) = first_word(command);
    match name {
        "to" => {
            let (user, text) = first_word(rest);
            let text = (!text.is_empty()).then(|| text.to_owned());
            Ok(Line::To { user: user_of(user, "/to USER [TEXT]")?, text })
        }
        "group" => group(rest),
        "add" => Ok(Line::Add(users_of(rest, "/add USER…")?)),
        "remove" => Ok(Line::Remove(users_of(rest, "/remove USER…")?)),
        "leave" => Ok(Line::Leave),
        "role" => role(rest),
        "title" => Ok(Line::Title(text_of(rest, "/title TITLE")?)),
        "members" => Ok(Line::Members),
        "reply" => {
            let (target, text) = target_of(rest);
            Ok(Line::Reply { target, text: text_of(text, "/reply [N] TEXT")? })
        }
        "edit" => {
            let (target, text) = target_of(rest);
            Ok(Line::Edit { target, text: text_of(text, "/edit [N] TEXT")? })
        }
        "redact" => Ok(Line::Redact { target: target_of(rest).0 }),
        "react" | "unreact" => {
            let (target, text) = target_of(rest);
            let reaction = text_of(text, "/react [N] EMOJI")?;
            Ok(Line::React { target, reaction, removed: name == "unreact" })
        }
        "block" | "unblock" => {
            Ok(Line::Block { user: user_of(rest, "/block USER")?, blocked: name == "block" })
        }
        "help" => Ok(Line::Help),
        "quit" => Ok(Line::Quit),
        _ => Err(format!("there is no command /{name}; F1 lists them (//{name} sends it as a message)")),
    }
}

fn group(rest: &str) -> Result<Line, String> {
    let usage = "/group USER… = TITLE";
    let (users, title) = rest.split_once('=').ok_or_else(|| usage_of(usage))?;
    Ok(Line::Group { title: text_of(title.trim(), usage)?, users: users_of(users, usage)? })
}

fn role(rest: &str) -> Result<Line, String> {
    let usage = "/role USER member|admin|owner";
    let (user, role) = first_word(rest);
    let role = match role {
        "member" => Role::Member,
        "admin" => Role::Admin,
        "owner" => Role::Owner,
        _ => return Err(usage_of(usage)),
    };
    Ok(Line::Role { user: user_of(user, usage)?, role })
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim()))
}

/// The number of an entry, where the first word is one.
fn target_of(text: &str) -> (Option<Seq>, &str) {
    let (word, rest) = first_word(text);
    match word.strip_prefix('#').unwrap_or(word).parse() {
        Ok(number) => (Some(Seq::new(number)), rest),
        Err(_) => (None, text.trim()),
    }
}

fn user_of(word: &str, usage: &str) -> Result<UserId, String> {
    UserId::parse(word).map_err(|_| usage_of(usage))
}

fn users_of(words: &str, usage: &str) -> Result<Vec<UserId>, String> {
    let users: Vec<UserId> =
        words.split_whitespace().map(|word| user_of(word, usage)).collect::<Result<_, _>>()?;
    if users.is_empty() { Err(usage_of(usage)) } else { Ok(users) }
}

fn text_of(text: &str, usage: &str) -> Result<String, String> {
    if text.is_empty() { Err(usage_of(usage)) } else { Ok(text.to_owned()) }
}

fn usage_of(usage: &str) -> String {
    format!("it is written {usage}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).expect("a user id")
    }

    #[test]
    fn what_has_no_slash_is_a_message_and_so_is_what_has_two() {
        assert_eq!(read("hello /to"), Ok(Line::Message("hello /to".to_owned())));
        assert_eq!(read("//to"), Ok(Line::Message("/to".to_owned())));
    }

    #[test]
    fn commands_are_read_with_their_arguments() {
        let users = vec![user("bob"), user("carol")];
        for (line, expected) in [
            ("/to bob", Line::To { user: user("bob"), text: None }),
            ("/to bob how are you?", Line::To { user: user("bob"), text: Some("how are you?".to_owned()) }),
            (
                "/group bob carol = Night watch",
                Line::Group { title: "Night watch".to_owned(), users: users.clone() },
            ),
            ("/add  bob   carol", Line::Add(users)),
            ("/role bob admin", Line::Role { user: user("bob"), role: Role::Admin }),
            ("/reply 12 yes", Line::Reply { target: Some(Seq::new(12)), text: "yes".to_owned() }),
            ("/reply yes indeed", Line::Reply { target: None, text: "yes indeed".to_owned() }),
            ("/redact #3", Line::Redact { target: Some(Seq::new(3)) }),
            ("/unreact 👍", Line::React { target: None, reaction: "👍".to_owned(), removed: true }),
        ] {
            assert_eq!(read(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_written_wrong_is_told_how_it_is_written() {
        for line in ["/to", "/group bob", "/add", "/role bob king", "/title", "/reply 3", "/frobnicate"] {
            assert!(read(line).is_err_and(|hint| hint.contains('/')), "{line}");
        }
    }
}
