//! How latencies are distributed: one curve for each, on loopback, behind a link, on the move, with presence beside.

use super::{Column, Headline, Main, Section, floor_name};
use crate::{
    error::BenchError,
    report_page::{
        plot::{Axis, Line, Lines, Look},
        source::{Source, Step, Workload},
        words::{self, Unit},
    },
};

/// Percentiles whose points have marks.
const MARKED: [f64; 6] = [50.0, 90.0, 99.0, 99.5, 99.9, 99.99];

/// What is particular to each of the workloads.
struct Words {
    heading: String,
    meaning: String,
    main: Main,
    /// The ratio in the sentence, in words.
    what: &'static str,
}

pub(super) fn section(source: &Source) -> Result<Section, BenchError> {
    let step = source.last()?;
    source.need(step, "p50_us")?;
    source.need(step, "p99_us")?;
    let words = words_of(source, step);
    let lines = lines(step, &words.heading);
    let all = lines.lines.iter().flat_map(|line| &line.points);
    let (least, greatest) = all
        .clone()
        .map(|(_, us)| *us)
        .filter(|us| *us > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(least, greatest), us| (least.min(us), greatest.max(us)));
    if greatest <= 0.0 {
        return Err(source.wrong("all its latencies are zero: write it anew"));
    }
    let last = all.map(|(percentile, _)| *percentile).fold(50.0, f64::max);
    let lines = Lines {
        x: Axis::percentiles("percentile of messages, each nine as wide as the next", last),
        y: Axis::logarithmic("latency (logarithmic)", (least, greatest), |us| Unit::Microseconds.show(us)),
        ..lines
    };
    let picture = source.picture(
        lines.to_svg()?,
        &format!("{}: percentile curves of latency for {}", words.heading, names(&lines.lines)),
    );
    let columns = [
        Column::new("p50_us", "p50", Unit::Microseconds),
        Column::new("p99_us", "p99", Unit::Microseconds),
        Column::new("p999_us", "p99.9", Unit::Microseconds),
        Column::new("missing", "never came", Unit::Count),
        Column::new("server_cpu_us_per_message", "server's CPU per message", Unit::Microseconds),
    ];
    let text = format!(
        "{}\n\n{} {}\n\n{}\n{}\n",
        words.meaning,
        step.ratio(words.main, words.what),
        among(source, step, words.main),
        step.table(&columns, words.main),
        source.made_with()
    );
    let headline = headline(source, step, words.main);
    Ok(Section { heading: words.heading, text, pictures: vec![picture], headline })
}

/// Of `mixed`, only Fulmar takes part: what it is compared with is itself.
fn among(source: &Source, step: &Step, main: Main) -> String {
    if source.workload != Workload::Mixed {
        return step.among_peers(main);
    }
    let quiet = step.fulmar.figures.get("p99_quiet_us").map(|quiet| Unit::Microseconds.show_spread(quiet));
    let loud = step.fulmar.figures.get("p99_us").map(|loud| Unit::Microseconds.show_spread(loud));
    format!(
        "p99 is {} with presence and {} without. Peers do not take part: only Fulmar's client does all of this.",
        loud.unwrap_or_default(),
        quiet.unwrap_or_default()
    )
}

fn headline(source: &Source, step: &Step, main: Main) -> Headline {
    let mut headline = step.headline(main);
    headline.figure =
        format!("{} {}", if source.workload == Workload::Latency { "p50" } else { "p99" }, headline.figure);
    headline
}

fn lines(step: &Step, heading: &str) -> Lines {
    let mut lines = Vec::new();
    for (contestant, look) in step.systems() {
        let points = contestant.figures.curve("");
        let (name, note) = (contestant.named(), step.promise_note(contestant));
        lines.push(Line { name, note, look, points });
    }
    let quiet = step.fulmar.figures.curve("_quiet");
    if !quiet.is_empty() {
        let (name, note) = ("Fulmar, messages alone".to_owned(), "without presence and typing".to_owned());
        lines.push(Line { name, note, look: Look::OURS_BESIDE, points: quiet });
    }
    for (name, figures, look) in step.floors() {
        let note = "a floor: promises nothing".to_owned();
        let note = if name == "fdatasync" { "a floor: no network".to_owned() } else { note };
        lines.push(Line { name: floor_name(name).to_owned(), note, look, points: figures.curve("") });
    }
    lines.retain(|line| !line.points.is_empty());
    Lines {
        title: heading.to_owned(),
        x: Axis::percentiles("", 50.0),
        y: Axis::linear("", 1.0, |_| String::new()),
        marked: Some(MARKED.to_vec()),
        lines,
    }
}

fn names(lines: &[Line]) -> String {
    let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
    words::list(&names)
}

fn words_of(source: &Source, step: &Step) -> Words {
    let main =
        |figure, ratio, floor| Main { figure, unit: Unit::Microseconds, more_is_better: false, ratio, floor };
    let number = |name| words::short(step.argument(name).unwrap_or_default());
    let profile = step.arguments.get("profile").and_then(serde_json::Value::as_str).unwrap_or("unknown");
    match source.workload {
        Workload::Lossy => Words {
            heading: format!("On a bad network: {profile}"),
            meaning: format!(
                "A device with {} conversations behind the emulated link `{profile}`, {} messages a second to it in \
                 each. Every message crosses the link twice, from its sender and to the device. What counts here is \
                 the right end of the curve: how long the unlucky messages take. Lost packets must be sent again, and \
                 what waits behind them is late, too.",
                number("conversations"),
                number("rate_per_s")
            ),
            main: main("p99_us", "ratio_p99", "the raw QUIC relay behind the same link"),
            what: "p99",
        },
        Workload::Roam => Words {
            heading: format!("On the move: {profile}, another address every {} s", number("every_s")),
            meaning: "The same load as on a bad network, and the device's address changes again and again, as on a \
                      way from one network into the next. QUIC moves a connection; a TCP client must make a new one."
                .to_owned(),
            main: main("p99_us", "ratio_p99", "the raw QUIC relay behind the same link"),
            what: "p99",
        },
        Workload::Mixed => Words {
            heading: "A busy evening: do messages suffer from presence?".to_owned(),
            meaning: format!(
                "{} users write to each other and mark what they read, once with presence and typing told to all of \
                 them, once without. The two curves of Fulmar should lie on each other.",
                number("users")
            ),
            main: main("p99_us", "ratio_p99_quiet", "the same messages without presence"),
            what: "p99",
        },
        _ => Words {
            heading: "Latency without load".to_owned(),
            meaning: format!(
                "One pair and {} messages a second: the time from when a message is due to when the other's app has \
                 it. Fulmar answers only after the message is on disk, so nobody who promises that can be faster than \
                 one round over the network and one sync of the disk: those are its floor.",
                number("rate_per_s")
            ),
            main: main("p50_us", "ratio_p50", "a raw QUIC echo and one fdatasync together"),
            what: "p50",
        },
    }
}
