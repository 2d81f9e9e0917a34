//! What an idle session costs the server.

use super::{Column, Main, Section, floor_name};
use crate::{
    error::BenchError,
    report_page::{
        plot::{Axis, Bar, Bars, Group, Look},
        source::{Figures, Source, Step},
        words::{self, Unit},
    },
};

const RESIDENT: &str = "rss_per_session_bytes";
/// Bars are in KiB, so that round numbers beside the axis are round.
const KIB: f64 = 1_024.0;
const KERNEL: &str = "kernel_per_session_bytes";

pub(super) fn section(source: &Source) -> Result<Section, BenchError> {
    let last = source.last()?;
    for step in &source.steps {
        source.need(step, RESIDENT)?;
    }
    let heading = "Memory of an idle session".to_owned();
    let main = Main {
        figure: RESIDENT,
        unit: Unit::Bytes,
        more_is_better: false,
        ratio: "ratio_raw",
        floor: "a raw QUIC connection with equal settings",
    };
    let columns = [
        Column::new(RESIDENT, "memory", Unit::Bytes),
        Column::new(KERNEL, "in the kernel", Unit::Bytes),
        Column::new("server_cpu_us_per_session_second", "CPU per idle second", Unit::Microseconds),
        Column::new("server_cpu_us_per_connect", "CPU to connect", Unit::Microseconds),
    ];
    let mut tables = String::new();
    for step in &source.steps {
        let sessions = words::short(step.argument("sessions").unwrap_or_default());
        tables.push_str(&format!("{sessions} sessions:\n\n{}\n", step.table(&columns, main)));
    }
    let text = format!(
        "People are connected far more than they write, so most of a server's memory is sessions that do nothing. The \
         solid part of a bar is the server's own memory for each, the pale part what the kernel keeps for its socket: \
         a QUIC server has one socket for all, a TCP server one for each. Less is better.\n\n{} {}\n\n{tables}{}\n",
        last.ratio(main, "memory for each session"),
        last.among_peers(main),
        source.made_with()
    );
    let picture = source.picture(
        bars(source, &heading).to_svg()?,
        &format!("{heading}: bars for each number of sessions, Fulmar and peers beside raw QUIC"),
    );
    Ok(Section { heading, text, pictures: vec![picture], headline: last.headline(main) })
}

fn bars(source: &Source, heading: &str) -> Bars {
    let mut greatest = 0.0_f64;
    let mut groups = Vec::new();
    for step in &source.steps {
        let group = group(step);
        for bar in &group.bars {
            let run = bar.spread.map_or(0.0, |(_, greatest)| greatest);
            greatest = greatest.max(run).max(bar.value + bar.more);
        }
        groups.push(group);
    }
    let label = "memory for each session, KiB; the thin line spans the runs";
    let axis = Axis::linear(label, greatest, words::short);
    Bars { title: heading.to_owned(), axis, groups }
}

fn group(step: &Step) -> Group {
    let sessions = words::short(step.argument("sessions").unwrap_or_default());
    let bar = |name: String, note: String, figures: &Figures, look: Look| {
        let resident = figures.get(RESIDENT)?;
        let kernel = figures.get(KERNEL).map_or(0.0, |kernel| kernel.median.max(0.0));
        let resident_shown = Unit::Bytes.show(resident.median);
        let figure = match kernel {
            none if none < 1.0 => resident_shown,
            kernel => format!("{resident_shown} + {}", Unit::Bytes.show(kernel)),
        };
        let spread = Some((resident.least / KIB, resident.greatest / KIB));
        Some(Bar { name, note, look, value: resident.median / KIB, spread, more: kernel / KIB, figure })
    };
    let systems = step.systems().filter_map(|(contestant, look)| {
        bar(contestant.named(), step.promise_note(contestant), &contestant.figures, look)
    });
    let floors = step.floors().filter_map(|(name, figures, look)| {
        bar(floor_name(name).to_owned(), "no sessions, no accounts".to_owned(), figures, look)
    });
    Group { heading: format!("{sessions} sessions"), bars: systems.chain(floors).collect() }
}
