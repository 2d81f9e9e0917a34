//! Where the chores run: the repository, the folder for build outputs, the commands that are
//! started, and the record of what was skipped.
//!
//! A command that fails is reported as it could be typed. A skip is printed at once and written to
//! the file that `FULMAR_SKIPPED` names, so that whoever started several chores can print all of
//! them last; tests that cannot run on a machine append a line to the same file.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the file that collects what was skipped.
pub(crate) const SKIPPED_VARIABLE: &str = "FULMAR_SKIPPED";

/// Why a chore did not succeed, in a sentence for a person.
pub(crate) type Failure = String;

/// What became of a step that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran and found nothing wrong.
    Passed,
    /// It, or a part of it, could not run here.
    Skipped,
}

/// The repository and what a chore needs to know of its surroundings.
pub(crate) struct Workplace {
    /// The repository's root folder.
    pub(crate) root: PathBuf,
    /// Cargo's folder for outputs.
    pub(crate) target: PathBuf,
    skipped: PathBuf,
}

impl Workplace {
    /// Finds the repository from the variables that `cargo run` sets.
    pub(crate) fn find() -> Result<Self, Failure> {
        let manifest = env::var("CARGO_MANIFEST_DIR")
            .map_err(|_| "start it as `cargo xtask`, which tells where the repository is".to_owned())?;
        let root = Path::new(&manifest)
            .parent()
            .ok_or_else(|| format!("{manifest} has no folder above it"))?
            .to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let skipped = match env::var_os(SKIPPED_VARIABLE) {
            Some(file) => PathBuf::from(file),
            None => {
                let file = target.join("skipped.txt");
                fs::create_dir_all(&target)
                    .and_then(|()| fs::write(&file, ""))
                    .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
                file
            }
        };
        Ok(Self { root, target, skipped })
    }

    /// A command that starts in the repository's root and knows the record of skips.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root).env(SKIPPED_VARIABLE, &self.skipped);
        command
    }

    /// Runs cargo, its output going to the terminal.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Result<Outcome, Failure> {
        run(&mut self.command("cargo", arguments)).map(|()| Outcome::Passed)
    }

    /// Says, now and in the record, that something was not done.
    pub(crate) fn skip(&self, what: &str) -> Result<Outcome, Failure> {
        // What was counted says itself how much was skipped.
        if what.starts_with("SKIPPED ") {
            println!("{what}");
        } else {
            println!("SKIPPED: {what}");
        }
        let mut record = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.skipped)
            .map_err(|error| format!("cannot open {}: {error}", self.skipped.display()))?;
        writeln!(record, "{what}")
            .map_err(|error| format!("cannot write {}: {error}", self.skipped.display()))?;
        Ok(Outcome::Skipped)
    }

    /// What was skipped up to now, by chores and by tests.
    pub(crate) fn skipped(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.skipped).unwrap_or_default();
        text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
    }
}

/// Prints a command and runs it to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = shown(command);
    println!("$ {shown}");
    let status = command.status().map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed ({status})")) }
}

/// A command as it could be typed, without the folder of its program.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let variables = command.get_envs().filter_map(|(name, value)| {
        let (name, value) = (name.to_string_lossy(), value?.to_string_lossy());
        (name != SKIPPED_VARIABLE).then(|| format!("{name}='{value}'"))
    });
    let words =
        [program].into_iter().chain(command.get_args()).map(|word| word.to_string_lossy().into_owned());
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_could_be_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").env(SKIPPED_VARIABLE, "x");
        assert_eq!(shown(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }

    #[test]
    fn a_command_that_fails_is_named() {
        let failure = run(&mut Command::new("false")).expect_err("false fails");
        assert!(failure.contains("`false` failed"), "{failure}");
    }
}
