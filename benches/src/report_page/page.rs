//! The whole page: what it was made on, who took part, what each workload says, and what is missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Map, Value};

use super::{
    sections::{self, Picture, Section},
    source::{Source, Workload, less_than},
    table::Table,
    words,
};
use crate::{error::BenchError, system::Promises};

/// Everything that is published.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) markdown: String,
    pub(super) pictures: Vec<Picture>,
}

/// By what a former report is known as one.
pub(super) const TITLE: &str = "# Fulmar measured";

pub(super) fn make(sources: &[Source], failed: &[String]) -> Result<Page, BenchError> {
    let sections = sources.iter().map(sections::section).collect::<Result<Vec<_>, _>>()?;
    let mut markdown = format!(
        "{TITLE}\n\n\
         Every figure here is the median of the runs that its section names, with the least and the greatest beside \
         it. Everybody took turns on the same machine, so that what disturbed it disturbed all of them alike. Absolute \
         figures belong to the machine; what can be carried elsewhere are the ratios, above all those to the floors: \
         the same work done by the bare network or the bare disk, without which no system of this kind can be.\n\n"
    );
    made_on(&mut markdown, sources);
    systems(&mut markdown, sources);
    at_a_glance(&mut markdown, &sections);
    for section in &sections {
        let _ = writeln!(markdown, "## {}\n", words::plain(&section.heading));
        for picture in &section.pictures {
            let _ = writeln!(markdown, "![{}]({})\n", words::plain(&picture.alternative), picture.file);
        }
        let _ = writeln!(markdown, "{}", section.text);
    }
    missing(&mut markdown, sources, failed);
    let pictures = sections.into_iter().flat_map(|section| section.pictures).collect();
    Ok(Page { markdown: format!("{}\n", markdown.trim_end()), pictures })
}

/// Machines, builds and commits. Files from several are told apart.
fn made_on(markdown: &mut String, sources: &[Source]) {
    let _ = writeln!(markdown, "## What it was made on\n");
    let mut machines: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut commits: BTreeSet<&str> = BTreeSet::new();
    for source in sources {
        machines.entry(machine(&source.machine)).or_default().push(&source.stem);
        commits.insert(&source.commit);
    }
    let one = machines.len() == 1;
    for (machine, files) in &machines {
        let of = if one { String::new() } else { format!(" ({})", words::plain(&words::list(files))) };
        let _ = writeln!(markdown, "- {machine}{of}");
    }
    let commits: Vec<_> = commits.into_iter().map(words::code).collect();
    let _ = writeln!(markdown, "- Fulmar at commit {}", words::list(&commits));
    if !one {
        let _ = writeln!(
            markdown,
            "\n**The files are from several machines: compare figures within a section, not between sections.**"
        );
    }
    let is_debug =
        |source: &&Source| source.versions.get("build").is_some_and(|build| build.starts_with("debug"));
    if sources.iter().any(|source| is_debug(&source)) {
        let _ = writeln!(markdown, "\n**Some of these figures are from a debug build: they mean nothing.**");
    }
    if sources.iter().any(|source| source.commit.ends_with("-dirty")) {
        let _ = writeln!(markdown, "\nThe source had changes that are not in the commit (`-dirty`).");
    }
    let _ = writeln!(markdown);
}

