//! Sessions that come and go, and all at once.

use super::{Column, Headline, Main, Section, floor_name};
use crate::{
    error::BenchError,
    report_page::{
        plot::{Axis, Bar, Bars, Group, Look},
        source::{Figures, Source, Step, Workload},
        words::{self, Unit},
    },
};

/// A kind of bars: the figure, and what stands above them.
type Kind = (&'static str, String);

pub(super) fn section(source: &Source) -> Result<Section, BenchError> {
    let step = source.last()?;
    let clients = words::short(step.argument("clients").unwrap_or_default());
    let storm = source.workload == Workload::Storm;
    let (heading, meaning, unit, kinds): (_, _, _, [Kind; 2]) = if storm {
        (
            format!("{clients} clients come back at once"),
            "The server is killed and started again. The clients are the real library with its back-off, which spreads \
             them on purpose, so that a server is not overrun; raw handshakes all begin at once. The time counts from \
             when the server listens again. Less is better.",
            Unit::Milliseconds,
            [
                ("half_back_ms", "Half of them are back".to_owned()),
                ("all_back_ms", "All are back".to_owned()),
            ],
        )
    } else {
        (
            "Sessions a second".to_owned(),
            "A full session is a handshake, a login and its answer; a resumed one sends its login with the first packet \
             (0-RTT). More is better.",
            Unit::PerSecond,
            [("full_per_s", "Full sessions".to_owned()), ("resumed_per_s", "Resumed sessions".to_owned())],
        )
    };
    for (figure, _) in &kinds {
        source.need(step, figure)?;
    }
    let floor = "raw QUIC handshakes";
    let main = |figure, ratio| Main { figure, unit, more_is_better: !storm, ratio, floor };
    let mains = if storm {
        [main("half_back_ms", "ratio_raw_half"), main("all_back_ms", "ratio_raw")]
    } else {
        [main("full_per_s", "ratio_raw"), main("resumed_per_s", "ratio_raw_resumed")]
    };
    let what = if storm {
        ["time till half are back", "time till all are back"]
    } else {
        ["rate of full sessions", "rate of resumed sessions"]
    };
    let ratios: Vec<_> = mains.iter().zip(what).map(|(main, what)| step.ratio(*main, what)).collect();
    let columns: Vec<Column> = if storm {
        vec![
            Column::new("half_back_ms", "half are back", unit),
            Column::new("all_back_ms", "all are back", unit),
            Column::new("server_cpu_us_per_session", "server's CPU per session", Unit::Microseconds),
        ]
    } else {
        vec![
            Column::new("full_per_s", "full", unit),
            Column::new("resumed_per_s", "resumed", unit),
            Column::new("server_cpu_us_per_full", "server's CPU, full", Unit::Microseconds),
            Column::new("server_cpu_us_per_resumed", "server's CPU, resumed", Unit::Microseconds),
        ]
    };
    let [first, last] = mains;
    let main = if storm { last } else { first };
    let text = format!(
        "{meaning}\n\n{} Peers do not take part.\n\n{}\n{}\n",
        ratios.join(" "),
        step.table(&columns, main),
        source.made_with()
    );
    let picture = source.picture(
        bars(step, &heading, &kinds, unit).to_svg()?,
        &format!("{heading}: bars for Fulmar beside raw QUIC handshakes"),
    );
    let headline = Headline { ..step.headline(main) };
    Ok(Section { heading, text, pictures: vec![picture], headline })
}

fn bars(step: &Step, heading: &str, kinds: &[Kind], unit: Unit) -> Bars {
    let bar = |name: String, note: &str, look: Look, figures: &Figures, figure: &str| {
        let shown = figures.get(figure)?;
        Some(Bar {
            name,
            note: note.to_owned(),
            look,
            value: shown.median,
            spread: Some((shown.least, shown.greatest)),
            more: 0.0,
            figure: unit.show(shown.median),
        })
    };
    let group = |(figure, heading): &Kind| {
        let systems = step.systems().filter_map(|(contestant, look)| {
            bar(contestant.named(), "with login and its answer", look, &contestant.figures, figure)
        });
        let floors = step.floors().filter_map(|(name, figures, look)| {
            bar(floor_name(name).to_owned(), "no login", look, figures, figure)
        });
        Group { heading: heading.clone(), bars: systems.chain(floors).collect() }
    };
    let greatest = kinds.iter().filter_map(|(figure, _)| step.extent(figure)).map(|(_, greatest)| greatest);
    let label = match unit {
        Unit::PerSecond => "sessions a second; the thin line spans the runs",
        _ => "time since the server listens; the thin line spans the runs",
    };
    let axis = Axis::linear(label, greatest.fold(0.0, f64::max), |value| match unit {
        Unit::PerSecond => words::short(value),
        unit => unit.show(value),
    });
    Bars { title: heading.to_owned(), axis, groups: kinds.iter().map(group).collect() }
}
