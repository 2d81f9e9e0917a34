//! Which requirements of `spec/` have a test that cites them.
//!
//! A citation is the number of a requirement in test code, most often in the comment above a test.
//! There is no threshold: the figures are for people.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::{Tree, cited, requirements};
use crate::workplace::{Failure, Workplace};

/// The files whose test code cites a requirement.
type Citations = BTreeMap<String, BTreeSet<String>>;

/// Prints every requirement with the files that cite it, then a line for each area.
pub(crate) fn report(workplace: &Workplace, uncovered_only: bool) -> Result<(), Failure> {
    let tree = Tree::read(workplace)?;
    let citations = citations(&tree);
    let mut requirements = requirements(&tree);
    requirements.sort_by(|one, other| (one.area(), one.number()).cmp(&(other.area(), other.number())));
    let mut areas: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for requirement in &requirements {
        let files = citations.get(&requirement.id);
        let (covered, all) = areas.entry(requirement.area()).or_default();
        *all += 1;
        match files {
            Some(files) => {
                *covered += 1;
                if !uncovered_only {
                    let files: Vec<_> = files.iter().map(String::as_str).collect();
                    println!("{:<14} {}", requirement.id, files.join(", "));
                }
            }
            None => println!("{:<14} no test cites it", requirement.id),
        }
    }
    println!();
    for (area, (covered, all)) in &areas {
        println!("{area:<6} {covered:>3} of {all:>3} cited");
    }
    let covered: usize = areas.values().map(|(covered, _)| covered).sum();
    println!("{covered} of {} requirements are cited by a test", requirements.len());
    Ok(())
}

fn citations(tree: &Tree) -> Citations {
    let mut found = Citations::new();
    for file in tree.files().filter(|file| file.is_rust() && !file.path.starts_with("xtask/")) {
        for (_, line) in file.lines().filter(|(number, _)| file.is_test_line(*number)) {
            for id in cited(line) {
                found.entry(id.to_owned()).or_default().insert(file.path.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_code_covers() {
        let id = concat!("FUL", "-A-1");
        let text = format!("//! {id}\nfn a() {{}}\n");
        assert!(citations(&Tree::of(&[("a/src/a.rs", &text)])).is_empty());
        let found = citations(&Tree::of(&[("a/tests/a.rs", &text)]));
        assert_eq!(found.get(id).map(BTreeSet::len), Some(1));
    }
}