fn machine(machine: &Map<String, Value>) -> String {
    let shown = machine.iter().map(|(name, value)| match (name.as_str(), value) {
        ("memory_bytes", value) => {
            let bytes = value.as_f64().unwrap_or_default();
            format!("{} GiB of memory", words::short((bytes / f64::from(1 << 30)).round()))
        }
        ("cores", value) => format!("{value} cores"),
        ("cpu", Value::String(cpu)) => words::plain(cpu),
        ("kernel", Value::String(kernel)) => format!("Linux {}", words::plain(kernel)),
        ("filesystem", Value::String(kind)) => format!("stores on {}", words::plain(kind)),
        (name, value) => {
            words::plain(&format!("{} {}", name.replace('_', " "), value.to_string().trim_matches('"')))
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Who took part, and what they promise.
fn systems(markdown: &mut String, sources: &[Source]) {
    let mut systems: Vec<(String, String, Promises)> = Vec::new();
    let mut ours = None;
    for step in sources.iter().flat_map(|source| &source.steps) {
        ours = Some(step.fulmar.promises);
        for contestant in std::iter::once(&step.fulmar).chain(&step.peers) {
            let year = contestant.release_year.map_or_else(String::new, |year| format!(" ({year})"));
            let version = format!("{}{year}", contestant.version);
            if !systems.iter().any(|(name, known, _)| *name == contestant.name && *known == version) {
                systems.push((contestant.name.clone(), version, contestant.promises));
            }
        }
    }
    let Some(ours) = ours else { return };
    // Fulmar, then those that promise the same.
    systems.sort_by_key(|(name, _, promises)| (name != "Fulmar", less_than(*promises, ours).len()));
    let _ = writeln!(
        markdown,
        "## Who took part, and what they promise\n\n\
         What an answered message may rely on. *Durable*: it was synced to disk before the answer. *Ordered*: everybody \
         gets a conversation's messages in one order. *Archived*: it can be read again later. Only those that promise \
         all three are compared with Fulmar as equals; on the pictures the others have broken lines and pale bars, and \
         `less` stands beside them. *Exactly once* is told, but not counted: many systems leave it to the client.\n"
    );
    let mut table =
        Table::new(["system", "version", "durable", "ordered", "archived", "exactly once", "compared as"]);
    for (name, version, promises) in &systems {
        let say = |kept: bool| if kept { "yes" } else { "**no**" };
        let less = less_than(*promises, ours);
        let compared = match less.as_slice() {
            _ if name == "Fulmar" => String::new(),
            [] => "equal".to_owned(),
            less => format!("less: not {}", less.join(", not ")),
        };
        table.row([
            words::plain(name),
            words::plain(version),
            say(promises.durable).to_owned(),
            say(promises.ordered).to_owned(),
            say(promises.archived).to_owned(),
            say(promises.exactly_once).to_owned(),
            compared,
        ]);
    }
    let _ = writeln!(markdown, "{table}");
}

fn at_a_glance(markdown: &mut String, sections: &[Section]) {
    let mut table =
        Table::new(["", "Fulmar", "to its floor", "best that promises the same", "best that promises less"]);
    for section in sections {
        let or_none = |text: &str| if text.is_empty() { "–".to_owned() } else { words::plain(text) };
        let headline = &section.headline;
        table.row([
            words::plain(&section.heading),
            or_none(&headline.figure),
            or_none(&headline.to_floor),
            or_none(&headline.same),
            or_none(&headline.less),
        ]);
    }
    let _ = writeln!(markdown, "## At a glance\n\n{table}");
}

/// What is not on the page, and why.
fn missing(markdown: &mut String, sources: &[Source], failed: &[String]) {
    let there: BTreeSet<_> = sources.iter().map(|source| source.workload).collect();
    let absent = Workload::ALL.iter().filter(|(workload, _)| !there.contains(workload));
    let mut lines: Vec<String> =
        absent.map(|(_, name)| format!("`{name}`: there is no file of it.")).collect();
    lines.extend(failed.iter().map(|line| words::plain(line)));
    let mut without_peers = Vec::new();
    let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for source in sources {
        for (name, reason) in source.steps.iter().flat_map(|step| &step.left_out) {
            let files = reasons.entry((name, reason)).or_default();
            if !files.contains(&source.stem.as_str()) {
                files.push(&source.stem);
            }
        }
        let alone = matches!(source.workload, Workload::Connect | Workload::Storm | Workload::Mixed);
        let nobody = source.steps.iter().all(|step| step.peers.is_empty() && step.left_out.is_empty());
        if nobody && !alone {
            without_peers.push(words::code(&source.stem));
        }
    }
    if !without_peers.is_empty() {
        lines.push(format!("No peers were asked for in {}.", words::list(&without_peers)));
    }
    for ((name, reason), files) in reasons {
        let files: Vec<_> = files.iter().map(|file| words::code(file)).collect();
        lines.push(format!(
            "{} in {}: left out: {}",
            words::plain(name),
            words::list(&files),
            words::plain(reason)
        ));
    }
    if lines.is_empty() {
        lines.push("Nothing: every workload is here, and no peer was left out.".to_owned());
    }
    let _ = writeln!(markdown, "## What is missing\n");
    for line in lines {
        let _ = writeln!(markdown, "- {line}");
    }
}
