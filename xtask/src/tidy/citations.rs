//! A requirement that code or prose cites exists.

use std::collections::BTreeSet;

use super::{Finding, Tree, requirements};

/// What every requirement's number begins with. Written apart, so that this file cites none.
const PREFIX: &str = concat!("FUL", "-");

/// Looks up every citation.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let known: BTreeSet<_> = requirements(tree).into_iter().map(|requirement| requirement.id).collect();
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| !file.path.starts_with("xtask/")) {
        for (number, line) in file.lines() {
            for id in cited(line).filter(|id| !known.contains(*id)) {
                findings.push(Finding::at(&file.path, number, format!("{id} is not in spec/")));
            }
        }
    }
    findings
}

/// The numbers of requirements that stand in a line.
pub(crate) fn cited(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices(PREFIX).filter_map(|(at, _)| {
        let rest = line.split_at(at).1;
        let area = rest.strip_prefix(PREFIX)?.find('-')? + PREFIX.len();
        let (head, tail) = rest.split_at_checked(area + 1)?;
        let digits = tail.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(tail.len());
        let letters = head.chars().all(|letter| letter.is_ascii_uppercase() || letter == '-');
        (letters && digits > 0).then(|| rest.split_at(area + 1 + digits).0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_are_read_out_of_a_line() {
        let line = format!("// {PREFIX}LANE-7, {PREFIX}SEND-12: x {PREFIX}AREA-n {PREFIX}");
        let found: Vec<_> = cited(&line).collect();
        assert_eq!(found, [format!("{PREFIX}LANE-7"), format!("{PREFIX}SEND-12")]);
    }

    #[test]
    fn a_citation_of_nothing_is_found() {
        let spec = format!("- **{PREFIX}A-1** MUST a.");
        let code = format!("// {PREFIX}A-1\n// {PREFIX}A-2\n");
        let found = check(&Tree::of(&[("spec/a.md", &spec), ("b/src/b.rs", &code)]));
        assert_eq!(found, [Finding::at("b/src/b.rs", 2, format!("{PREFIX}A-2 is not in spec/"))]);
    }
}
