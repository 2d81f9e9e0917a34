//! What a run was made on: the machine, and the versions of what was measured.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::usage::kib;

/// Processor, cores, memory, kernel.
pub(crate) fn describe() -> Value {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = file("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    json!({
        "cpu": model.map_or("unknown", |(_, model)| model.trim()),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_bytes": kib(&file("/proc/meminfo"), "MemTotal:") * 1024,
        "kernel": file("/proc/sys/kernel/osrelease").trim(),
    })
}

/// The versions of Fulmar and of this tool; peers tell their own.
pub(crate) fn versions() -> Value {
    let build = if cfg!(debug_assertions) { "debug: figures mean nothing" } else { "release" };
    json!({ "fulmar": env!("CARGO_PKG_VERSION"), "build": build })
}

/// The commit of the source tree that this was built from, with `-dirty` where it was changed since. `unknown` where
/// there is no such tree any more.
pub(crate) fn commit() -> String {
    let mut git = Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--abbrev=12"]);
    let output = git.output().ok().filter(|output| output.status.success());
    output
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| "unknown".to_owned(), |commit| commit.trim().to_owned())
}

/// What this was called with, as it would be typed, without where the JSON goes.
pub(crate) fn command() -> String {
    let mut words = vec!["fulmar-bench".to_owned()];
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => drop(arguments.next()),
            json if json.starts_with("--json=") => {}
            _ => words.push(argument),
        }
    }
    words.join(" ")
}

/// Memory that a program may still take, in bytes.
pub(crate) fn memory_available_bytes() -> u64 {
    kib(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable:") * 1024
}
