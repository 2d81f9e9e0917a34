//! How results are shown: tables for people, one JSON object for machines.
//!
//! A file is written beside its place and then moved there: there is never half a report.

use std::{io::Write, process::ExitCode};

use serde_json::{Map, Value, json};

use crate::{
    arguments::{Common, JsonTo},
    error::BenchError,
    figures::Runs,
    machine,
    rounds::{Contestant, Outcome},
    system::Promises,
};

/// Shows the outcomes of a workload, one for each step of it (numbers of members, of sessions).
///
/// In JSON the figures of the last step stand at the top, and those of all of them in `steps`.
pub(crate) fn show(steps: &[Outcome], common: &Common) -> Result<(), BenchError> {
    let Some(last) = steps.last() else { return Ok(()) };
    let mut object = Map::new();
    object.insert("machine".to_owned(), machine::describe());
    object.insert("commit".to_owned(), machine::commit().into());
    object.insert("versions".to_owned(), versions(last));
    object.insert("command".to_owned(), machine::command().into());
    object.insert("seed".to_owned(), common.seed.into());
    object.insert("runs".to_owned(), common.runs.into());
    object.append(&mut to_json(last));
    if steps.len() > 1 {
        object.insert("steps".to_owned(), steps.iter().map(|step| Value::Object(to_json(step))).collect());
    }
    match &common.json {
        Some(to) => write_json(&Value::Object(object), to),
        None => {
            let mut out = anstream::stdout().lock();
            describe(&mut out, &object)?;
            steps.iter().try_for_each(|step| table(&mut out, step))
        }
    }
}

/// Shows a result that is no comparison.
pub(crate) fn show_alone(result: &impl serde::Serialize, common: &Common) -> Result<(), BenchError> {
    let value = serde_json::to_value(result).map_err(BenchError::wrong)?;
    if let Some(to) = &common.json {
        return write_json(&value, to);
    }
    let mut out = anstream::stdout().lock();
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Number(number) if number.is_f64() => {
                writeln!(out, "{name:>32}  {:.2}", number.as_f64().unwrap_or_default())?;
            }
            other => writeln!(out, "{name:>32}  {other}")?,
        }
    }
    Ok(())
}

fn versions(outcome: &Outcome) -> Value {
    let mut versions = machine::versions();
    if let Some(versions) = versions.as_object_mut() {
        for peer in outcome.peers.iter().filter(|peer| !peer.version.is_empty()) {
            versions.insert(peer.name.to_owned(), peer.version.clone().into());
        }
    }
    versions
}

fn to_json(outcome: &Outcome) -> Map<String, Value> {
    let mut object = outcome.fulmar.runs.to_json();
    // What the profile or the number of members is belongs to the figures, not only to what was asked for.
    for (name, value) in outcome.arguments.as_object().into_iter().flatten() {
        object.entry(name.clone()).or_insert_with(|| value.clone());
    }
    object.insert("workload".to_owned(), outcome.workload.into());
    object.insert("arguments".to_owned(), outcome.arguments.clone());
    object.insert("promises".to_owned(), json!(outcome.fulmar.promises));
    let floors = outcome.floors.iter().map(|(name, runs)| ((*name).to_owned(), runs.to_json().into()));
    object.insert("floors".to_owned(), Value::Object(floors.collect()));
    let ours = outcome.fulmar.promises;
    let peers = outcome.peers.iter().map(|peer| (peer.name.to_owned(), peer_to_json(peer, ours)));
    object.insert("peers".to_owned(), Value::Object(peers.collect()));
    object
}

fn peer_to_json(peer: &Contestant, ours: Promises) -> Value {
    let mut object = peer.runs.to_json();
    object.insert("promises".to_owned(), json!(peer.promises));
    object.insert("equal_promises".to_owned(), (peer.promises == ours).into());
    object.insert("version".to_owned(), peer.version.clone().into());
    object.insert("release_year".to_owned(), peer.release_year.into());
    if let Some(failure) = &peer.failure {
        object.insert("failure".to_owned(), failure.clone().into());
    }
    object.into()
}

