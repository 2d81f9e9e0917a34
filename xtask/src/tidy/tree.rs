//! The files of the repository: what git tracks, and what it would offer to track.
//!
//! Rust files carry a second text beside their own, with comments and literals blanked out
//! (`mask.rs`), so that a rule about code does not stumble over prose.

use std::collections::BTreeMap;
use std::fs;

use super::mask::mask;
use crate::workplace::{Failure, Workplace};

/// One text file.
pub(crate) struct SourceFile {
    /// From the repository's root, with `/` between folders.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
    /// For Rust files, the text without comments and without what literals hold; else empty.
    pub(crate) code: String,
    inline_tests: Vec<(usize, usize)>,
}

impl SourceFile {
    fn new(path: &str, text: String) -> Self {
        let code = if path.ends_with(".rs") { mask(&text) } else { String::new() };
        let inline_tests = inline_tests(&code);
        Self { path: path.to_owned(), text, code, inline_tests }
    }

    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it is Markdown.
    pub(crate) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// The masked lines with their numbers from 1.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.code.lines())
    }

    /// The lines with their numbers from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// Whether the whole file is test code, by its place.
    pub(crate) fn is_test_file(&self) -> bool {
        self.is_rust()
            && (self.path.starts_with("interop-tests/")
                || self.path.contains("/tests/")
                || self.path.ends_with("/tests.rs"))
    }

    /// First and last line of each inline test module, its `#[cfg(test)]` included.
    pub(crate) fn inline_tests(&self) -> &[(usize, usize)] {
        &self.inline_tests
    }

    /// Whether a line is test code.
    pub(crate) fn is_test_line(&self, number: usize) -> bool {
        self.is_test_file()
            || self.inline_tests.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }
}

fn inline_tests(code: &str) -> Vec<(usize, usize)> {
    let lines: Vec<_> = (1..).zip(code.lines()).collect();
    let mut found = Vec::new();
    for (at, (first, line)) in lines.iter().enumerate() {
        if line.trim() != "#[cfg(test)]" {
            continue;
        }
        let rest = || lines.iter().skip(at + 1);
        let Some((_, item)) = rest().find(|(_, line)| !line.trim().starts_with("#[")) else { continue };
        if item.trim_end().ends_with('{') {
            let close = format!("{}}}", indent(line));
            let last = rest().find(|(_, line)| line.trim_end() == close);
            found.push((*first, last.map_or(*first, |(number, _)| *number)));
        }
    }
    found
}

/// The blanks that a line begins with.
pub(crate) fn indent(line: &str) -> &str {
    line.split_at(line.len() - line.trim_start().len()).0
}

/// All files, by path.
pub(crate) struct Tree {
    files: BTreeMap<String, SourceFile>,
}

impl Tree {
    /// Reads what git lists. Files that are not text are left out, deleted ones too.
    pub(crate) fn read(workplace: &Workplace) -> Result<Self, Failure> {
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let output = workplace
            .command("git", &arguments)
            .output()
            .map_err(|error| format!("cannot start git: {error}"))?;
        if !output.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let files = listed.split('\0').filter(|path| !path.is_empty()).filter_map(|path| {
            let text = fs::read_to_string(workplace.root.join(path)).ok()?;
            Some((path.to_owned(), SourceFile::new(path, text)))
        });
        Ok(Self { files: files.collect() })
    }

    /// A tree made of paths and texts, for the tests of rules.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files =
            files.iter().map(|(path, text)| ((*path).to_owned(), SourceFile::new(path, (*text).to_owned())));
        Self { files: files.collect() }
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Every file, ordered by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.values()
    }

    /// One file.
    pub(crate) fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.get(path)
    }

    /// Whether a path is a file, or a folder that holds one.
    pub(crate) fn holds(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty()
            || self.files.contains_key(path)
            || self.files.keys().any(|file| file.starts_with(&folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_tests_are_found_and_a_sibling_file_is_not_inline() {
        let text = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
        let inline = SourceFile::new("a/src/lib.rs", text.to_owned());
        assert_eq!(inline.inline_tests(), [(2, 7)]);
        assert!(inline.is_test_line(5) && !inline.is_test_line(8));
        let sibling = SourceFile::new("a/src/lib.rs", "#[cfg(test)]\nmod tests;\nfn c() {}\n".to_owned());
        assert!(sibling.inline_tests().is_empty());
        assert!(SourceFile::new("a/src/log/tests.rs", String::new()).is_test_file());
    }
}
