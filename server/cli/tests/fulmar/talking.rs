//! Clients: sending, following, reading back, groups.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fulmar::{Running, fields, run, run_reading, wait};
use crate::server::{DevServer, folders_in};

const DIRECT: &str = "01c9b84b1c32fc0f426a0217d3ff9e3f";

fn texts(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["text"].as_str()).collect()
}

fn seqs(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["seq"].as_u64()).collect()
}

#[test]
fn a_message_is_sent_followed_listed_and_marked_as_read() {
    let server = DevServer::start();
    let sent = run(&mut server.client("alice", &["send", "--to", "bob", "hello", "--json"])).succeeded();
    assert_eq!(fields(sent.trim_end()), ["conversation", "client_seq", "seq", "at_ms"]);
    let sent = crate::fulmar::json(&sent);
    assert_eq!(
        (&sent["conversation"], &sent["client_seq"], &sent["seq"]),
        (&json!(DIRECT), &json!(1), &json!(1))
    );

    let followed =
        run(&mut server.client("bob", &["tail", "--with", "alice", "--from", "1", "--count", "1", "--json"]))
            .succeeded();
    let names = ["conversation", "seq", "sender", "at_ms", "content_type", "text"];
    assert_eq!(fields(followed.trim_end()), names);
    let entry = crate::fulmar::json(&followed);
    assert_eq!((&entry["sender"], &entry["text"]), (&json!("alice"), &json!("hello")));
    assert_eq!(entry["at_ms"], sent["at_ms"]);

    let inbox = run(&mut server.client("bob", &["inbox", "--json"])).succeeded();
    let names = ["conversation", "kind", "title", "head", "read", "unread", "last_at_ms"];
    assert_eq!(fields(inbox.trim_end()), names);
    let item = crate::fulmar::json(&inbox);
    assert_eq!(item["kind"], "direct");
    assert_eq!((&item["title"], &item["head"], &item["unread"]), (&json!("alice"), &json!(1), &json!(1)));

    run(&mut server.client("bob", &["mark-read", "--conversation", DIRECT, "--seq", "1"])).succeeded();
    let item = run(&mut server.client("bob", &["inbox", "--json"])).json().remove(0);
    assert_eq!((&item["read"], &item["unread"]), (&json!(1), &json!(0)));
    let line =
        run(&mut server.client("bob", &["mark-read", "--conversation", DIRECT, "--seq", "9"])).failed(1);
    assert!(line.contains("mark_beyond_head"), "{line}");
}

#[test]
fn lines_are_sent_in_order_and_told_in_order_many_at_a_time() {
    let server = DevServer::start();
    let lines: Vec<String> = (1..=700).map(|number| format!("line {number}")).collect();
    let mut command = server.client("alice", &["send", "--to", "bob", "--stdin", "--json"]);
    let accepted = run_reading(&mut command, &lines.join("\n")).json();
    assert_eq!(seqs(&accepted), (1..=700).collect::<Vec<_>>());
    // The follower is another device for each call only where two run at once.
    let arguments = ["tail", "--conversation", DIRECT, "--from", "300", "--count", "401", "--json"];
    let followed = run(&mut server.client("bob", &arguments)).json();
    assert_eq!(seqs(&followed), (300..=700).collect::<Vec<_>>());
    assert_eq!(texts(&followed), lines[299..]);
    let page =
        run(&mut server.client("bob", &["history", "--with", "alice", "--limit", "300", "--json"])).json();
    assert_eq!(seqs(&page), (401..=700).collect::<Vec<_>>());
    let arguments = ["history", "--with", "alice", "--from", "10", "--limit", "3", "--json"];
    assert_eq!(seqs(&run(&mut server.client("bob", &arguments)).json()), [10, 11, 12]);
    let arguments = ["history", "--with", "alice", "--before", "10", "--limit", "3", "--json"];
    assert_eq!(seqs(&run(&mut server.client("bob", &arguments)).json()), [7, 8, 9]);
}

#[test]
fn a_line_that_is_refused_stops_no_other_and_is_named() {
    let server = DevServer::start();
    let input = format!("one\n{}\nthree\n", "x".repeat(70_000));
    let mut command = server.client("alice", &["send", "--to", "bob", "--stdin"]);
    let line = run_reading(&mut command, &input).failed(1);
    assert!(line.contains("2 of 3 messages accepted, not lines 2"), "{line}");
    let history = run(&mut server.client("bob", &["history", "--with", "alice", "--json"])).json();
    assert_eq!(texts(&history), ["one", "three"]);
}

#[test]
fn following_goes_on_through_a_restart_of_the_server() {
    let mut server = DevServer::start();
    run(&mut server.client("alice", &["send", "--to", "bob", "before"])).succeeded();
    let arguments = ["tail", "--with", "alice", "--from", "1", "--json"];
    let tail = Running::start(&mut server.client("bob", &arguments), &server.errors_of("tail.log"));
    assert_eq!(crate::fulmar::json(&tail.line())["text"], "before");
    assert_eq!(server.close(), Some(0));
    server.open();
    let lines: Vec<String> = (1..=50).map(|number| format!("after {number}")).collect();
    let mut command = server.client("alice", &["send", "--to", "bob", "--stdin"]);
    run_reading(&mut command, &lines.join("\n")).succeeded();
    let followed: Vec<Value> = (0..50).map(|_| crate::fulmar::json(&tail.line())).collect();
    assert_eq!(seqs(&followed), (2..=51).collect::<Vec<_>>());
    assert_eq!(texts(&followed), lines);
    assert_eq!(tail.terminated(), Some(0));
}

