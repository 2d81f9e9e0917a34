//! `fulmar-bench link` as people run it: what it says to bad input, that it passes on an exit code, and that nothing is
//! left of it however it ends.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use tokio::time::Instant;

/// How long anything may take before a test fails.
const WAIT: Duration = Duration::from_secs(20);

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-bench"));
    command.arg("link").args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    bench(arguments).output().unwrap()
}

/// What it said, and its exit code.
fn complaint(arguments: &[&str]) -> (String, Option<i32>) {
    let output = run(arguments);
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

/// Whether this machine can have a link; says so if not, where `cargo xtask` reads it too.
#[expect(clippy::print_stderr, reason = "a skip must be seen")]
fn has_links() -> bool {
    let (said, code) = complaint(&["--profile", "clean", "--quiet", "--", "true"]);
    if code == Some(0) {
        return true;
    }
    assert!(
        said.starts_with("fulmar-bench: ") && said.contains("needs") || said.contains("namespace"),
        "{said}"
    );
    let thread = std::thread::current();
    let line = format!("{}: no emulated link ({})", thread.name().unwrap_or("a test"), said.trim());
    eprintln!("SKIPPED: {line}");
    if let Some(path) = std::env::var_os("FULMAR_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        writeln!(file.unwrap(), "{line}").unwrap();
    }
    false
}

/// A link with programs at both ends that would run for an hour, and the client's first line.
fn long_session(mark: &str, script: &str) -> (Child, String) {
    let server = format!("sleep 3600.{mark} & sleep 3600.{mark}");
    let script = format!("sleep 3600.{mark} & {script}");
    let mut child = bench(&["--profile", "clean", "--quiet", "--server", &server, "--", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line)
}

/// Processes with this in their command line.
fn processes_with(mark: &str) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let has_mark = |path: &PathBuf| {
        std::fs::read(path.join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
    };
    processes.filter(has_mark).collect()
}

/// Waits until nothing of a session is left.
fn assert_all_gone(mark: &str) {
    let began = Instant::now();
    while !processes_with(mark).is_empty() {
        assert!(began.elapsed() < WAIT, "left over: {:?}", processes_with(mark));
        // A real wait: the kernel tells nobody when it has ended others' children.
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
    assert!(status.success());
}

#[test]
fn bad_input_is_refused_with_a_line_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("bad.trace");
    std::fs::write(&trace, "1\n5\n3\n").unwrap();
    let trace = trace.to_str().unwrap();
    for (arguments, code, parts) in [
        (vec!["--profile", "dial-up", "--", "true"], 2, vec!["dial-up", "uber-p50"]),
        (vec!["--profile", "lte"], 2, vec!["COMMAND"]),
        (vec!["--", "true"], 2, vec!["--profile"]),
        (vec!["--verify", "--", "true"], 2, vec!["--verify"]),
        (vec!["--profile", "lte", "--roam", "0", "--", "true"], 2, vec!["--roam", "0.001"]),
        (vec!["--profile", "lte", "--dark-every", "5", "--", "true"], 2, vec!["--dark-for"]),
        (vec!["--profile", "lte", "--", "no-such-program"], 1, vec!["no-such-program", "no such program"]),
        (
            vec!["--profile", "lte", "--trace", trace, "--", "true"],
            1,
            vec![trace, "line 3", "3 comes after 5"],
        ),
        (
            vec!["--profile", "lte", "--trace", "gone.trace", "--", "true"],
            1,
            vec!["gone.trace", "No such file"],
        ),
    ] {
        let (said, found) = complaint(&arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
    }
}

#[test]
fn the_exit_code_is_the_commands() {
    if !has_links() {
        return;
    }
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)] {
        assert_eq!(
            run(&["--profile", "clean", "--", "sh", "-c", script]).status.code(),
            Some(code),
            "{script}"
        );
    }
}

#[test]
fn both_commands_know_the_servers_address_and_only_quiet_is_quiet() {
    if !has_links() {
        return;
    }
    let output = run(&["--profile", "lte", "--", "sh", "-c", "echo $FULMAR_LINK_SERVER"]);
    assert_eq!(output.stdout, b"10.77.1.1\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("nothing to clean up"), "{said}");
    assert_eq!(run(&["--profile", "lte", "--quiet", "--", "true"]).stderr, b"");
}

#[test]
fn a_server_that_ends_early_is_told_of_and_the_command_goes_on() {
    if !has_links() {
        return;
    }
    let (said, code) = complaint(&["--profile", "clean", "--server", "exit 3", "--", "sleep", "1"]);
    assert!(said.contains("the server command has ended, with exit code 3"), "{said}");
    assert_eq!(code, Some(0));
}

#[test]
fn when_the_command_ends_nothing_it_started_is_left() {
    if !has_links() {
        return;
    }
    let (mut child, line) = long_session("101", "echo ready; exit 5");
    assert_eq!((line.as_str(), child.wait().unwrap().code()), ("ready\n", Some(5)));
    assert_all_gone("3600.101");
}

#[test]
fn a_signal_ends_the_session_and_all_in_it() {
    if !has_links() {
        return;
    }
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let (mut child, line) = long_session("102", "echo ready; sleep 3600.102");
        assert_eq!(line, "ready\n");
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{name}");
        assert_all_gone("3600.102");
    }
}

#[test]
fn a_command_that_does_not_want_to_end_is_killed() {
    if !has_links() {
        return;
    }
    let (mut child, _) = long_session("103", "trap '' INT TERM; echo ready; while :; do sleep 0.103; done");
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_all_gone("3600.103");
}

#[test]
fn a_command_may_end_in_its_own_way_when_asked_to() {
    if !has_links() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidy");
    let script = format!(
        "trap 'echo done > {}; exit 0' TERM; echo ready; while :; do sleep 0.1; done",
        file.display()
    );
    let (mut child, _) = long_session("104", &script);
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "done\n");
}

