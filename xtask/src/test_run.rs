//! Runs every test of the workspace with plain `cargo test`, which needs nothing but Rust.
//!
//! The output passes through as it comes; its result lines are added up into one closing line. Tests
//! that are ignored are named among what was skipped. A run in which no test passed is a failure.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::foundationdb;
use crate::workplace::{Failure, Outcome, Workplace, shown};

/// What the result lines of all test binaries add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: Vec<String>,
}

impl Totals {
    /// Takes in one line of `cargo test`.
    fn take_in(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += count_before(result, " passed");
            self.failed += count_before(result, " failed");
        } else if let Some((name, state)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
            && let Some(reason) = state.strip_prefix("ignored")
        {
            self.ignored.push(format!("test {name} is ignored{reason}"));
        }
    }

    fn closing_line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.ignored.len())
    }
}

/// The number that stands directly before `word`.
fn count_before(line: &str, word: &str) -> u64 {
    let before = line.split(word).next().unwrap_or_default();
    let digits = before.rsplit(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

/// Runs unit, integration and documentation tests of every crate.
pub(crate) fn run_all(workplace: &Workplace) -> Result<Outcome, Failure> {
    let mut command = workplace.command("cargo", &["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.args(foundationdb::test_arguments()?);
    let shown = shown(&command);
    println!("$ {shown}");
    let cannot_start = |error| format!("cannot start `{shown}`: {error}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot_start)?;
    let mut totals = Totals::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.map_err(|error| format!("cannot read from `{shown}`: {error}"))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            totals.take_in(&line);
        }
    }
    let status = child.wait().map_err(|error| format!("`{shown}` was lost: {error}"))?;
    println!("\n{}", totals.closing_line());
    if let Some(line) = foundationdb::skipped_line(&mut totals.ignored) {
        workplace.skip(&line)?;
    }
    for ignored in &totals.ignored {
        workplace.skip(ignored)?;
    }
    match (status.success(), totals.passed) {
        (false, _) => Err(format!("`{shown}` failed ({status})")),
        (true, 0) => Err(format!("`{shown}` ran no test")),
        (true, _) => Ok(Outcome::Passed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_all_binaries_are_added_up() {
        let mut totals = Totals::default();
        for line in [
            "running 3 tests",
            "test a::b ... ok",
            "test a::c ... ignored, needs a second machine",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            totals.take_in(line);
        }
        assert_eq!(totals.closing_line(), "15 passed, 2 failed, 1 skipped");
        assert_eq!(totals.ignored, ["test a::c is ignored, needs a second machine"]);
    }

    #[test]
    fn a_run_without_results_counts_nothing() {
        let mut totals = Totals::default();
        totals.take_in("error: could not compile");
        assert_eq!(totals, Totals::default());
    }
}
