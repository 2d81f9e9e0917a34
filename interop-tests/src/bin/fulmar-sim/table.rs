//! `fulmar-sim table`: delivery latency and bytes of the three ways on each profile, as Markdown.
//!
//! With `--write` the tables take the place of what is between two markers of a document; every other byte of it
//! stays.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use fulmar_interop_tests::simulation::{
    Figures, HeadOfLine, Settings, Trial, Way, first_messages, head_of_line, measure,
};
use fulmar_network_model::Profile;

const EXAMPLES: &str = "\
Examples:
  cargo xtask table --write docs/bad-networks.md
  cargo xtask table --minutes 10 --profile uber-p50
  cargo xtask table --profile lossy-7 --settings no-mtud --way lanes
  cargo xtask table --head-of-line

The same arguments give the same figures with the same build of the code.";

/// What is asked for.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How long messages are counted in each run, in simulated minutes
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// How many runs in each cell, each from another seed
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// Messages a second to the device, over its sixteen conversations
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    per_second: u16,
    /// The networks; may be named more than once (default: all)
    #[arg(long, value_name = "NAME", value_parser = profiles())]
    profile: Vec<String>,
    /// Only one of the ways
    #[arg(long, value_name = "WAY", value_parser = ways())]
    way: Option<String>,
    /// QUIC is set otherwise in one respect
    #[arg(long, value_name = "NAME", value_parser = settings(), default_value = "as they are")]
    settings: String,
    /// Only the table of busy conversations beside each other
    #[arg(long)]
    head_of_line: bool,
    /// Only how long a device that is switched on waits for its first message, in milliseconds
    #[arg(long, conflicts_with = "write")]
    first_message: bool,
    /// One JSON object per line
    #[arg(long, conflicts_with = "write")]
    json: bool,
    /// Puts the tables into this document, between its markers
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn profiles() -> PossibleValuesParser {
    PossibleValuesParser::new(Profile::ALL.iter().map(|profile| profile.name))
}

fn ways() -> PossibleValuesParser {
    PossibleValuesParser::new(Way::ALL.iter().map(|way| way.name()))
}

fn settings() -> PossibleValuesParser {
    PossibleValuesParser::new(Settings::MEASURED.iter().map(|settings| settings.name))
}

/// Measures, and prints or writes. Whether that went well.
pub(crate) fn run(arguments: &Arguments) -> bool {
    if arguments.first_message {
        return first_message(arguments);
    }
    let mut deliveries = String::new();
    if !arguments.head_of_line {
        let rows = cells(arguments).map(|cell| if arguments.json { cell.json() } else { cell.row() });
        deliveries = rows.inspect(|row| println!("{row}")).map(|row| row + "\n").collect();
    }
    let mut beside = String::new();
    if !arguments.json && (arguments.head_of_line || arguments.write.is_some()) {
        beside = head_of_line_rows(arguments);
        println!("{beside}");
    }
    let Some(path) = &arguments.write else { return true };
    let written = write(path, "deliveries", &(DELIVERIES_HEAD.to_owned() + &deliveries))
        .and_then(|()| write(path, "head of line", &beside));
    if let Err(error) = &written {
        eprintln!("fulmar-sim: {}: {error}", path.display());
    }
    written.is_ok()
}

fn first_message(arguments: &Arguments) -> bool {
    println!("| network | p50 | p95 | worst | bytes |\n|---|--:|--:|--:|--:|");
    let settings = Settings::by_name(&arguments.settings).unwrap_or(&Settings::AS_THEY_ARE);
    let named = |name| arguments.profile.is_empty() || arguments.profile.iter().any(|other| other == name);
    let mut is_good = true;
    for profile in Profile::ALL.iter().filter(|profile| named(profile.name)) {
        let trial = Trial { settings: *settings, ..Trial::new(*profile, Way::Hedged, Duration::ZERO) };
        let figures = first_messages(&trial, 1..1 + arguments.seeds);
        let millis = |per_thousand| figures.quantile(per_thousand).as_millis();
        println!(
            "| {profile} | {} | {} | {} | {:.0} |",
            millis(500),
            millis(950),
            millis(1_000),
            figures.bytes()
        );
        is_good &= figures.missing == 0;
    }
    is_good
}

