//! Where a client command keeps its state when nobody names a folder.
//!
//! `DATA/fulmar/SERVER/USER/SLOT`, where DATA is the folder for application data (XDG). A state belongs to
//! one device and is open in one process at a time; so there are 16 slots, and a command takes the first
//! that is free. Commands one after another are thus one device, and only as many devices pile up as ran at
//! the same time. The user is read from the token without verifying it: it names a folder, nothing else, and
//! the client refuses a state of another user.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use etcetera::BaseStrategy as _;
use fulmar_client::{ClientError, State, UserId};
use serde::Deserialize;

use crate::failure::Failure;

/// Slots of one user on one server: as many as a server allows devices, unless it is told otherwise. When
/// all are in use the command fails.
const SLOTS_MAX: u32 = 16;
/// Bytes of one folder's name. A longer name goes on in a folder inside.
const NAME_BYTES_MAX: usize = 200;

/// The first free state. A token that names no user gets a state in memory: the server will refuse it.
pub(crate) fn default_state(server: &str, token: &str) -> Result<State, Failure> {
    let Some(user) = user_of(token) else { return Ok(State::memory()) };
    let base = etcetera::choose_base_strategy().map_err(|_| {
        Failure::failed("your home folder is not known: name a folder with --state or set FULMAR_STATE")
    })?;
    let folder = folder_of(&base.data_dir().join("fulmar"), server, &user);
    create_private(&folder)?;
    first_free(&folder)
}

fn first_free(folder: &Path) -> Result<State, Failure> {
    for slot in 0..SLOTS_MAX {
        match State::directory(folder.join(slot.to_string())) {
            Err(ClientError::StateInUse { .. }) => {}
            outcome => return Ok(outcome?),
        }
    }
    Err(Failure::failed(format!(
        "{SLOTS_MAX} processes of this user run already: end one, or name a folder of your own with --state"
    )))
}

fn folder_of(base: &Path, server: &str, user: &UserId) -> PathBuf {
    let mut folder = base.to_owned();
    for name in [server, user.as_str()] {
        folder.extend(folder_names(name));
    }
    folder
}

/// A name that any file system takes, cut into folders where it is long. Two names never give the same: what
/// is not a letter, digit or one of `-_.@` is written as `%` and two digits, and every part but the last
/// ends in a lone `%`.
fn folder_names(name: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    for (index, byte) in name.bytes().enumerate() {
        let safe = byte.is_ascii_alphanumeric() || b"-_@".contains(&byte) || (byte == b'.' && index > 0);
        let written = if safe { char::from(byte).to_string() } else { format!("%{byte:02x}") };
        match names.last_mut() {
            Some(last) if last.len().saturating_add(written.len()) < NAME_BYTES_MAX => {
                last.push_str(&written)
            }
            Some(last) => {
                last.push('%');
                names.push(written);
            }
            None => {}
        }
    }
    names
}

/// The folder holds unsent messages: nobody else is to read it.
fn create_private(folder: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| {
        let folder = folder.display();
        Failure::failed(format!("cannot create {folder}: {error}; name another folder with --state"))
    })
}

/// The `sub` of a token, not verified.
fn user_of(token: &str) -> Option<UserId> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let payload = token.split('.').nth(1)?;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    UserId::parse(&claims.sub).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_read_from_the_token() {
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"sub":"alice","exp":1}"#);
        assert_eq!(user_of(&format!("e30.{payload}.sig")).as_ref().map(UserId::as_str), Some("alice"));
        for token in ["", "alice", "a.b.c", "a.e30.c"] {
            assert_eq!(user_of(token), None, "{token}");
        }
    }

    #[test]
    fn different_names_have_different_folders_that_stay_below_the_base() {
        let folder = |user: &str| {
            folder_of(Path::new("base"), "localhost:4433", &UserId::parse(user).expect("a user id"))
        };
        assert_eq!(folder("alice"), Path::new("base/localhost%3a4433/alice"));
        assert_eq!(folder(".."), Path::new("base/localhost%3a4433/%2e."));
        assert_eq!(folder("a/b%"), Path::new("base/localhost%3a4433/a%2fb%25"));
        let long = folder(&"ü".repeat(64));
        assert!(long.components().count() > folder("alice").components().count(), "{long:?}");
        assert!(long.iter().all(|name| name.len() <= NAME_BYTES_MAX), "{long:?}");
    }

    #[test]
    fn a_second_process_takes_the_next_slot_and_a_later_one_the_first_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let slots = || {
            let mut names: Vec<_> = fs::read_dir(folder.path())
                .expect("a listing")
                .map(|entry| entry.expect("an entry").file_name())
                .collect();
            names.sort();
            names
        };
        let first = first_free(folder.path()).expect("slot 0");
        let second = first_free(folder.path()).expect("slot 1");
        assert_eq!(slots(), ["0", "1"]);
        drop((first, second));
        let _again = first_free(folder.path()).expect("slot 0");
        assert_eq!(slots(), ["0", "1"]);
    }
}
