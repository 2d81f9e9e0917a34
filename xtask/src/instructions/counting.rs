//! The counting: one build of the cases, then each in a process of its own under callgrind.
//!
//! A build of its own kind (`benches/hot-paths/counting.toml`): the workspace's crates optimised, over the dependencies that the
//! tests are built on. Callgrind counts inside one function only, so that starting, making ready and
//! ending are not in the count; what it wrote is kept, for `callgrind_annotate`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

use serde_json::Value;

use super::Counts;
use crate::workplace::{Failure, Workplace, shown};

const BENCHMARK: &str = "hot_paths";
const BUILD: [&str; 8] = [
    "build",
    // Of the whole workspace, so that dependencies have the features that the tests have them with.
    "--workspace",
    "--bench",
    BENCHMARK,
    "--locked",
    "--config",
    "benches/hot-paths/counting.toml",
    "--message-format=json-render-diagnostics",
];
/// A case, as the benchmark lists it.
struct Case {
    name: String,
    operations: u64,
    /// The function in which instructions are counted.
    within: String,
}

pub(super) fn has_valgrind(workplace: &Workplace) -> bool {
    let output = workplace.command("valgrind", &["--version"]).output();
    output.is_ok_and(|output| output.status.success())
}

/// The versions that counts depend on: the compiler and what it compiles for, the C library, valgrind.
pub(super) fn tools(workplace: &Workplace) -> Result<String, Failure> {
    let rustc = output_of(workplace, "rustc", &["-vV"])?;
    let version = rustc.lines().next().unwrap_or_default();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let library = output_of(workplace, "getconf", &["GNU_LIBC_VERSION"]);
    let library = library.unwrap_or_else(|_| "another C library".to_owned());
    let valgrind = output_of(workplace, "valgrind", &["--version"])?;
    Ok(format!("{version} for {host}, {}, {}", library.trim(), valgrind.trim()))
}

/// Where callgrind's files are kept.
pub(super) fn folder(workplace: &Workplace) -> PathBuf {
    workplace.target.join("instructions")
}

/// Counts the cases that are wanted, as many at once as the machine has cores.
pub(super) fn count(workplace: &Workplace, is_wanted: &dyn Fn(&str) -> bool) -> Result<Counts, Failure> {
    let program = build(workplace)?;
    let list = output_of(workplace, &program, &["list"])?;
    let cases = list.lines().map(parse_case).collect::<Result<Vec<_>, _>>()?;
    let cases: Vec<_> = cases.into_iter().filter(|case| is_wanted(&case.name)).collect();
    if cases.is_empty() {
        return Err(format!("there is no such case, but these:\n{list}"));
    }
    fs::create_dir_all(folder(workplace))
        .map_err(|error| format!("cannot make {}: {error}", folder(workplace).display()))?;
    let (waiting, counted) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    let next = || waiting.lock().ok()?.next();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = next() {
                    let count = count_one(workplace, &program, case);
                    if let Ok(mut counted) = counted.lock() {
                        counted.push(count.map(|count| (case.name.clone(), count)));
                    }
                }
            });
        }
    });
    counted.into_inner().map_err(|_| "counting was broken off".to_owned())?.into_iter().collect()
}

/// Builds the benchmark and gives its path.
fn build(workplace: &Workplace) -> Result<String, Failure> {
    let mut command = workplace.command("cargo", &BUILD);
    println!("$ {}", shown(&command));
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot start `{}`: {error}", shown(&command)))?;
    if !output.status.success() {
        return Err(format!("`{}` failed ({})", shown(&command), output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages.lines().find_map(executable);
    executable.ok_or_else(|| format!("`{}` made no {BENCHMARK}", shown(&command)))
}

/// The path of the benchmark, in the message of cargo's that has it.
fn executable(message: &str) -> Option<String> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_it = message.get("target")?.get("name")? == BENCHMARK;
    let executable = message.get("executable")?.as_str()?;
    is_it.then(|| executable.to_owned())
}

fn parse_case(line: &str) -> Result<Case, Failure> {
    let parsed = line.split_once(' ').and_then(|(name, rest)| {
        let (operations, within) = rest.split_once(' ')?;
        let operations = operations.parse().ok().filter(|operations| *operations > 0)?;
        Some(Case { name: name.to_owned(), operations, within: within.to_owned() })
    });
    parsed.ok_or_else(|| format!("{BENCHMARK} lists {line:?}, which is no case"))
}

/// Instructions of one operation.
fn count_one(workplace: &Workplace, program: &str, case: &Case) -> Result<u64, Failure> {
    let file = folder(workplace).join(format!("{}.out", case.name.replace('/', ".")));
    let to = format!("--callgrind-out-file={}", file.display());
    let counted = format!("--toggle-collect={}", case.within);
    let arguments =
        ["--quiet", "--tool=callgrind", "--collect-atstart=no", &counted, &to, program, "count", &case.name];
    output_of(workplace, "valgrind", &arguments)?;
    let total = total_in(&file)?;
    // An unknown name of a function gives nothing at all.
    if total < case.operations {
        return Err(format!(
            "{}: callgrind counted {total}: is there still a function {} of its own?",
            case.name, case.within
        ));
    }
    Ok((total + case.operations / 2) / case.operations)
}

fn total_in(file: &Path) -> Result<u64, Failure> {
    let text = fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let text = String::from_utf8_lossy(&text);
    parse_total(&text).ok_or_else(|| format!("{} has no total", file.display()))
}

/// Reads `totals: 1234`.
fn parse_total(text: &str) -> Option<u64> {
    text.lines().rev().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

/// What a command prints; what it prints when it fails is part of the failure.
fn output_of(workplace: &Workplace, program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let mut command = workplace.command(program, arguments);
    let output = command.output().map_err(|error| format!("cannot start `{}`: {error}", shown(&command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{}` failed ({})\n{}", shown(&command), output.status, said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        assert_eq!(parse_total("events: Ir\nfn=(1) a\n12 5\n\ntotals: 5\n"), Some(5));
        assert_eq!(parse_total("events: Ir\nsummary: 5\n"), None);
    }

    #[test]
    fn the_benchmark_is_found_among_the_messages() {
        let other = r#"{"reason":"compiler-artifact","target":{"name":"bytes"},"executable":null}"#;
        let it =
            r#"{"reason":"compiler-artifact","target":{"name":"hot_paths"},"executable":"/a/hot_paths-1"}"#;
        assert_eq!(executable(other), None);
        assert_eq!(executable(it).as_deref(), Some("/a/hot_paths-1"));
    }

    #[test]
    fn a_case_without_operations_is_refused() {
        assert!(parse_case("codec/a 10 f").is_ok_and(|case| case.name == "codec/a" && case.within == "f"));
        assert!(parse_case("codec/a 0 f").is_err());
        assert!(parse_case("codec/a 10").is_err());
    }
}
