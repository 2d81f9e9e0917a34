//! The house rules that need no compiler: each rule is a function from the tree to its findings.
//!
//! A rule looks at text only, so that all of them together take less than a second. Each has a test
//! that shows it finding something.

mod allow_list;
mod citations;
mod code;
mod constants;
mod examples;
mod links;
mod manifests;
mod mask;
mod size;
mod spec;
mod tree;

use std::fmt;

pub(crate) use self::citations::cited;
pub(crate) use self::spec::requirements;
pub(crate) use self::tree::Tree;
use crate::workplace::{Failure, Outcome, Workplace};

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    /// A finding at a line, counted from 1.
    fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.message)
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[Rule] = &[
    size::check,
    code::check,
    constants::check,
    manifests::check,
    links::check,
    spec::check,
    examples::check,
    citations::check,
];

/// Runs every rule over the repository.
pub(crate) fn check(workplace: &Workplace) -> Result<Outcome, Failure> {
    let tree = Tree::read(workplace)?;
    let mut findings: Vec<_> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    println!("{} files, {} findings", tree.len(), findings.len());
    if findings.is_empty() { Ok(Outcome::Passed) } else { Err(format!("{} findings", findings.len())) }
}
