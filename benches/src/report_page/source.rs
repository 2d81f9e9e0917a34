//! The JSON files of a folder, read and checked: what comes out of here can be shown without further questions.
//!
//! Whatever is wrong with a file is one line that begins with its path.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{error::BenchError, system::Promises};

/// Files in one folder.
const FILES_MAX: usize = 200;
/// Of one file. Those of workloads have some ten kilobytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// What the names of curves begin with.
const CURVES: &str = "percentiles";
/// Points of one curve.
const POINTS_MAX: usize = 1_000;

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Workload {
    Latency,
    Lossy,
    Roam,
    Throughput,
    Connections,
    Fanout,
    Connect,
    Storm,
    Catchup,
    Mixed,
}

impl Workload {
    /// In the order of the page.
    pub(super) const ALL: [(Self, &'static str); 10] = [
        (Self::Latency, "latency"),
        (Self::Lossy, "lossy"),
        (Self::Roam, "roam"),
        (Self::Throughput, "throughput"),
        (Self::Connections, "connections"),
        (Self::Fanout, "fanout"),
        (Self::Connect, "connect"),
        (Self::Storm, "storm"),
        (Self::Catchup, "catchup"),
        (Self::Mixed, "mixed"),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(workload, _)| *workload)
    }
}

/// A file.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Its name without `.json`; the pictures made of it are named after it.
    pub(super) stem: String,
    /// What it holds, to be put beside the report.
    pub(super) text: String,
    pub(super) workload: Workload,
    pub(super) command: Option<String>,
    pub(super) machine: Map<String, Value>,
    pub(super) versions: BTreeMap<String, String>,
    pub(super) commit: String,
    pub(super) seed: u64,
    pub(super) runs: u32,
    /// At least one.
    pub(super) steps: Vec<Step>,
}

/// One size of a workload, with everybody who took part.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) arguments: Map<String, Value>,
    pub(super) fulmar: Contestant,
    /// Those that promise what Fulmar does first.
    pub(super) peers: Vec<Contestant>,
    pub(super) floors: Vec<(String, Figures)>,
    /// Names and reasons.
    pub(super) left_out: Vec<(String, String)>,
}

/// Somebody with figures.
#[derive(Debug, Clone)]
pub(super) struct Contestant {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) release_year: Option<u16>,
    pub(super) promises: Promises,
    pub(super) figures: Figures,
}

/// What was measured of somebody.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    figures: BTreeMap<String, Figure>,
    curves: BTreeMap<String, Vec<(f64, f64)>>,
}

/// A median, with the least and the greatest of the runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figure {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Figures {
    pub(super) fn get(&self, name: &str) -> Option<Figure> {
        self.figures.get(name).copied()
    }

    /// Pairs of a percentile and microseconds, by rising percentiles. Where a file has no curve, of the percentiles
    /// that it has.
    pub(super) fn curve(&self, suffix: &str) -> Vec<(f64, f64)> {
        if let Some(curve) = self.curves.get(&format!("{CURVES}{suffix}_us")) {
            return curve.clone();
        }
        [("p50", 50.0), ("p95", 95.0), ("p99", 99.0), ("p999", 99.9)]
            .into_iter()
            .filter_map(|(name, percentile)| {
                Some((percentile, self.get(&format!("{name}{suffix}_us"))?.median))
            })
            .collect()
    }
}

/// A file as it is.
#[derive(Deserialize)]
struct RawFile {
    #[serde(default)]
    command: Option<String>,
    machine: Map<String, Value>,
    versions: BTreeMap<String, String>,
    commit: String,
    seed: u64,
    runs: u32,
    #[serde(default)]
    steps: Vec<RawStep>,
    #[serde(flatten)]
    last: RawStep,
}

#[derive(Deserialize)]
struct RawStep {
    arguments: Map<String, Value>,
    promises: Promises,
    floors: BTreeMap<String, RawFigures>,
    peers: BTreeMap<String, RawPeer>,
    #[serde(flatten)]
    figures: RawFigures,
}

#[derive(Deserialize)]
struct RawFigures {
    spread: BTreeMap<String, (f64, f64)>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
struct RawPeer {
    promises: Promises,
    version: String,
    release_year: u16,
    #[serde(default)]
    failure: Option<String>,
    #[serde(flatten)]
    figures: RawFigures,
}

/// Reads all JSON files of a folder, in the order of the page.
pub(super) fn read(folder: &Path) -> Result<Vec<Source>, BenchError> {
    let cannot =
        |error: std::io::Error| BenchError::Wrong(format!("cannot read {}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(BenchError::Wrong(format!(
            "{} has no JSON files: write some with fulmar-bench WORKLOAD --json FILE",
            folder.display()
        )));
    }
    if paths.len() > FILES_MAX {
        return Err(BenchError::Wrong(format!("{} has more than {FILES_MAX} JSON files", folder.display())));
    }
    let mut sources = paths
        .iter()
        .map(|path| read_file(path).map_err(|what| BenchError::Wrong(format!("{}: {what}", path.display()))))
        .collect::<Result<Vec<_>, _>>()?;
    sources.sort_by(|one, other| (one.workload, &one.stem).cmp(&(other.workload, &other.stem)));
    Ok(sources)
}

