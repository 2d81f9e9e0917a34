//! What is typed wrong, what help says, what is missing.

use std::time::Duration;

use crate::fulmar::{fulmar, now, run};

/// Every command, with those below it.
const COMMANDS: [&[&str]; 28] = [
    &[],
    &["demo"],
    &["serve"],
    &["token"],
    &["admin"],
    &["admin", "sessions"],
    &["admin", "revoke"],
    &["admin", "drain"],
    &["store"],
    &["store", "check"],
    &["store", "compact"],
    &["cluster"],
    &["cluster", "ca"],
    &["cluster", "cert"],
    &["send"],
    &["tail"],
    &["history"],
    &["inbox"],
    &["mark-read"],
    &["group"],
    &["group", "create"],
    &["group", "add"],
    &["group", "remove"],
    &["group", "leave"],
    &["group", "role"],
    &["group", "show"],
    &["chat"],
    &["demo", "--json"],
];

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let help = run(fulmar(command).arg("--help")).succeeded();
        assert!(help.contains("Example:") || help.contains("Example: "), "{command:?}: {help}");
        assert!(help.contains("fulmar"), "{command:?}: {help}");
    }
}

#[test]
fn what_is_not_typed_right_ends_with_2_and_says_where_help_is() {
    for (arguments, part) in [
        (&["frobnicate"] as &[&str], "see fulmar --help"),
        (&["serve"], "--data <DIR>"),
        (&["serve", "--data", "d", "--listen", "here"], "see fulmar serve --help"),
        (&["token"], "see fulmar token --help"),
        (&["send", "--to", "bob"], "TEXT"),
        (&["send", "hello"], "--to <USER>"),
        (&["send", "--to", "bob", "hello", "--stdin"], "cannot be used with"),
        (&["tail", "--count", "0"], "see fulmar tail --help"),
        (
            &["tail", "--with", "bob", "--conversation", "01c9b84b1c32fc0f426a0217d3ff9e3f"],
            "cannot be used with",
        ),
        (&["history", "--conversation", "xyz"], "see fulmar history --help"),
        (&["mark-read", "--seq", "1"], "--conversation <ID>"),
        (&["group", "role", "--conversation", "02c9b84b1c32fc0f426a0217d3ff9e3f", "bob", "king"], "admin"),
        (&["cluster", "cert"], "see fulmar cluster cert --help"),
        (&["cluster", "cert", "n", "--ttl", "soon"], "write it like 30s"),
        (&["admin", "revoke"], "see fulmar admin revoke --help"),
    ] {
        let line = run(&mut fulmar(arguments)).failed(2);
        assert!(line.contains(part), "{arguments:?}: {line}");
    }
}

#[test]
fn a_bare_command_shows_what_there_is_and_ends_with_2() {
    for arguments in [&[] as &[&str], &["admin"], &["store"], &["cluster"], &["group"]] {
        let outcome = run(&mut fulmar(arguments));
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stdout.is_empty() && outcome.stderr.contains("Commands:"), "{outcome:?}");
    }
}

#[test]
fn what_a_client_lacks_is_named_with_option_and_variable() {
    let mut command = fulmar(&["inbox"]);
    assert!(run(&mut command).failed(2).contains("--server HOST:PORT or set FULMAR_SERVER"));
    command.args(["--server", "localhost:4433"]);
    assert!(run(&mut command).failed(2).contains("--ca FILE or set FULMAR_CA"));
    command.args(["--ca", "ca.pem"]);
    assert!(run(&mut command).failed(2).contains("--token TOKEN or set FULMAR_TOKEN"));
}

#[test]
fn a_token_in_the_environment_is_not_shown_by_help() {
    let help = run(fulmar(&["send", "--help"]).env("FULMAR_TOKEN", "very-secret")).succeeded();
    assert!(!help.contains("very-secret"), "{help}");
}

#[test]
fn a_server_out_of_reach_fails_when_the_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // A port that is nobody's now: it was given out and given back.
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let other = crate::server::DevServer::start();
    let started = now();
    let mut command = other.client("alice", &["send", "--to", "bob", "hello", "--timeout", "2s"]);
    let state = folder.path().join("state");
    command.args(["--server", &format!("127.0.0.1:{port}"), "--state", state.to_str().unwrap()]);
    let line = run(&mut command).failed(1);
    assert!(line.contains("no session") && line.contains("check --server"), "{line}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert!(!data.exists());
}

#[test]
fn a_chat_without_a_terminal_says_what_to_use_instead() {
    let line = run(&mut fulmar(&["chat"])).failed(2);
    assert!(line.contains("fulmar send"), "{line}");
}