const DELIVERIES_HEAD: &str = "\
| network | way | p50 | p95 | p99 | worst | bytes to it | from it | to lanes |
|---|---|--:|--:|--:|--:|--:|--:|--:|
";

/// One profile, one way.
struct Cell {
    profile: &'static Profile,
    way: Way,
    figures: Figures,
    lanes_bytes: Option<f64>,
}

fn cells(arguments: &Arguments) -> impl Iterator<Item = Cell> {
    let is_meant = |profile: &&Profile| {
        arguments.profile.is_empty() || arguments.profile.iter().any(|name| name == profile.name)
    };
    let settings = Settings::by_name(&arguments.settings).unwrap_or(&Settings::AS_THEY_ARE);
    let ways =
        Way::ALL.into_iter().filter(|way| arguments.way.as_ref().is_none_or(|name| name == way.name()));
    Profile::ALL.iter().filter(is_meant).flat_map(move |profile| {
        let mut lanes_bytes = None;
        ways.clone().map(move |way| {
            let length = Duration::from_secs(arguments.minutes * 60);
            let per_second = arguments.per_second.into();
            let trial = Trial { settings: *settings, per_second, ..Trial::new(*profile, way, length) };
            let figures = measure(&trial, 1..1 + arguments.seeds);
            if way == Way::Lanes {
                lanes_bytes = Some(figures.bytes());
            }
            Cell { profile, way, figures, lanes_bytes }
        })
    })
}

impl Cell {
    fn row(&self) -> String {
        let Self { profile, way, figures, lanes_bytes } = self;
        let missing =
            if figures.missing > 0 { format!(" ({} not in time)", figures.missing) } else { String::new() };
        format!(
            "| {profile} | {}{missing} | {:.2} | {:.2} | {:.2} | {:.1} | {:.0} | {:.0} | {} |",
            way.name(),
            figures.multiple(500),
            figures.multiple(950),
            figures.multiple(990),
            figures.multiple(1_000),
            figures.down_bytes,
            figures.up_bytes,
            lanes_bytes.map_or_else(|| "–".to_owned(), |lanes| format!("{:.2}", figures.bytes() / lanes)),
        )
    }

    fn json(&self) -> String {
        let Self { profile, way, figures, .. } = self;
        serde_json::json!({
            "profile": profile.name,
            "way": way.name(),
            "messages": figures.messages(),
            "missing": figures.missing,
            "one_way_ms": figures.one_way.as_secs_f64() * 1e3,
            "p50": figures.multiple(500),
            "p95": figures.multiple(950),
            "p99": figures.multiple(990),
            "worst": figures.multiple(1_000),
            "down_bytes": figures.down_bytes,
            "up_bytes": figures.up_bytes,
            "hedges": figures.hedges,
        })
        .to_string()
    }
}

fn head_of_line_rows(arguments: &Arguments) -> String {
    let length = Duration::from_secs(arguments.minutes * 60);
    let HeadOfLine { without_loss, untouched, lanes, one_stream } = head_of_line(length, arguments.seeds);
    let rows = [
        ("lanes, no loss", without_loss),
        ("lanes, 3.5 % lost: conversations that lost nothing", untouched),
        ("lanes, 3.5 % lost: all", lanes),
        ("one stream, 3.5 % lost: all", one_stream),
    ];
    let head = "| what | messages | p50 | p95 | p99 | worst |\n|---|--:|--:|--:|--:|--:|\n".to_owned();
    rows.iter().fold(head, |table, (what, figures)| {
        table
            + &format!(
                "| {what} | {} | {:.2} | {:.2} | {:.2} | {:.1} |\n",
                figures.messages(),
                figures.multiple(500),
                figures.multiple(950),
                figures.multiple(990),
                figures.multiple(1_000),
            )
    })
}

/// Puts a table between the two markers of a name.
fn write(path: &Path, name: &str, table: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let (begin, end) = (format!("<!-- table: {name} -->\n"), format!("<!-- end: {name} -->"));
    let missing = || format!("no place for it, between `{}` and `{end}`", begin.trim_end());
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    let text = format!("{before}{begin}\n{table}\n{end}{after}");
    std::fs::write(path, text).map_err(|error| error.to_string())
}
