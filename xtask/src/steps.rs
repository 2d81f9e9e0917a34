//! The one list of steps that people and CI run, and the loop that runs them.
//!
//! Every step is announced and timed. A failing one does not stop the others, so that one run shows
//! everything there is to mend; the summary at the end names the command that failed.

use std::time::{Duration, Instant};

use crate::workplace::{Failure, Outcome, Workplace, run};
use crate::{audit, foundationdb, instructions, test_run, tidy};

/// One check: its name and what it does.
pub(crate) struct Step {
    name: &'static str,
    run: fn(&Workplace) -> Result<Outcome, Failure>,
}

const FORMAT: Step = Step { name: "format", run: |workplace| workplace.cargo(&["fmt", "--all", "--check"]) };
/// The house rules that need no compiler.
pub(crate) const TIDY: Step = Step { name: "tidy", run: tidy::check };
const CLIPPY: Step = Step {
    name: "clippy",
    run: |workplace| {
        workplace.cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
    },
};
/// The clients of other systems in `benches`, which no other step compiles.
const PEERS: Step = Step {
    name: "peers",
    run: |workplace| {
        let chosen = ["--package", "fulmar-benches", "--features", "peers", "--all-targets", "--locked"];
        workplace.cargo(&[&["clippy"], chosen.as_slice(), &["--", "-D", "warnings"]].concat())
    },
};
/// What the feature of that name adds.
const FOUNDATIONDB: Step = Step { name: "fdb", run: foundationdb::check };
const DOCS: Step = Step {
    name: "docs",
    run: |workplace| {
        let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
        run(workplace.command("cargo", &arguments).env("RUSTDOCFLAGS", "-D warnings"))?;
        Ok(Outcome::Passed)
    },
};
const WASM: Step = Step { name: "wasm32", run: check_protocol_for_wasm };
/// The dependency audit.
pub(crate) const AUDIT: Step = Step { name: "audit", run: audit::check };
const TESTS: Step = Step { name: "tests", run: test_run::run_all };
/// After the tests, whose dependencies it is built on.
const INSTRUCTIONS: Step = Step { name: "counts", run: instructions::check };

/// Everything but the tests, the quick ones first.
pub(crate) const CHECK: &[Step] = &[FORMAT, TIDY, CLIPPY, PEERS, FOUNDATIONDB, DOCS, WASM, AUDIT];
/// Every test of the workspace, and what the hot paths cost.
pub(crate) const TEST: &[Step] = &[TESTS, INSTRUCTIONS];
/// Both.
pub(crate) const CI: &[Step] =
    &[FORMAT, TIDY, CLIPPY, PEERS, FOUNDATIONDB, DOCS, WASM, AUDIT, TESTS, INSTRUCTIONS];

const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The protocol crate has no sockets, runtime, clock or randomness; a target without any proves it.
fn check_protocol_for_wasm(workplace: &Workplace) -> Result<Outcome, Failure> {
    let arguments = ["--print", "target-libdir", "--target", WASM_TARGET];
    let output = workplace
        .command("rustc", &arguments)
        .output()
        .map_err(|error| format!("cannot start rustc: {error}"))?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !std::path::Path::new(folder.trim()).is_dir() {
        return workplace
            .skip("fulmar-protocol for wasm32: the target is not installed (rustup target add wasm32-unknown-unknown)");
    }
    workplace.cargo(&["check", "--package", "fulmar-protocol", "--target", WASM_TARGET, "--locked"])
}

/// Runs the steps in order, prints a summary, and fails when one of them failed.
pub(crate) fn run_steps(workplace: &Workplace, steps: &[Step]) -> Result<(), Failure> {
    let mut summary = Vec::new();
    let mut failed = Vec::new();
    for step in steps {
        println!("\n== {} ==", step.name);
        let started = now();
        let outcome = (step.run)(workplace);
        let word = match &outcome {
            Ok(Outcome::Passed) => "ok",
            Ok(Outcome::Skipped) => "SKIPPED",
            Err(_) => "FAILED",
        };
        summary.push(summary_line(step.name, word, started.elapsed()));
        if let Err(failure) = outcome {
            eprintln!("{}: {failure}", step.name);
            failed.push(format!("{}: {failure}", step.name));
        }
    }
    println!("\n{}", summary.join("\n"));
    let (counted, named): (Vec<_>, Vec<_>) =
        workplace.skipped().into_iter().partition(|line| line.starts_with("SKIPPED "));
    for line in named {
        println!("SKIPPED: {line}");
    }
    // Last, so that nobody overlooks it.
    for line in counted {
        println!("{line}");
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed\n  {}", failed.join("\n  "))) }
}

fn summary_line(name: &str, word: &str, took: Duration) -> String {
    format!("{name:<8} {word:<8} {:>7.1} s", took.as_secs_f64())
}

#[expect(clippy::disallowed_methods, reason = "how long a step took is read by a person, not tested")]
fn now() -> Instant {
    Instant::now()
}
