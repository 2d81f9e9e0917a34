//! What a run was made on: the machine, and the versions of what was measured.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::usage::kib;

/// Processor, cores, memory, kernel, and what the folder for temporary files is on: servers keep their stores there.
pub(crate) fn describe() -> Value {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = file("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    json!({
        "cpu": model.map_or("unknown", |(_, model)| model.trim()),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_bytes": kib(&file("/proc/meminfo"), "MemTotal:") * 1024,
        "kernel": file("/proc/sys/kernel/osrelease").trim(),
        "filesystem": filesystem(&file("/proc/mounts"), &std::env::temp_dir()),
    })
}

/// A line for whoever would take writes to memory for durable ones.
pub(crate) fn warning() -> Option<String> {
    let folder = std::env::temp_dir();
    let filesystem = filesystem(&fs::read_to_string("/proc/mounts").unwrap_or_default(), &folder);
    matches!(filesystem.as_str(), "tmpfs" | "ramfs").then(|| {
        format!(
            "{} is in memory ({filesystem}): nothing is durable there, and ratios to fdatasync mean nothing; \
             set TMPDIR to a folder on a disk",
            folder.display()
        )
    })
}

/// The kind of file system that a folder is on: that of the longest mount point above it.
fn filesystem(mounts: &str, folder: &Path) -> String {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = mounts.filter(|(mounted, _)| folder.starts_with(mounted));
    let closest = above.max_by_key(|(mounted, _)| mounted.len());
    closest.map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_on_what_is_mounted_closest_above_it() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmpdisk xfs rw 0 0\n";
        let on = |folder: &str| filesystem(mounts, Path::new(folder));
        assert_eq!(
            (on("/tmp/a").as_str(), on("/tmpdisk/a").as_str(), on("/var").as_str()),
            ("tmpfs", "xfs", "ext4")
        );
        assert_eq!(filesystem("", Path::new("/var")), "unknown");
    }
}
