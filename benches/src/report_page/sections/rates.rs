//! How much goes through: messages a second, and how soon a backlog is there.

use super::{Column, Main, Section, floor_name};
use crate::{
    error::BenchError,
    report_page::{
        plot::{Axis, Bar, Bars, Group},
        source::{Source, Step, Workload},
        words::{self, Unit},
    },
};

pub(super) fn section(source: &Source) -> Result<Section, BenchError> {
    let step = source.last()?;
    source.need(step, "messages_per_s")?;
    let main = Main {
        figure: "messages_per_s",
        unit: Unit::PerSecond,
        more_is_better: true,
        ratio: if source.workload == Workload::Catchup { "ratio_push" } else { "ratio_relay" },
        floor: if source.workload == Workload::Catchup {
            "a raw QUIC push of the same octets"
        } else {
            "the raw QUIC relay"
        },
    };
    let (heading, meaning) = words_of(source, step);
    let picture = source.picture(
        bars(step, &heading, main).to_svg()?,
        &format!("{heading}: bars of messages a second, those who promise the same first, then those who promise less, then floors"),
    );
    let first = match source.workload {
        Workload::Catchup => Column::new("catchup_ms", "until all is there", Unit::Milliseconds),
        _ => Column::new("deliveries_per_s", "delivered", Unit::PerSecond),
    };
    let columns = [
        Column::new("messages_per_s", "messages", Unit::PerSecond),
        first,
        Column::new("server_cpu_us_per_message", "server's CPU per message", Unit::Microseconds),
    ];
    let store = step.fulmar.figures.get("ratio_store").map_or_else(String::new, |ratio| {
        format!(" Against the store alone it is {}.", Unit::Times.show_spread(ratio))
    });
    let text = format!(
        "{meaning}\n\n{}{store} {}\n\n{}\n{}\n",
        step.ratio(main, "rate"),
        step.among_peers(main),
        step.table(&columns, main),
        source.made_with()
    );
    Ok(Section { heading, text, pictures: vec![picture], headline: step.headline(main) })
}

fn words_of(source: &Source, step: &Step) -> (String, String) {
    let number = |name| words::short(step.argument(name).unwrap_or_default());
    if source.workload == Workload::Catchup {
        let meaning = format!(
            "A device was away while {} messages of {} octets came in {} conversations. How fast does it get them when \
             it is back? The device keeps what it gets, as an app does, and that is part of the time. More is better.",
            number("messages"),
            number("bytes"),
            number("conversations")
        );
        return ("Catching up".to_owned(), meaning);
    }
    let (senders, conversations) = (step.argument("senders"), step.argument("conversations"));
    let heading = if conversations == Some(1.0) {
        format!("Throughput of one pair, {} messages unanswered at once", number("window"))
    } else {
        format!("Throughput: {} senders in {} conversations", number("senders"), number("conversations"))
    };
    let many = if senders.is_some_and(|senders| senders > 1.0) {
        "With many senders a server can put messages of several into one sync of the disk."
    } else {
        "One sender keeps many messages under way, so a slow answer costs less."
    };
    let meaning = format!(
        "Messages of {} octets, as many as are answered and delivered in a second. {many} More is better. Who is not \
         durable answers before the disk has it, which is less work.",
        number("bytes")
    );
    (heading, meaning)
}

/// Those that promise the same in one group, those that promise less in the next, floors in the last.
fn bars(step: &Step, heading: &str, main: Main) -> Bars {
    let mut same =
        Group { heading: "Promise the same: durable, ordered, archived".to_owned(), bars: Vec::new() };
    let mut less = Group { heading: "Promise less".to_owned(), bars: Vec::new() };
    let mut floors = Group { heading: "Floors: parts of the work, no promises".to_owned(), bars: Vec::new() };
    for (contestant, look) in step.systems() {
        if let Some(figure) = contestant.figures.get(main.figure) {
            let to = if step.promises_less(contestant) { &mut less } else { &mut same };
            to.bars.push(Bar {
                name: contestant.named(),
                note: step.promise_note(contestant),
                look,
                value: figure.median,
                spread: Some((figure.least, figure.greatest)),
                more: 0.0,
                figure: main.unit.show(figure.median),
            });
        }
    }
    for (name, figures, look) in step.floors() {
        if let Some(figure) = figures.get(main.figure) {
            floors.bars.push(Bar {
                name: floor_name(name).to_owned(),
                note: if name.starts_with("store") { "no network" } else { "no store, no accounts" }
                    .to_owned(),
                look,
                value: figure.median,
                spread: Some((figure.least, figure.greatest)),
                more: 0.0,
                figure: main.unit.show(figure.median),
            });
        }
    }
    let greatest = step.extent(main.figure).map_or(1.0, |(_, greatest)| greatest);
    Bars {
        title: heading.to_owned(),
        axis: Axis::linear("messages a second; the thin line spans the runs", greatest, words::short),
        groups: [same, less, floors].into_iter().filter(|group| !group.bars.is_empty()).collect(),
    }
}
