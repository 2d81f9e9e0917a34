//! Servers: how they start, refuse to start, and stop; and what looks after them.

use std::time::Duration;

use crate::fulmar::{Running, fulmar, json, now, run, wait};
use crate::server::DevServer;

#[test]
fn without_credentials_a_server_refuses_to_start_and_says_which_key_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let serve = |arguments: &[&str]| {
        run(fulmar(&["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"]).args(arguments))
    };
    let line = serve(&[]).failed(1);
    assert!(
        line.contains("tls.certificate") && line.contains("--config") && line.contains("--dev"),
        "{line}"
    );
    let file = folder.path().join("fulmar.toml");
    std::fs::write(&file, "[limits]\nsends_per_secnd = 5\n").unwrap();
    let line = serve(&["--config", file.to_str().unwrap()]).failed(1);
    assert!(line.contains("sends_per_secnd") && line.contains("line 2"), "{line}");
    let line = serve(&["--config", "nowhere.toml"]).failed(1);
    assert!(line.contains("nowhere.toml"), "{line}");
    assert!(!data.exists(), "nothing is made by a server that does not start");
}

#[test]
fn what_is_wrong_with_a_cluster_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("fulmar.toml"));
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "rubbish").unwrap();
    let node = "listen = \"127.0.0.1:4434\"\ncertificate = \"n.pem\"\nkey = \"n.key\"\nauthority = \"a.pem\"";
    for (section, parts) in [
        ("server_id = 7", ["cluster.server_id is set", "fulmar cluster secret"]),
        ("server_id = 7\nsecret = \"nowhere\"", ["cluster.secret", "cannot read"]),
        ("server_id = 7\nsecret = \"secret\"", ["cluster.secret", "64 hexadecimal digits"]),
        ("key = \"n.key\"", ["cluster.key is set", "cluster.listen"]),
        (node, ["store.kind is \"embedded\"", "foundationdb"]),
    ] {
        std::fs::write(&file, format!("[log]\nfilter = \"error\"\n[cluster]\n{section}\n")).unwrap();
        let mut serve = fulmar(&["serve", "--dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let line = run(serve.arg("--data").arg(&data).arg("--config").arg(&file)).failed(1);
        assert!(parts.iter().all(|part| line.contains(part)), "{section}: {line}");
    }
}

#[test]
fn a_development_server_prints_commands_and_makes_what_they_need() {
    let server = DevServer::start();
    assert!(server.data().join("dev/ca.pem").is_file());
    let token = server.token("alice");
    assert_eq!(token.split('.').count(), 3, "a JWT and nothing else: {token}");
    assert!(!token.contains(char::is_whitespace));
}

#[test]
fn a_token_needs_the_folder_of_a_development_server() {
    let folder = tempfile::tempdir().unwrap();
    let line = run(&mut fulmar(&["token", "alice", "--data", folder.path().to_str().unwrap()])).failed(1);
    assert!(line.contains("fulmar serve --dev"), "{line}");
}

#[test]
fn sigterm_ends_a_server_in_time_with_0_though_clients_are_connected() {
    let mut server = DevServer::start();
    let mut tail =
        Running::start(&mut server.client("alice", &["tail", "--json"]), &server.errors_of("tail.log"));
    wait_for_sessions(&server, 1);
    let started = now();
    assert_eq!(server.close(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // The client goes on trying, and ends politely when it is told to.
    crate::fulmar::terminate(&tail.child);
    assert_eq!(wait(&mut tail.child), Some(0));
}

#[test]
fn an_operator_sees_sessions_and_ends_them() {
    let server = DevServer::start();
    let mut tail =
        Running::start(&mut server.client("alice", &["tail", "--json"]), &server.errors_of("tail.log"));
    let sessions = wait_for_sessions(&server, 1);
    assert_eq!(sessions[0]["user"], "alice");
    let old_token = server.token("alice");
    run(&mut server.admin(&["revoke", "alice"])).succeeded();
    assert_eq!(wait(&mut tail.child), Some(1));
    let told = std::fs::read_to_string(server.errors_of("tail.log")).unwrap();
    assert!(told.contains("token_revoked") && told.trim_end().lines().count() == 1, "{told}");
    let line = run(server.client("alice", &["inbox"]).env("FULMAR_TOKEN", old_token)).failed(1);
    assert!(line.contains("token_revoked"), "{line}");
    let line = run(fulmar(&["admin", "sessions"]).args(["--admin", "127.0.0.1:1"])).failed(1);
    assert!(line.contains("127.0.0.1:1") && line.contains("--admin"), "{line}");
}

#[test]
fn a_stopped_servers_store_is_checked_and_compacted_and_a_running_ones_is_not() {
    let mut server = DevServer::start();
    run(&mut server.client("alice", &["send", "--to", "bob", "hello"])).succeeded();
    let data = server.data();
    let store = |command: &str| run(&mut fulmar(&["store", command, "--data", data.to_str().unwrap()]));
    assert!(store("check").failed(1).contains("in use by another process"));
    assert_eq!(server.close(), Some(0));
    assert!(store("check").succeeded().contains("sound"));
    assert!(store("compact").succeeded().contains("compacted"));
    server.open();
    let history = run(&mut server.client("bob", &["history", "--with", "alice", "--json"])).json();
    assert_eq!(history[0]["text"], "hello");
    let line = run(&mut fulmar(&["store", "check", "--data", "nowhere"])).failed(1);
    assert!(line.contains("no store in nowhere"), "{line}");
}

/// Waits until so many sessions are open.
fn wait_for_sessions(server: &DevServer, count: usize) -> Vec<serde_json::Value> {
    let started = now();
    loop {
        let outcome = run(&mut server.admin(&["sessions", "--json"])).succeeded();
        let sessions: Vec<_> = outcome.lines().map(json).collect();
        if sessions.len() >= count {
            return sessions;
        }
        assert!(started.elapsed() < crate::fulmar::PATIENCE, "{count} sessions never came: {outcome}");
    }
}