/// Writes all of it, or nothing.
pub(crate) fn write_json(value: &Value, to: &JsonTo) -> Result<(), BenchError> {
    let text = serde_json::to_string_pretty(value).map_err(BenchError::wrong)?;
    match to {
        JsonTo::StandardOutput => writeln!(anstream::stdout().lock(), "{text}")?,
        JsonTo::File(path) => {
            let cannot = |error: &dyn std::fmt::Display| {
                BenchError::Wrong(format!("cannot write {}: {error}", path.display()))
            };
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(std::path::Path::new("."));
            let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| cannot(&error))?;
            writeln!(file, "{text}").map_err(|error| cannot(&error))?;
            file.persist(path).map_err(|error| cannot(&error.error))?;
        }
    }
    Ok(())
}

fn describe(out: &mut impl Write, object: &Map<String, Value>) -> Result<(), BenchError> {
    let text = |name: &str| object.get(name).map(ToString::to_string).unwrap_or_default();
    writeln!(out, "machine {}", text("machine"))?;
    writeln!(out, "versions {} commit {}", text("versions"), text("commit"))?;
    writeln!(out, "seed {}, runs {}; medians, with [least, greatest]", text("seed"), text("runs"))?;
    Ok(())
}

fn table(out: &mut impl Write, outcome: &Outcome) -> Result<(), BenchError> {
    writeln!(out, "\n{} {}", outcome.workload, outcome.arguments)?;
    section(out, "fulmar", &outcome.fulmar.runs)?;
    for (name, runs) in &outcome.floors {
        section(out, &format!("floor: {name}"), runs)?;
    }
    for peer in &outcome.peers {
        match &peer.failure {
            Some(failure) => writeln!(out, "\n{}: left out: {failure}", peer.name)?,
            None => {
                section(out, &format!("{} {} ({})", peer.name, peer.version, peer.release_year), &peer.runs)?
            }
        }
    }
    if outcome.peers.iter().any(|peer| peer.failure.is_none()) {
        promises(out, outcome)?;
    }
    Ok(())
}

fn section(out: &mut impl Write, title: &str, runs: &Runs) -> Result<(), BenchError> {
    writeln!(out, "\n{title}")?;
    for name in runs.names() {
        if let (Some(median), Some((least, greatest))) = (runs.median(name), runs.spread(name)) {
            writeln!(out, "{name:>32} {median:>14.2}  [{least:.2}, {greatest:.2}]")?;
        }
    }
    Ok(())
}

/// What an answered message may rely on, so that equal promises are compared with equal.
fn promises(out: &mut impl Write, outcome: &Outcome) -> Result<(), BenchError> {
    let columns = ["system", "durable", "ordered", "archived", "exactly once", "equal promises", "release"];
    let mut line = |columns: [&str; 7]| {
        let cells: Vec<_> = columns.iter().map(|column| format!("{column:<15}")).collect();
        writeln!(out, "{}", cells.join(" ").trim_end())
    };
    line(columns)?;
    let ours = &outcome.fulmar;
    for contestant in std::iter::once(ours).chain(&outcome.peers) {
        let say = |kept: bool| if kept { "yes" } else { "no" };
        let kept = contestant.promises;
        line([
            contestant.name,
            say(kept.durable),
            say(kept.ordered),
            say(kept.archived),
            say(kept.exactly_once),
            say(kept == ours.promises),
            &format!("{} ({})", contestant.release_year, contestant.version),
        ])?;
    }
    Ok(())
}

/// How the process ends; an error is one line on standard error.
pub(crate) fn exit(result: Result<(), BenchError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// One line on standard error.
pub(crate) fn complain(error: &BenchError) {
    warn(&error.to_string());
}

/// The same for what does not end the run.
pub(crate) fn warn(line: &str) {
    // There is nowhere left to say that this failed.
    let _ = writeln!(anstream::stderr(), "fulmar-bench: {}", line.replace('\n', " "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_cannot_be_written_says_where_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let to = JsonTo::File(folder.path().join("missing").join("report.json"));
        let error = write_json(&json!({}), &to).unwrap_err().to_string();
        assert!(error.starts_with("cannot write ") && error.contains("report.json"), "{error}");
        let path = folder.path().join("report.json");
        write_json(&json!({"a": 1}), &JsonTo::File(path.clone())).unwrap();
        write_json(&json!({"a": 2}), &JsonTo::File(path.clone())).unwrap();
        let written: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(written, json!({"a": 2}));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "and no other file");
    }
}
