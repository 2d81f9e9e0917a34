//! Files under 400 lines, functions under 70, inline tests under 100.
//!
//! A function is found by its first line and by the closing brace at the same depth of indentation,
//! which `cargo fmt` guarantees. What is longer stands in the allow-list or is a finding.

use super::allow_list::{ALLOW_LIST, AllowList, Allowed};
use super::tree::{SourceFile, indent};
use super::{Finding, Tree};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const INLINE_TEST_LINES_MAX: usize = 100;

/// Something that has a length.
#[derive(Debug, PartialEq, Eq)]
struct Measured<'t> {
    path: &'t str,
    function: Option<&'t str>,
    line: usize,
    lines: usize,
}

impl Measured<'_> {
    fn limit(&self) -> usize {
        if self.function.is_some() { FUNCTION_LINES_MAX } else { FILE_LINES_MAX }
    }

    fn is(&self, allowed: &Allowed) -> bool {
        self.path == allowed.path && self.function == allowed.function.as_deref()
    }

    fn name(&self) -> String {
        self.function.map_or_else(|| "the file".to_owned(), |name| format!("fn {name}"))
    }
}

/// Compares every size with its limit and the allow-list with what is needed.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let list = match AllowList::of(tree) {
        Ok(list) => list,
        Err(error) => return vec![Finding::at(ALLOW_LIST, 1, error)],
    };
    let mut findings = Vec::new();
    let mut too_long = Vec::new();
    for file in tree.files().filter(|file| file.is_rust()) {
        too_long.extend(measure(file).into_iter().filter(|measured| measured.lines > measured.limit()));
        findings.extend(long_inline_tests(file));
    }
    for measured in &too_long {
        let allowed = list.allowed.iter().filter(|allowed| measured.is(allowed)).map(|allowed| allowed.lines);
        if measured.lines > allowed.max().unwrap_or(0) {
            let message =
                format!("{} has {} lines, over {}", measured.name(), measured.lines, measured.limit());
            findings.push(Finding::at(measured.path, measured.line, message));
        }
    }
    findings.extend(list.allowed.iter().filter_map(|allowed| not_needed(allowed, &too_long)));
    findings
}

/// An entry of the list that allows more than is there.
fn not_needed(allowed: &Allowed, too_long: &[Measured<'_>]) -> Option<Finding> {
    let name = allowed.function.as_deref().unwrap_or("the file");
    let needed = too_long.iter().filter(|measured| measured.is(allowed)).map(|measured| measured.lines).max();
    let message = match needed {
        None => format!("{name} in {} needs no entry any more", allowed.path),
        Some(lines) if lines < allowed.lines => {
            format!("{name} in {} has {lines} lines now: lower its entry", allowed.path)
        }
        Some(_) if allowed.reason.trim().is_empty() => format!("{name} in {} has no reason", allowed.path),
        Some(_) => return None,
    };
    Some(Finding::at(ALLOW_LIST, 1, message))
}

fn measure(file: &SourceFile) -> Vec<Measured<'_>> {
    let whole = Measured { path: &file.path, function: None, line: 1, lines: file.text.lines().count() };
    let lines: Vec<_> = file.code_lines().collect();
    let functions = lines.iter().enumerate().filter_map(|(at, (first, line))| {
        let name = function_name(line)?;
        let rest = || lines.iter().skip(at);
        let (opened, opening) = rest().find(|(_, line)| line.trim_end().ends_with(['{', '}', ';']))?;
        let last = if opening.trim_end().ends_with('{') {
            let close = format!("{}}}", indent(line));
            rest().find(|(_, line)| line.trim_end() == close)?.0
        } else {
            *opened
        };
        Some(Measured { path: &file.path, function: Some(name), line: *first, lines: last - first + 1 })
    });
    std::iter::once(whole).chain(functions).collect()
}

/// The name, where a line begins a function.
fn function_name(line: &str) -> Option<&str> {
    let (qualifiers, rest) = line.trim_start().split_once("fn ")?;
    let qualified = qualifiers.split_whitespace().all(|word| {
        matches!(word, "pub" | "async" | "const" | "unsafe" | "extern" | "\"\"" | "\" \"")
            || word.starts_with("pub(")
            || matches!(word, "super)" | "crate)")
    });
    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    let (name, _) = rest.split_at(end);
    (qualified && !name.is_empty()).then_some(name)
}

fn long_inline_tests(file: &SourceFile) -> impl Iterator<Item = Finding> {
    let long = file.inline_tests().iter().map(|(first, last)| (first, last - first + 1));
    long.filter(|(_, lines)| *lines > INLINE_TEST_LINES_MAX).map(|(first, lines)| {
        let message =
            format!("inline tests have {lines} lines, over {INLINE_TEST_LINES_MAX}: move them to tests.rs");
        Finding::at(&file.path, *first, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> String {
        format!(
            "//! x\nimpl A {{\n    pub(crate) fn long(\n        &self,\n    ) {{\n{}    }}\n}}\n",
            "\n".repeat(lines - 4)
        )
    }

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_long_function_is_found_and_one_at_the_limit_is_not() {
        let long = function_of(FUNCTION_LINES_MAX + 1);
        assert_eq!(messages(&[("a.rs", &long)]), ["a.rs:3: fn long has 71 lines, over 70"]);
        assert!(messages(&[("a.rs", &function_of(FUNCTION_LINES_MAX))]).is_empty());
    }

    #[test]
    fn a_long_file_is_found() {
        let long = format!("//! x\n{}", "//\n".repeat(FILE_LINES_MAX));
        assert_eq!(messages(&[("a.rs", &long)]), ["a.rs:1: the file has 401 lines, over 400"]);
    }

    #[test]
    fn signatures_without_a_body_have_no_length() {
        let text = "trait A {\n    fn a(&self);\n    fn b() {}\n}\n".to_owned() + &"//\n".repeat(200);
        assert!(messages(&[("a.rs", &text)]).is_empty());
    }

    #[test]
    fn the_allow_list_may_only_shrink() {
        let long = function_of(80);
        let entry = |lines: usize| {
            format!(
                "[[allowed]]\npath = \"a.rs\"\nfunction = \"long\"\nlines = {lines}\nreason = \"one table\"\n"
            )
        };
        let found = |source: &str, lines| messages(&[("a.rs", source), (ALLOW_LIST, &entry(lines))]);
        assert!(found(&long, 80).is_empty());
        assert_eq!(found(&long, 79), ["a.rs:3: fn long has 80 lines, over 70"]);
        assert_eq!(
            found(&long, 81),
            [format!("{ALLOW_LIST}:1: long in a.rs has 80 lines now: lower its entry")]
        );
        let short = function_of(10);
        assert_eq!(found(&short, 80), [format!("{ALLOW_LIST}:1: long in a.rs needs no entry any more")]);
    }

    #[test]
    fn long_inline_tests_are_found() {
        let text = format!("//! x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(98));
        assert_eq!(
            messages(&[("a.rs", &text)]),
            ["a.rs:2: inline tests have 101 lines, over 100: move them to tests.rs"]
        );
    }
}