#[test]
fn without_a_beginning_only_what_arrives_from_now_on_is_printed() {
    let server = DevServer::start();
    run(&mut server.client("carol", &["send", "--to", "bob", "long ago"])).succeeded();
    let tail = Running::start(&mut server.client("bob", &["tail", "--json"]), &server.errors_of("tail.log"));
    // When it has begun nobody can tell; so until something is printed, more is sent.
    let first = loop {
        run(&mut server.client("alice", &["send", "--to", "bob", "now"])).succeeded();
        if let Some(line) = tail.line_within(Duration::from_secs(2)) {
            break crate::fulmar::json(&line);
        }
    };
    run(&mut server.client("carol", &["send", "--to", "bob", "and now"])).succeeded();
    let second = crate::fulmar::json(&tail.line());
    assert_eq!((&first["text"], &first["sender"]), (&json!("now"), &json!("alice")));
    assert_eq!((&second["text"], &second["seq"]), (&json!("and now"), &json!(2)));
}

#[test]
fn what_was_printed_is_delivered_and_what_was_not_is_not() {
    let server = DevServer::start();
    let mut command = server.client("alice", &["send", "--to", "bob", "--stdin"]);
    run_reading(&mut command, "1\n2\n3\n4\n5\n").succeeded();
    let delivered = || {
        let roster =
            run(&mut server.client("alice", &["group", "show", "--conversation", DIRECT, "--json"])).json();
        let members = roster[0]["members"].as_array().unwrap().clone();
        let bob = members.into_iter().find(|member| member["user"] == "bob").unwrap();
        bob["delivered"].as_u64().unwrap()
    };
    run(&mut server.client("bob", &["inbox"])).succeeded();
    assert_eq!(delivered(), 0);
    let arguments = ["tail", "--with", "alice", "--from", "1", "--count", "3", "--json"];
    assert_eq!(seqs(&run(&mut server.client("bob", &arguments)).json()), [1, 2, 3]);
    assert_eq!(delivered(), 3);
}

#[test]
fn a_group_is_made_changed_and_left() {
    let server = DevServer::start();
    let mut command = server.client("alice", &["group", "create", "--title", "Night watch", "bob", "carol"]);
    let id = run(&mut command).succeeded().trim_end().to_owned();
    assert!(id.len() == 32 && id.starts_with("02"), "{id}");
    let group = |user: &str, arguments: &[&str]| {
        let mut command = server.client(user, &["group"]);
        run(command.args(arguments).args(["--conversation", &id]))
    };
    group("alice", &["role", "bob", "admin"]).succeeded();
    group("bob", &["add", "dave"]).succeeded();
    group("bob", &["remove", "carol"]).succeeded();
    let line = group("carol", &["add", "erin"]).failed(1);
    assert!(line.contains("not_a_member"), "{line}");
    run(&mut server.client("dave", &["send", "--conversation", &id, "all quiet"])).succeeded();
    assert!(group("alice", &["leave"]).failed(1).contains("owner_must_transfer"));
    group("alice", &["role", "dave", "owner"]).succeeded();
    group("alice", &["leave"]).succeeded();
    let roster = group("dave", &["show", "--json"]).json().remove(0);
    assert_eq!(roster["title"], "Night watch");
    assert_eq!(
        roster["members"].as_array().unwrap().iter().map(|member| &member["user"]).collect::<Vec<_>>(),
        [&json!("bob"), &json!("dave")]
    );
    let log = run(&mut server.client("bob", &["history", "--conversation", &id, "--json"])).json();
    let kinds: Vec<&str> = log.iter().map(|line| line["kind"].as_str().unwrap_or("message")).collect();
    let expected = [
        "create_group",
        "set_role",
        "add_members",
        "remove_members",
        "message",
        "transfer_ownership",
        "leave",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn commands_one_after_another_are_one_device_and_two_at_once_are_two() {
    let server = DevServer::start();
    for _ in 0..3 {
        run(&mut server.client("alice", &["send", "--to", "bob", "hello"])).succeeded();
    }
    let servers = server.states().join("fulmar");
    let folder = servers.join(&folders_in(&servers)[0]).join("alice");
    assert_eq!(folders_in(&folder), ["0"]);
    let arguments = ["tail", "--with", "bob", "--from", "1", "--json"];
    let tail = Running::start(&mut server.client("alice", &arguments), &server.errors_of("tail.log"));
    tail.line();
    run(&mut server.client("alice", &["inbox"])).succeeded();
    assert_eq!(folders_in(&folder), ["0", "1"]);
}

#[test]
fn a_reader_that_has_gone_ends_the_command_quietly() {
    let server = DevServer::start();
    let mut command = server.client("alice", &["send", "--to", "bob", "--stdin"]);
    run_reading(&mut command, &"a line\n".repeat(20)).succeeded();
    let errors = server.errors_of("history.log");
    let mut command = server.client("bob", &["history", "--with", "alice", "--json"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(&errors).unwrap()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(wait(&mut child), Some(0));
    assert_eq!(std::fs::read_to_string(errors).unwrap(), "");
}

#[test]
fn a_token_that_is_none_and_an_authority_that_is_another_are_told_apart() {
    let (server, other) = (DevServer::start(), DevServer::start());
    let line = run(server.client("alice", &["inbox"]).env("FULMAR_TOKEN", "nonsense")).failed(1);
    assert!(line.contains("token_invalid") && line.contains("fulmar token"), "{line}");
    let line =
        run(server.client("alice", &["inbox"]).env("FULMAR_CA", other.data().join("dev/ca.pem"))).failed(1);
    assert!(line.contains("certificate"), "{line}");
}
