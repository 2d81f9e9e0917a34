//! The dependency audit, by cargo-deny: licences, duplicates, sources, advisories (`deny.toml`).
//!
//! cargo-deny is taken from the machine when recent enough, else built once into the folder for
//! outputs. Advisories need a database from the network; where it cannot be reached that part is
//! skipped loudly, or fails when `FULMAR_REQUIRE_ADVISORIES=1`.

use std::env;
use std::process::Stdio;

use crate::workplace::{Failure, Outcome, Workplace, run};

const DENY_VERSION: &str = "0.20.2";
/// The oldest that reads `deny.toml` as it is written.
const DENY_VERSION_MIN: Version = (0, 18);
const REQUIRE_VARIABLE: &str = "FULMAR_REQUIRE_ADVISORIES";

/// Major and minor number.
type Version = (u32, u32);

/// Runs the whole audit.
pub(crate) fn check(workplace: &Workplace) -> Result<Outcome, Failure> {
    let deny = find_or_build(workplace)?;
    let quiet_graph = "--hide-inclusion-graph";
    run(&mut workplace.command(&deny, &["--locked", "check", quiet_graph, "licenses", "bans", "sources"]))?;
    let fetched = workplace
        .command(&deny, &["fetch", "db"])
        // A network that swallows packets must not hold the audit up for ever.
        .env("GIT_HTTP_LOW_SPEED_LIMIT", "1")
        .env("GIT_HTTP_LOW_SPEED_TIME", "30")
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("cannot start {deny}: {error}"))?;
    if !fetched.success() {
        let required = env::var(REQUIRE_VARIABLE).is_ok_and(|value| value == "1");
        return if required {
            Err(format!("the advisory database is unreachable, and {REQUIRE_VARIABLE}=1 asks for it"))
        } else {
            workplace.skip("advisory database unreachable: dependencies were not checked for known faults")
        };
    }
    run(&mut workplace.command(&deny, &["--locked", "check", quiet_graph, "advisories"]))?;
    Ok(Outcome::Passed)
}

/// The program to run: the machine's own, or the one built before, or one built now.
fn find_or_build(workplace: &Workplace) -> Result<String, Failure> {
    let tools = workplace.target.join("tools");
    let built = tools.join("bin/cargo-deny").to_string_lossy().into_owned();
    for program in ["cargo-deny", &built] {
        if version_of(workplace, program).is_some_and(|version| version >= DENY_VERSION_MIN) {
            return Ok(program.to_owned());
        }
    }
    println!("cargo-deny is not installed here; building it takes a minute or two, once.");
    let tools = tools.to_string_lossy();
    // Unoptimised it builds in a third of the time, and still checks the tree in two seconds.
    let arguments =
        ["install", "--locked", "--debug", "cargo-deny", "--version", DENY_VERSION, "--root", &tools];
    // In a folder of its own that cargo removes afterwards.
    run(workplace.command("cargo", &arguments).env_remove("CARGO_TARGET_DIR"))?;
    Ok(built)
}

fn version_of(workplace: &Workplace, program: &str) -> Option<Version> {
    let output = workplace.command(program, &["--version"]).output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// Reads `cargo-deny 0.20.2`.
fn parse_version(text: &str) -> Option<Version> {
    let mut numbers = text.trim().strip_prefix("cargo-deny ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(parse_version("cargo-deny 0.20.2\n"), Some((0, 20)));
        assert!(parse_version("cargo-deny 0.9.1").is_some_and(|old| old < DENY_VERSION_MIN));
        assert_eq!(parse_version("error: no such command"), None);
    }
}