fn read_file(path: &Path) -> Result<Source, String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if !stem.chars().all(plain) || stem.starts_with('.') {
        return Err(
            "rename it: letters, digits, '-', '_' and '.' only, since pictures get its name".to_owned()
        );
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let length =
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if u64::try_from(length).map_or(true, |length| length > FILE_BYTES_MAX) {
        return Err(format!("longer than {FILE_BYTES_MAX} octets: no workload writes that much"));
    }
    parse(stem, text)
}

fn parse(stem: String, text: String) -> Result<Source, String> {
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| format!("no JSON ({error}): write it anew, or take it away"))?;
    let name = value.get("workload").and_then(Value::as_str).map(str::to_owned);
    let name = name.ok_or("it has no \"workload\": no workload of fulmar-bench wrote it; take it away")?;
    let workload = Workload::named(&name).ok_or_else(|| {
        let known: Vec<_> = Workload::ALL.iter().map(|(_, name)| *name).collect();
        format!("a report cannot show {name:?}; take it away. It can show: {}", known.join(", "))
    })?;
    let raw: RawFile = serde_json::from_value(value)
        .map_err(|error| format!("not what the workload {name} writes ({error}): write it anew"))?;
    let versions = raw.versions;
    let ours = versions.get("fulmar").cloned().unwrap_or_default();
    let raws = if raw.steps.is_empty() { vec![raw.last] } else { raw.steps };
    let steps = raws.into_iter().map(|step| parse_step(step, &ours)).collect::<Result<Vec<_>, _>>()?;
    Ok(Source {
        stem,
        text,
        workload,
        command: raw.command,
        machine: raw.machine,
        versions,
        commit: raw.commit,
        seed: raw.seed,
        runs: raw.runs,
        steps,
    })
}

fn parse_step(raw: RawStep, version: &str) -> Result<Step, String> {
    let fulmar = Contestant {
        name: "Fulmar".to_owned(),
        version: version.to_owned(),
        release_year: None,
        promises: raw.promises,
        figures: parse_figures(raw.figures)?,
    };
    let floors = raw.floors.into_iter().map(|(name, floor)| Ok((name, parse_figures(floor)?)));
    let floors = floors.collect::<Result<Vec<_>, String>>()?;
    let (mut peers, mut left_out) = (Vec::new(), Vec::new());
    for (name, peer) in raw.peers {
        let figures = parse_figures(peer.figures)?;
        match peer.failure {
            Some(failure) => left_out.push((name, failure)),
            None if figures.figures.is_empty() => left_out.push((name, "it has no figures".to_owned())),
            None => peers.push(Contestant {
                name,
                version: peer.version,
                release_year: (peer.release_year > 0).then_some(peer.release_year),
                promises: peer.promises,
                figures,
            }),
        }
    }
    peers.sort_by_key(|peer| less_than(peer.promises, fulmar.promises).len());
    Ok(Step { arguments: raw.arguments, fulmar, peers, floors, left_out })
}

fn parse_figures(raw: RawFigures) -> Result<Figures, String> {
    let mut figures = Figures::default();
    for (name, (least, greatest)) in raw.spread {
        let median = raw.others.get(&name).and_then(Value::as_f64);
        let median =
            median.ok_or_else(|| format!("a spread of {name:?}, but no such number: write it anew"))?;
        figures.figures.insert(name, Figure { median, least, greatest });
    }
    for (name, value) in raw.others.into_iter().filter(|(name, _)| name.starts_with(CURVES)) {
        let curve: Vec<(f64, f64)> =
            serde_json::from_value(value).map_err(|error| format!("{name}: {error}"))?;
        let rising = curve.iter().zip(curve.iter().skip(1)).all(|(one, next)| one.0 < next.0);
        let sound = curve.iter().all(|(percentile, us)| (0.0..100.0).contains(percentile) && *us >= 0.0);
        if !rising || !sound || curve.len() > POINTS_MAX {
            return Err(format!("{name} is no list of rising percentiles with their times: write it anew"));
        }
        figures.curves.insert(name, curve);
    }
    Ok(figures)
}

/// What one promises and the other does not, of the three promises by which systems are compared. That a message
/// comes only once is told, but makes nobody another kind of system.
pub(super) fn less_than(theirs: Promises, ours: Promises) -> Vec<&'static str> {
    [
        ("durable", theirs.durable, ours.durable),
        ("ordered", theirs.ordered, ours.ordered),
        ("archived", theirs.archived, ours.archived),
    ]
    .into_iter()
    .filter(|(_, theirs, ours)| !theirs && *ours)
    .map(|(name, _, _)| name)
    .collect()
}
