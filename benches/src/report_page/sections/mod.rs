//! What the page says of each workload: a picture, a few plain sentences, the ratio to the floor, and the figures.

mod distribution;
mod fanout;
mod memory;
mod rates;
mod returning;

use super::{
    plot::{Look, look_of_floor, look_of_peer},
    source::{Contestant, Figure, Figures, Source, Step, Workload, less_than},
    table::Table,
    words::{self, Unit},
};
use crate::{error::BenchError, report_page::FIGURES, system::Promises};

/// A part of the page.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) heading: String,
    /// Below the heading, in Markdown.
    pub(super) text: String,
    pub(super) pictures: Vec<Picture>,
    pub(super) headline: Headline,
}

/// A picture, in a file of its own.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) file: String,
    /// For whoever does not see it.
    pub(super) alternative: String,
    pub(super) svg: String,
}

/// The section in one line.
#[derive(Debug)]
pub(super) struct Headline {
    pub(super) figure: String,
    pub(super) to_floor: String,
    /// The best of those that promise the same.
    pub(super) same: String,
    /// The best of those that promise less.
    pub(super) less: String,
}

/// The section of a file.
pub(super) fn section(source: &Source) -> Result<Section, BenchError> {
    match source.workload {
        Workload::Latency | Workload::Lossy | Workload::Roam | Workload::Mixed => {
            distribution::section(source)
        }
        Workload::Throughput | Workload::Catchup => rates::section(source),
        Workload::Connections => memory::section(source),
        Workload::Fanout => fanout::section(source),
        Workload::Connect | Workload::Storm => returning::section(source),
    }
}

/// A figure that stands in a table.
struct Column {
    figure: &'static str,
    head: &'static str,
    unit: Unit,
}

impl Column {
    const fn new(figure: &'static str, head: &'static str, unit: Unit) -> Self {
        Self { figure, head, unit }
    }
}

/// A figure by which systems are compared.
#[derive(Clone, Copy)]
struct Main {
    figure: &'static str,
    unit: Unit,
    more_is_better: bool,
    /// Its ratio to the floor, and what the floor is.
    ratio: &'static str,
    floor: &'static str,
}

impl Source {
    /// The last step, which is the largest.
    fn last(&self) -> Result<&Step, BenchError> {
        self.steps.last().ok_or_else(|| self.wrong("it has no figures"))
    }

    fn wrong(&self, what: &str) -> BenchError {
        BenchError::Wrong(format!("{}.json: {what}", self.stem))
    }

    /// A figure of Fulmar, without which there is nothing to show.
    fn need(&self, step: &Step, name: &str) -> Result<Figure, BenchError> {
        let figure = step.fulmar.figures.get(name);
        figure.ok_or_else(|| self.wrong(&format!("it has no figure {name:?}: write it anew")))
    }

    fn picture(&self, svg: String, alternative: &str) -> Picture {
        Picture { file: format!("{}.svg", self.stem), alternative: alternative.to_owned(), svg }
    }

    /// How it was made.
    fn made_with(&self) -> String {
        let arguments =
            self.steps.first().map(|step| words::code(&serde_json::json!(step.arguments).to_string()));
        let command = match &self.command {
            Some(command) => words::code(command),
            None => format!("with {}", arguments.unwrap_or_default()),
        };
        let runs = if self.runs == 1 { "1 run".to_owned() } else { format!("{} runs", self.runs) };
        format!(
            "Made with {command}: {runs}, seed {}, commit {}; all figures are in [`{FIGURES}/{}.json`]({FIGURES}/{}.json).",
            self.seed,
            words::code(&self.commit),
            self.stem,
            self.stem
        )
    }
}

impl Step {
    /// Who is drawn how, beginning with Fulmar.
    fn systems(&self) -> impl Iterator<Item = (&Contestant, Look)> {
        let looks = self.peers.iter().enumerate().map(|(place, peer)| {
            let promises_less = !less_than(peer.promises, self.fulmar.promises).is_empty();
            (peer, look_of_peer(&peer.name, place, promises_less))
        });
        std::iter::once((&self.fulmar, Look::OURS)).chain(looks)
    }

    fn floors(&self) -> impl Iterator<Item = (&str, &Figures, Look)> {
        let looks = self.floors.iter().enumerate();
        looks.map(|(place, (name, figures))| (name.as_str(), figures, look_of_floor(place)))
    }

    fn promises_less(&self, peer: &Contestant) -> bool {
        !less_than(peer.promises, self.fulmar.promises).is_empty()
    }

    /// A number that the workload was told.
    fn argument(&self, name: &str) -> Option<f64> {
        self.arguments.get(name)?.as_f64()
    }

