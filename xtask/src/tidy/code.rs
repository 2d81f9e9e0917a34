//! Rules about single lines: the `//!` opening, stubs, unbounded queues, glob re-exports, ignored
//! tests without a reason, real sleeps in tests, paths of one machine.

use super::tree::SourceFile;
use super::{Finding, Tree};

/// A comment that excuses a real wait in a test, on the line or one of the two before it.
const SLEEP_EXCUSE: &str = "// A real wait: ";

/// Runs the rules over every file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.files().filter(|file| file.is_rust());
    rust.flat_map(check_rust).chain(tree.files().flat_map(machine_paths)).collect()
}

fn check_rust(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.text.starts_with("//!") {
        findings.push(Finding::at(
            &file.path,
            1,
            "does not open with `//!`: its job, its invariants, what is absent",
        ));
    }
    for (number, line) in file.code_lines() {
        let mut found = |message: &str| findings.push(Finding::at(&file.path, number, message));
        for stub in ["todo!", "unimplemented!", "dbg!"] {
            if has_word(line, stub) {
                found(&format!("`{stub}` is left"));
            }
        }
        if has_word(line, "unbounded_channel") || line.contains("mpsc::unbounded") {
            found("a queue without a bound");
        }
        if line.trim_start().starts_with("pub use ") && line.contains("::*") {
            found("a glob re-export: name what is exported");
        }
        if line.contains("#[ignore") && !line.contains("#[ignore = ") {
            found("`#[ignore]` without a reason");
        }
        let sleeps = line.contains("thread::sleep(")
            || line.contains("time::sleep(") && !runs_on_simulated_time(&file.path);
        if sleeps && file.is_test_line(number) && !is_excused(file, number) {
            found("a real sleep in a test: wait for the event, or pause the clock");
        }
    }
    findings
}

/// Whether `word` stands in the line and is not the end of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.split_at(at).0.chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

/// What runs in a simulated world, whose clock is paused: tokio's sleep is how its time passes. A thread's
/// sleep is real even there.
fn runs_on_simulated_time(path: &str) -> bool {
    path.starts_with("interop-tests/src/simulation/") || path.starts_with("interop-tests/tests/simulation/")
}

fn is_excused(file: &SourceFile, number: usize) -> bool {
    let near = number.saturating_sub(2)..=number;
    file.lines().any(|(at, line)| near.contains(&at) && line.contains(SLEEP_EXCUSE))
}

/// Folders that exist on somebody's machine only. Written apart, so that this file holds none.
const MACHINE_FOLDERS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];

fn machine_paths(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        let starts = MACHINE_FOLDERS.iter().any(|folder| {
            line.match_indices(folder).any(|(at, _)| {
                let before = line.split_at(at).0.chars().next_back();
                !before.is_some_and(|letter| {
                    letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_' | '}' | '~' | '*')
                })
            })
        });
        if starts {
            findings.push(Finding::at(&file.path, number, "a path of one machine"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn each_rule_finds_its_line() {
        for (line, part) in [
            ("fn a() { todo!() }", "`todo!` is left"),
            ("fn a() { unimplemented!() }", "`unimplemented!` is left"),
            ("let a = dbg!(b);", "`dbg!` is left"),
            ("let (a, b) = mpsc::unbounded_channel();", "without a bound"),
            ("pub use a::*;", "glob re-export"),
            ("#[ignore]", "without a reason"),
            ("thread::sleep(a);", "a real sleep"),
            ("tokio::time::sleep(a).await;", "a real sleep"),
        ] {
            let found = findings("a/tests/b.rs", &format!("//! x\n{line}\n"));
            assert!(found.len() == 1 && found[0].contains(part), "{line}: {found:?}");
        }
        let simulated = "interop-tests/src/simulation/a.rs";
        assert_eq!(findings(simulated, "//! x\ntokio::time::sleep(a).await;\n"), [""; 0]);
        assert_eq!(findings(simulated, "//! x\nthread::sleep(a);\n").len(), 1);
        let found = findings("a/src/b.rs", "// x\nfn a() {}\n");
        assert!(found.len() == 1 && found[0].contains("does not open"), "{found:?}");
    }

    #[test]
    fn prose_literals_and_reasons_are_no_findings() {
        for text in [
            "//! Says todo!() and unbounded_channel.\nconst A: &str = \"dbg!(x)\";\n",
            "//! x\n#[ignore = \"needs a second machine\"]\n",
            "//! x\nlet todos = my_todo!();\n",
            "//! x\n// A real wait: the kernel gives no event for this.\nthread::sleep(a);\n",
            "//! x\npub use a::{B, C};\n",
        ] {
            assert!(findings("a/tests/b.rs", text).is_empty(), "{text}");
        }
        assert!(findings("a/src/b.rs", "//! x\nthread::sleep(a);\n").is_empty());
    }

    #[test]
    fn paths_of_one_machine_are_found_in_every_file() {
        let path = format!("see {}alice/fulmar", MACHINE_FOLDERS[0]);
        assert_eq!(findings("docs/a.md", &path), ["a path of one machine"]);
        assert!(findings("docs/a.md", &format!("see target{}", MACHINE_FOLDERS[3])).is_empty());
    }
}