#[test]
fn nothing_is_left_of_a_link_that_is_killed() {
    if !has_links() {
        return;
    }
    let namespaces = || -> String {
        let listing = Command::new("ip").args(["-o", "link"]).output().unwrap();
        let names = Command::new("ip").arg("netns").output().unwrap();
        String::from_utf8(listing.stdout).unwrap() + &String::from_utf8(names.stdout).unwrap()
    };
    let before = namespaces();
    let (mut child, _) = long_session("105", "setsid sleep 3600.105 & echo ready; sleep 3600.105");
    assert!(processes_with("3600.105").len() >= 5, "programs and what they started are there");
    assert_eq!(namespaces(), before, "nothing of it is to be seen from here");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_all_gone("3600.105");
    assert_eq!(namespaces(), before);
}

#[test]
fn the_check_says_in_json_what_was_asked_and_what_was_measured() {
    if !has_links() {
        return;
    }
    let output = run(&["--verify", "--profile", "lossy-7", "--seconds", "5", "--json", "-"]);
    let results: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // How exact it is depends on what else runs here; the exit code says what the results say.
    let is_within = results["within"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(if is_within { 0 } else { 1 }));
    let profile = &results["profiles"][0];
    assert_eq!(profile["name"], "lossy-7");
    for way in ["up", "down"] {
        let figures = ["delay_p50_ms", "jitter_p95_ms", "loss_percent", "burst_packets", "rate_kbit_per_s"];
        for figure in figures.into_iter().chain(["added_us_p50", "added_us_p99", "other_fate_percent"]) {
            for part in ["asked", "measured", "tolerance"] {
                assert!(profile[way][figure][part].is_f64(), "{way} {figure} {part}: {results}");
            }
            assert!(profile[way][figure]["within"].is_boolean());
        }
        assert!((6.0..8.0).contains(&profile[way]["loss_percent"]["asked"].as_f64().unwrap()), "{results}");
    }
}