    /// The table of everybody's figures.
    fn table(&self, columns: &[Column], main: Main) -> Table {
        let mut head = vec!["system".to_owned()];
        head.extend(columns.iter().map(|column| column.head.to_owned()));
        head.extend(["against Fulmar".to_owned(), "promises".to_owned()]);
        let mut table = Table::new(head);
        let ours = self.fulmar.figures.get(main.figure);
        let mut row = |name: String, figures: &Figures, promises: String| {
            let shown = columns.iter().map(|column| {
                figures
                    .get(column.figure)
                    .map_or_else(|| "–".to_owned(), |figure| column.unit.show_spread(figure))
            });
            let against = figures.get(main.figure).zip(ours).map_or_else(
                || "–".to_owned(),
                |(theirs, ours)| Unit::Times.show(theirs.median / ours.median),
            );
            let mut cells = vec![name];
            cells.extend(shown);
            cells.extend([against, promises]);
            table.row(cells);
        };
        for (contestant, _) in self.systems() {
            let is_ours = std::ptr::eq(contestant, &self.fulmar);
            let name = words::plain(&contestant.named());
            let name = if is_ours { format!("**{name}**") } else { name };
            row(name, &contestant.figures, self.promise_note(contestant));
        }
        for (name, figures, _) in self.floors() {
            row(format!("*floor: {}*", floor_name(name)), figures, String::new());
        }
        table
    }

    /// Beside a picture: what one promises, and whether that is less.
    fn promise_note(&self, contestant: &Contestant) -> String {
        let less = less_than(contestant.promises, self.fulmar.promises);
        if less.is_empty() {
            return kept(contestant.promises);
        }
        let lacking: Vec<_> = less.iter().map(|name| format!("not {name}")).collect();
        format!("less: {}", lacking.join(", "))
    }

    /// Who is best among equals, and among those that promise less.
    fn headline(&self, main: Main) -> Headline {
        let best = |promises_less: bool| {
            let peers = self.peers.iter().filter(|peer| self.promises_less(peer) == promises_less);
            let with = peers.filter_map(|peer| Some((peer, peer.figures.get(main.figure)?.median)));
            let best = if main.more_is_better {
                with.max_by(|one, other| one.1.total_cmp(&other.1))
            } else {
                with.min_by(|one, other| one.1.total_cmp(&other.1))
            };
            best.map_or_else(String::new, |(peer, value)| format!("{} {}", peer.name, main.unit.show(value)))
        };
        let ours = self.fulmar.figures.get(main.figure);
        let ratio = self.fulmar.figures.get(main.ratio);
        Headline {
            figure: ours.map_or_else(String::new, |figure| main.unit.show(figure.median)),
            to_floor: ratio.map_or_else(String::new, |ratio| {
                format!("{} {}", Unit::Times.show(ratio.median), main.floor)
            }),
            same: best(false),
            less: best(true),
        }
    }

    /// The ratio to the floor as a sentence.
    fn ratio(&self, main: Main, what: &str) -> String {
        match self.fulmar.figures.get(main.ratio) {
            Some(ratio) => format!(
                "Fulmar's {what} is **{}** that of its floor, {}.",
                Unit::Times.show_spread(ratio),
                main.floor
            ),
            None => format!("Its ratio to the floor ({}) is not among the figures.", main.floor),
        }
    }

    /// How the peers did, equals first.
    fn among_peers(&self, main: Main) -> String {
        let Headline { same, less, .. } = self.headline(main);
        if self.peers.is_empty() {
            return "No peer took part.".to_owned();
        }
        let same = match same.as_str() {
            "" => "No peer that promises the same took part".to_owned(),
            best => format!("The best of the peers that promise the same is {}", words::plain(best)),
        };
        match less.as_str() {
            "" => format!("{same}."),
            best => format!("{same}; the best of those that promise less is {}.", words::plain(best)),
        }
    }

    /// The least and the greatest of a figure, of everybody's runs.
    fn extent(&self, figure: &str) -> Option<(f64, f64)> {
        let figures = self.systems().map(|(contestant, _)| &contestant.figures);
        let all = figures.chain(self.floors().map(|(_, figures, _)| figures));
        let values = all.filter_map(|figures| figures.get(figure));
        values
            .map(|figure| (figure.least, figure.greatest))
            .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }
}

impl Contestant {
    /// With its version.
    fn named(&self) -> String {
        format!("{} {}", self.name, self.version).trim_end().to_owned()
    }
}

/// What somebody promises.
fn kept(promises: Promises) -> String {
    let kept: Vec<_> =
        [("durable", promises.durable), ("ordered", promises.ordered), ("archived", promises.archived)]
            .into_iter()
            .filter(|(_, kept)| *kept)
            .map(|(name, _)| name)
            .collect();
    if kept.is_empty() { "promises nothing".to_owned() } else { kept.join(", ") }
}

/// A floor, in words.
fn floor_name(name: &str) -> &str {
    match name {
        "echo" => "raw QUIC echo",
        "relay" => "raw QUIC relay",
        "broadcast" => "raw QUIC broadcast",
        "push" => "raw QUIC push",
        "raw_connections" => "raw QUIC connections",
        "raw_handshakes" => "raw QUIC handshakes",
        "store" => "the store alone",
        "store_reads" => "the store's reads alone",
        "fdatasync" => "one fdatasync",
        other => other,
    }
}
