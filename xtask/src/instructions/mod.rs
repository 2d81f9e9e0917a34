//! How many instructions the hot paths take, counted under callgrind and compared with a baseline.
//!
//! Counts repeat where times do not, so that a hot path that grew is caught on any machine, however busy. They are those
//! of one compiler, C library and valgrind: those of others are not compared. What is counted are the cases of `benches/hot-paths`.

mod baseline;
mod counting;

use std::collections::BTreeMap;

use baseline::{BASELINE, Baseline, Change};

use crate::workplace::{Failure, Outcome, Workplace};

const ACCEPT: &str = "cargo xtask instructions --accept";
/// A case is counted so often at most, and the lowest counts: seeds of hash maps only ever add.
const RUNS_MAX: usize = 3;

/// Instructions of one operation of each case.
type Counts = BTreeMap<String, u64>;

/// Counts all cases and compares them with the baseline.
pub(crate) fn check(workplace: &Workplace) -> Result<Outcome, Failure> {
    compare(workplace, "")
}

/// Counts the cases whose names contain `filter`, and compares them with the baseline.
pub(crate) fn compare(workplace: &Workplace, filter: &str) -> Result<Outcome, Failure> {
    if !counting::has_valgrind(workplace) {
        return workplace.skip("instruction counts: valgrind is not installed (apt-get install valgrind)");
    }
    let baseline = Baseline::read(&workplace.root)?;
    let tools = counting::tools(workplace)?;
    if baseline.made_with != tools {
        return workplace.skip(&format!(
            "instruction counts: {BASELINE} was made with {}, and here is {tools}, with which counts differ ({ACCEPT})",
            baseline.made_with
        ));
    }
    let mut counts = counting::count(workplace, &|name| name.contains(filter))?;
    let mut changes = baseline.changes(&counts, filter);
    for _ in 1..RUNS_MAX {
        let higher: Vec<&str> =
            changes.iter().filter(|change| change.is_higher()).map(Change::name).collect();
        if higher.is_empty() {
            break;
        }
        println!("Counting again: {}", higher.join(", "));
        lower(&mut counts, counting::count(workplace, &|name| higher.contains(&name))?);
        changes = baseline.changes(&counts, filter);
    }
    for change in &changes {
        println!("{change}");
    }
    let tolerated = baseline.tolerance_percent;
    if changes.iter().any(Change::is_lower) {
        println!("Some take less by more than {tolerated} %. Keep what was won: {ACCEPT}");
    }
    let failed: Vec<String> =
        changes.iter().filter(|change| change.is_failure()).map(Change::to_string).collect();
    if failed.is_empty() {
        return Ok(Outcome::Passed);
    }
    Err(format!(
        "not as {BASELINE} has it, by more than {tolerated} %:\n    {}\n    Where they go: callgrind_annotate \
         {}/GROUP.NAME.out\n    If it is meant to be so: {ACCEPT}",
        failed.join("\n    "),
        counting::folder(workplace).display(),
    ))
}

/// Counts the cases whose names contain `filter`, and makes those counts the baseline.
pub(crate) fn accept(workplace: &Workplace, filter: &str) -> Result<Outcome, Failure> {
    if !counting::has_valgrind(workplace) {
        return Err("valgrind is not installed: apt-get install valgrind".to_owned());
    }
    let tools = counting::tools(workplace)?;
    let before = Baseline::read(&workplace.root).ok();
    if !filter.is_empty() && before.as_ref().is_none_or(|before| before.made_with != tools) {
        return Err(format!("{BASELINE} was made with other tools: accept all cases, not some"));
    }
    let mut counts = Counts::new();
    for _ in 0..RUNS_MAX {
        lower(&mut counts, counting::count(workplace, &|name| name.contains(filter))?);
    }
    let after = Baseline::after(before.as_ref(), tools, counts, filter);
    for change in before.unwrap_or_default().changes(&after.instructions, filter) {
        println!("{change}");
    }
    after.write(&workplace.root)?;
    println!("{BASELINE} has the new counts: commit it, and say why in the message.");
    Ok(Outcome::Passed)
}

/// Takes in what was counted again.
fn lower(counts: &mut Counts, again: Counts) {
    for (name, count) in again {
        let lowest = counts.entry(name).or_insert(count);
        *lowest = count.min(*lowest);
    }
}
