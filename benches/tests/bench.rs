//! The real program, run as people run it: what its report holds, that its latencies are honest, and that it leaves
//! nothing behind however it ends.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "tests fail by panicking; whole numbers compare exactly"
)]

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The program, with a folder of its own for whatever it writes meanwhile.
fn bench(temporary: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-bench"));
    command.args(arguments.split_whitespace()).env("TMPDIR", temporary);
    command
}

fn output(arguments: &str) -> Output {
    let temporary = tempfile::tempdir().unwrap();
    let output = bench(temporary.path(), arguments).output().unwrap();
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "{arguments}: something was left behind");
    output
}

/// The report of a run that succeeds.
fn report(arguments: &str) -> Value {
    let output = output(&format!("{arguments} --json -"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The one line of a run that fails.
fn failure(arguments: &str) -> String {
    let output = output(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments}");
    one_line(&output.stderr)
}

fn one_line(stderr: &[u8]) -> String {
    let complaint = String::from_utf8_lossy(stderr).trim_end().to_owned();
    assert!(complaint.starts_with("fulmar-bench: ") && !complaint.contains('\n'), "{complaint:?}");
    complaint
}

fn number(report: &Value, name: &str) -> f64 {
    report[name].as_f64().unwrap_or_else(|| panic!("no number {name} in {report:#}"))
}

/// The load is open: a message counts from when it was due, so those that were due while the server stood still for a
/// second are late by up to that second. They are a third of all, so p99 must be near a second. Both bounds are so
/// far from the other case that only a machine that stands still by itself would confuse them; and since such a
/// machine can only make the quiet run look worse, the best of three of those counts.
#[test]
fn a_server_that_stands_still_makes_late_whatever_was_due_meanwhile() {
    let load = "latency --messages 600 --rate 200 --runs 1";
    let late_us = 500_000.0;
    let stalled = report(&format!("{load} --stall 1000"));
    assert!(number(&stalled, "p99_us") > late_us, "{stalled:#}");
    assert!(number(&stalled, "accepted_p99_us") > late_us, "{stalled:#}");
    assert_eq!(number(&stalled, "missing"), 0.0, "late, not lost: {stalled:#}");
    let quiet: Vec<_> =
        (0..3).map(|_| number(&report(load), "p99_us")).take_while(|p99| *p99 > late_us).collect();
    assert!(quiet.len() < 3, "p99 without a stall: {quiet:?} us");
}

#[test]
fn every_report_says_what_it_was_made_on_and_with() {
    let report = report("latency --messages 50 --rate 200 --runs 2 --seed 7");
    assert_eq!(report["workload"], "latency");
    assert_eq!((number(&report, "seed"), number(&report, "runs")), (7.0, 2.0));
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0 && report["machine"]["kernel"].is_string());
    assert!(report["commit"].is_string() && report["versions"]["fulmar"].is_string());
    assert_eq!(report["arguments"]["bytes"], 200);
    assert_eq!(report["promises"]["durable"], true);
    for name in ["p50_us", "p99_us", "ratio_p50", "ratio_p99", "server_cpu_us_per_message"] {
        let spread = report["spread"][name].as_array().unwrap();
        let (least, greatest) = (spread[0].as_f64().unwrap(), spread[1].as_f64().unwrap());
        assert!((least..=greatest).contains(&number(&report, name)), "{name}: {report:#}");
    }
    for floor in ["echo", "fdatasync"] {
        assert!(number(&report["floors"][floor], "p50_us") > 0.0, "{report:#}");
    }
}

/// A run of each workload, as small as it may be, and the figures that readers of its report rely on.
#[test]
fn every_workload_gives_its_figures() {
    for (arguments, figures) in [
        (
            "throughput --senders 4 --conversations 3 --seconds 1",
            "messages_per_s ratio_relay ratio_store server_cpu_us_per_message server_cpu_us_per_copy",
        ),
        ("throughput --senders 1 --conversations 1 --window 16 --seconds 1", "messages_per_s ratio_relay"),
        (
            "fanout --members 3,20 --online 12",
            "members online deliveries_per_s ratio_broadcast server_cpu_us_per_message server_switches_per_message",
        ),
        (
            "connections --sessions 40 --seconds 1",
            "sessions rss_per_session_bytes server_cpu_us_per_session_second server_cpu_us_per_connect",
        ),
        ("connect --clients 4 --seconds 1", "full_per_s resumed_per_s ratio_raw ratio_raw_resumed"),
        ("storm --clients 8", "half_back_ms all_back_ms ratio_raw"),
        ("catchup --messages 60 --conversations 3", "messages_per_s catchup_ms ratio_push ratio_store"),
        ("lossy --profile none --conversations 3 --seconds 2", "p50_us p95_us p99_us ratio_p99 missing"),
        ("roam --profile none --conversations 3 --seconds 3 --every 1", "p50_us p99_us ratio_p99 missing"),
        (
            "mixed --users 4 --seconds 1",
            "p99_us p99_quiet_us ratio_p99_quiet server_cpu_us_per_message presence_and_typing_told_per_s",
        ),
    ] {
        let report = report(&format!("{arguments} --runs 1"));
        for name in figures.split_whitespace() {
            assert!(number(&report, name).is_finite(), "{arguments}: {name}");
        }
        assert!(report["floors"].as_object().is_some_and(|floors| !floors.is_empty()), "{arguments}");
        if arguments.starts_with("fanout") {
            assert_eq!((number(&report, "members"), number(&report, "online")), (20.0, 12.0));
            assert_eq!(report["steps"].as_array().unwrap().len(), 2, "{report:#}");
        }
        if arguments.contains("--profile") {
            assert_eq!((report["profile"].as_str(), number(&report, "missing")), (Some("none"), 0.0));
        }
    }
}

#[test]
fn what_cannot_be_measured_is_refused_in_one_line() {
    let line = failure("throughput --senders 3 --conversations 4");
    assert!(line.contains("at most 3 direct conversations") && line.contains("--senders"), "{line}");
    let line = failure("catchup --messages 10 --conversations 20");
    assert!(line.contains("--messages or --conversations"), "{line}");
    let line = failure("latency --peers pigeon");
    assert!(line.contains("no peer \"pigeon\""), "{line}");
    let line = failure("lossy --profile nowhere --runs 1");
    assert!(line.contains("nowhere"), "{line}");
    let line = failure("latency --messages 10 --rate 100 --runs 1 --json /nowhere/report.json");
    assert!(line.contains("cannot write /nowhere/report.json"), "{line}");
}

#[test]
fn usage_is_refused_with_its_own_exit_code() {
    for arguments in
        ["latency --bytes 3", "fanout --members 0", "connections --sessions 0", "latency --runs 0", "idle"]
    {
        assert_eq!(output(arguments).status.code(), Some(2), "{arguments}");
    }
}

/// A run that goes on until it is ended.
struct Endless {
    child: Child,
    temporary: tempfile::TempDir,
}

impl Endless {
    fn begin() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let load = "throughput --senders 2 --conversations 1 --seconds 600 --json report.json";
        let mut command = bench(temporary.path(), load);
        command.current_dir(temporary.path()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap(), temporary }
    }

    /// The server's process, once it has opened its store.
    fn server(&mut self) -> Pid {
        loop {
            assert!(self.child.try_wait().unwrap().is_none(), "the run ended by itself");
            let folders = fs::read_dir(self.temporary.path()).unwrap().flatten();
            let opened = folders.map(|folder| folder.path()).any(|folder| folder.join("store").is_dir());
            if let (true, [server]) = (opened, servers(self.temporary.path()).as_slice()) {
                return *server;
            }
            thread::yield_now();
        }
    }

    /// How it ended and what it said, once nothing is left of it.
    fn ended(self) -> (ExitStatus, String) {
        let output = self.child.wait_with_output().unwrap();
        assert_eq!(servers(self.temporary.path()), [], "a server goes on");
        let left: Vec<_> =
            fs::read_dir(self.temporary.path()).unwrap().flatten().map(|left| left.path()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        (output.status, one_line(&output.stderr))
    }
}

/// Processes that were started with something in this folder.
fn servers(folder: &Path) -> Vec<Pid> {
    let folder = folder.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|id| {
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(folder)
    })
    .filter_map(Pid::from_raw)
    .collect()
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut run = Endless::begin();
        run.server();
        kill_process(Pid::from_child(&run.child), signal).unwrap();
        let (status, line) = run.ended();
        assert_eq!(status.code(), Some(1), "{line}");
        assert!(line.contains("interrupted: nothing was written"), "{line}");
    }
}

#[test]
fn a_server_that_dies_ends_the_run_in_one_line() {
    let mut run = Endless::begin();
    let server = run.server();
    kill_process(server, Signal::KILL).unwrap();
    let (status, line) = run.ended();
    assert_eq!(status.code(), Some(1), "{line}");
    assert!(line.contains("the server's process ended before its time"), "{line}");
}

/// Not even a run that had no chance to clean up leaves a server behind.
#[test]
fn a_server_does_not_outlive_a_run_that_was_killed() {
    let mut run = Endless::begin();
    run.server();
    run.child.kill().unwrap();
    let status = run.child.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    while !servers(run.temporary.path()).is_empty() {
        thread::yield_now();
    }
}
