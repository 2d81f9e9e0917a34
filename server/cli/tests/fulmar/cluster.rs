//! `fulmar cluster`: the files of authority and nodes.

use std::fs;
use std::path::Path;

use crate::fulmar::{fulmar, run};

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Calls `fulmar cluster` with its folders below `folder`.
fn cluster(folder: &Path, arguments: &[&str]) -> crate::fulmar::Outcome {
    let mut command = fulmar(&["cluster"]);
    run(command.args(arguments).current_dir(folder))
}

#[test]
fn an_authority_and_a_node_get_their_files_and_keys_are_the_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    cluster(folder, &["ca", "--out", "ca"]).succeeded();
    let made = cluster(folder, &["cert", "node-1", "--ca", "ca", "--out", "n", "--json"]).json();
    assert_eq!(made[0]["certificate"], "n/node-1.pem");
    assert_eq!(made[0]["key"], "n/node-1.key");
    assert_eq!(made[0]["fingerprint"].as_str().unwrap().len(), 64);
    assert!(made[0]["not_after_ms"].as_u64().unwrap() > 1_760_000_000_000);
    for (file, expected) in [
        ("ca/authority.key", 0o600),
        ("ca/authority.pem", 0o644),
        ("n/node-1.key", 0o600),
        ("n/node-1.pem", 0o644),
    ] {
        assert_eq!(mode(&folder.join(file)), expected, "{file}");
    }
    assert!(fs::read_to_string(folder.join("n/node-1.pem")).unwrap().contains("BEGIN CERTIFICATE"));
    assert!(fs::read_to_string(folder.join("n/node-1.key")).unwrap().contains("BEGIN PRIVATE KEY"));
    let names: Vec<_> = fs::read_dir(folder.join("n")).unwrap().collect();
    assert_eq!(names.len(), 2, "nothing else is left: {names:?}");
}

#[test]
fn nothing_is_written_over_unless_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    cluster(folder, &["ca"]).succeeded();
    let key = fs::read(folder.join("authority.key")).unwrap();
    let line = cluster(folder, &["ca"]).failed(1);
    assert!(line.contains("authority.key is there already: --force"), "{line}");
    assert_eq!(fs::read(folder.join("authority.key")).unwrap(), key);
    cluster(folder, &["ca", "--force"]).succeeded();
    assert_ne!(fs::read(folder.join("authority.key")).unwrap(), key);

    cluster(folder, &["cert", "a"]).succeeded();
    fs::remove_file(folder.join("a.key")).unwrap();
    let line = cluster(folder, &["cert", "a"]).failed(1);
    assert!(line.contains("a.pem is there already"), "{line}");
    assert!(!folder.join("a.key").exists(), "neither file is written");
}

#[test]
fn what_makes_no_certificate_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let line = cluster(folder, &["cert", "a", "--ca", "nowhere"]).failed(1);
    assert!(line.contains("nowhere/authority.pem") && line.contains("fulmar cluster ca"), "{line}");
    cluster(folder, &["ca", "--out", "one"]).succeeded();
    cluster(folder, &["cert", "a", "--ca", "one", "--ttl", "30d"]).succeeded();
    for name in ["../a", "authority"] {
        let line = cluster(folder, &["cert", name, "--ca", "one", "--ttl", "1d"]).failed(2);
        assert!(line.contains("name"), "{line}");
    }
    cluster(folder, &["ca", "--out", "other"]).succeeded();
    fs::copy(folder.join("other/authority.key"), folder.join("one/authority.key")).unwrap();
    let line = cluster(folder, &["cert", "b", "--ca", "one"]).failed(1);
    assert!(line.contains("not the key of its certificate"), "{line}");
}

#[test]
fn a_cluster_on_the_embedded_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    cluster(folder, &["ca"]).succeeded();
    cluster(folder, &["cert", "node-1"]).succeeded();
    let config = "[cluster]\nlisten = \"127.0.0.1:0\"\ncertificate = \"node-1.pem\"\nkey = \"node-1.key\"\n\
                  authority = \"authority.pem\"\n[log]\nfilter = \"error\"\n";
    fs::write(folder.join("fulmar.toml"), config).unwrap();
    let serve = ["serve", "--dev", "--data", "data", "--config", "fulmar.toml", "--listen", "127.0.0.1:0"];
    let mut command = fulmar(&serve);
    let outcome = run(command.args(["--admin", "127.0.0.1:0"]).current_dir(folder));
    let line = outcome.failed(1);
    assert!(line.contains("embedded") && line.contains("foundationdb"), "{line}");
    assert!(!folder.join("data/store").exists(), "no store is made for it");
}
