//! `fulmar-sim table`: delivery latency and bytes of the three ways on each profile, as Markdown.

use std::time::Duration;

use fulmar_interop_tests::network::Profile;
use fulmar_interop_tests::simulation::{Figures, Settings, Trial, Way, measure};

/// What the command line says.
struct Options {
    minutes: u64,
    seeds: u64,
    profiles: Vec<&'static Profile>,
    ways: Vec<Way>,
    json: bool,
    settings: Vec<&'static Settings>,
    per_second: u64,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self {
            minutes: 20,
            seeds: 4,
            profiles: Vec::new(),
            ways: Way::ALL.to_vec(),
            json: false,
            settings: Vec::new(),
            per_second: 4,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            let number = |text: &String| text.parse().map_err(|_| format!("{text} is no number"));
            match arg.as_str() {
                "--minutes" => options.minutes = number(value()?)?,
                "--seeds" => options.seeds = number(value()?)?,
                "--json" => options.json = true,
                "--profile" => {
                    let name = value()?;
                    options
                        .profiles
                        .push(Profile::by_name(name).ok_or_else(|| format!("no profile {name}"))?);
                }
                "--settings" => {
                    let name = value()?;
                    options
                        .settings
                        .push(Settings::by_name(name).ok_or_else(|| format!("no settings {name}"))?);
                }
                "--per-second" => options.per_second = number(value()?)?,
                "--way" => {
                    let name = value()?;
                    options.ways.retain(|way| way.name() == name);
                }
                _ => return Err(format!("{arg}: not known; see --help")),
            }
        }
        if options.profiles.is_empty() {
            options.profiles = Profile::ALL.iter().collect();
        }
        if options.settings.is_empty() {
            options.settings.push(&Settings::AS_THEY_ARE);
        }
        Ok(options)
    }
}

/// Measures, and prints.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let options = Options::parse(args)?;
    if !options.json {
        println!("| profile | way | p50 | p95 | p99 | worst | bytes down | up | to lanes | hedges |");
        println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    }
    for profile in &options.profiles {
        for settings in &options.settings {
            if options.settings.len() > 1 {
                println!("{}", settings.name);
            }
            let mut lanes_bytes = None;
            let cells: Vec<(Way, Figures)> = options
                .ways
                .iter()
                .map(|way| {
                    let mut trial = Trial::new(**profile, *way, Duration::from_secs(options.minutes * 60));
                    trial.settings = **settings;
                    trial.per_second = options.per_second as f64;
                    (*way, measure(&trial, 1..1 + options.seeds))
                })
                .inspect(|(way, figures)| {
                    if *way == Way::Lanes {
                        lanes_bytes = Some(figures.bytes());
                    }
                })
                .collect();
            for (way, figures) in &cells {
                if options.json {
                    println!("{}", json(profile, *way, figures));
                } else {
                    println!("{}", row(profile, *way, figures, lanes_bytes));
                }
            }
        }
    }
    Ok(())
}

fn row(profile: &Profile, way: Way, figures: &Figures, lanes_bytes: Option<f64>) -> String {
    let multiple = |per_thousand| format!("{:.2}", figures.multiple(per_thousand));
    let missing = if figures.missing > 0 { format!(" ({} missing)", figures.missing) } else { String::new() };
    format!(
        "| {profile} | {}{missing} | {} | {} | {} | {} | {:.0} | {:.0} | {} | {:.2} |",
        way.name(),
        multiple(500),
        multiple(950),
        multiple(990),
        multiple(1_000),
        figures.down_bytes,
        figures.up_bytes,
        lanes_bytes.map_or_else(String::new, |lanes| format!("{:.2}", figures.bytes() / lanes)),
        figures.hedges,
    )
}

fn json(profile: &Profile, way: Way, figures: &Figures) -> String {
    format!(
        "{{\"profile\":\"{profile}\",\"way\":\"{}\",\"messages\":{},\"missing\":{},\"one_way_ms\":{:.1},\
         \"p50\":{:.4},\"p95\":{:.4},\"p99\":{:.4},\"worst\":{:.4},\"down_bytes\":{:.1},\"up_bytes\":{:.1},\
         \"hedges\":{:.3}}}",
        way.name(),
        figures.messages(),
        figures.missing,
        figures.one_way.as_secs_f64() * 1e3,
        figures.multiple(500),
        figures.multiple(950),
        figures.multiple(990),
        figures.multiple(1_000),
        figures.down_bytes,
        figures.up_bytes,
        figures.hedges,
    )
}
