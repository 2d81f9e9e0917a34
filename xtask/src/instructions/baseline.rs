//! The counts that are accepted, in a file that is committed, and how others differ from them.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{ACCEPT, Counts};
use crate::workplace::Failure;

/// Where they are, from the root.
pub(super) const BASELINE: &str = "benches/hot-paths/instructions.toml";
/// What hash seeds and TLS change from run to run, and narrow enough for a copy too many.
const TOLERANCE_PERCENT_DEFAULT: u32 = 1;

const HEADER: &str = "\
# Instructions that one operation of each hot path takes, counted under callgrind. Written by
# `cargo xtask instructions --accept`, compared by `cargo xtask test`. CONTRIBUTING.md says how to read it.
";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Baseline {
    /// What it was built and counted with: with anything else counts are others.
    pub(super) made_with: String,
    /// What a count may differ by.
    pub(super) tolerance_percent: u32,
    pub(super) instructions: Counts,
}

impl Default for Baseline {
    fn default() -> Self {
        Self {
            made_with: String::new(),
            tolerance_percent: TOLERANCE_PERCENT_DEFAULT,
            instructions: Counts::new(),
        }
    }
}

/// One case, then and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    name: String,
    old: Option<u64>,
    new: Option<u64>,
    tolerance_percent: u32,
}

impl Baseline {
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(root.join(BASELINE))
            .map_err(|error| format!("cannot read {BASELINE}: {error}; {ACCEPT} writes it"))?;
        toml::from_str(&text).map_err(|error| format!("{BASELINE}: {}; {ACCEPT} writes it", error.message()))
    }

    pub(super) fn write(&self, root: &Path) -> Result<(), Failure> {
        fs::write(root.join(BASELINE), self.text())
            .map_err(|error| format!("cannot write {BASELINE}: {error}"))
    }

    fn text(&self) -> String {
        let Self { made_with, tolerance_percent, instructions } = self;
        let counts = instructions.iter().map(|(name, count)| format!("\"{name}\" = {count}\n"));
        let counts: String = counts.collect();
        format!(
            "{HEADER}made_with = \"{made_with}\"\ntolerance_percent = {tolerance_percent}\n\n[instructions]\n{counts}"
        )
    }

    /// What it becomes when these counts of cases that match are accepted.
    pub(super) fn after(before: Option<&Self>, made_with: String, counts: Counts, filter: &str) -> Self {
        let before = before.cloned().unwrap_or_default();
        let kept = before.instructions.into_iter().filter(|(name, _)| !name.contains(filter));
        Self { made_with, instructions: kept.chain(counts).collect(), ..before }
    }

    /// Every case that matches, by name.
    pub(super) fn changes(&self, counts: &Counts, filter: &str) -> Vec<Change> {
        let names: BTreeSet<&String> = self.instructions.keys().chain(counts.keys()).collect();
        let names = names.into_iter().filter(|name| name.contains(filter));
        let change = |name: &String| Change {
            name: name.clone(),
            old: self.instructions.get(name).copied(),
            new: counts.get(name).copied(),
            tolerance_percent: self.tolerance_percent,
        };
        names.map(change).collect()
    }
}

impl Change {
    /// By how many percent it is more than before.
    fn percent(&self) -> Option<f64> {
        let (old, new) = (self.old? as f64, self.new? as f64);
        Some((new - old) * 100.0 / old.max(1.0))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// It takes more than is tolerated, or is not on both sides.
    pub(super) fn is_failure(&self) -> bool {
        self.percent().is_none() || self.is_higher()
    }

    /// It takes more, by more than is tolerated.
    pub(super) fn is_higher(&self) -> bool {
        self.percent().is_some_and(|percent| percent > f64::from(self.tolerance_percent))
    }

    /// It takes less, by more than is tolerated.
    pub(super) fn is_lower(&self) -> bool {
        self.percent().is_some_and(|percent| percent < -f64::from(self.tolerance_percent))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, old, new, .. } = self;
        match (old, new, self.percent()) {
            (Some(old), Some(new), Some(percent)) => {
                write!(formatter, "{name:<36} {new:>9} instructions, was {old:>9} ({percent:+.2} %)")
            }
            (_, Some(new), _) => write!(formatter, "{name:<36} {new:>9} instructions, not in the baseline"),
            _ => write!(formatter, "{name:<36} is in the baseline, and there is no such case"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, u64)]) -> Counts {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    fn baseline(of: &[(&str, u64)]) -> Baseline {
        Baseline { made_with: "rustc 1".to_owned(), tolerance_percent: 3, instructions: counts(of) }
    }

    fn failures(now: &[(&str, u64)]) -> Vec<String> {
        let changes = baseline(&[("codec/a", 1_000), ("log/b", 2_000)]).changes(&counts(now), "");
        changes.iter().filter(|change| change.is_failure()).map(|change| change.name.clone()).collect()
    }

    #[test]
    fn what_takes_more_than_is_tolerated_fails_and_what_takes_less_does_not() {
        assert!(failures(&[("codec/a", 1_030), ("log/b", 1_000)]).is_empty());
        assert_eq!(failures(&[("codec/a", 1_031), ("log/b", 2_000)]), ["codec/a"]);
        let changes = baseline(&[("codec/a", 1_000)]).changes(&counts(&[("codec/a", 969)]), "");
        assert!(changes.iter().all(|change| change.is_lower() && !change.is_failure()));
    }

    #[test]
    fn a_case_that_only_one_side_knows_fails() {
        assert_eq!(failures(&[("codec/a", 1_000)]), ["log/b"]);
        assert_eq!(failures(&[("codec/a", 1_000), ("codec/c", 1), ("log/b", 2_000)]), ["codec/c"]);
    }

    #[test]
    fn some_cases_are_accepted_and_the_others_kept() {
        let before = baseline(&[("codec/a", 1_000), ("codec/gone", 5), ("log/b", 2_000)]);
        let after =
            Baseline::after(Some(&before), "rustc 1".to_owned(), counts(&[("codec/a", 900)]), "codec");
        assert_eq!(after, baseline(&[("codec/a", 900), ("log/b", 2_000)]));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = baseline(&[("codec/a", 1_000), ("log/b", 2_000)]);
        assert_eq!(toml::from_str::<Baseline>(&written.text()).expect("it is read"), written);
    }
}
