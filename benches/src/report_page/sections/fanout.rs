//! One sends to many.

use super::{Column, Main, Section, floor_name};
use crate::{
    error::BenchError,
    report_page::{
        plot::{Axis, Line, Lines, Look},
        source::{Figures, Source, Step},
        words::{self, Unit},
    },
};

const COPIES: &str = "deliveries_per_s";

pub(super) fn section(source: &Source) -> Result<Section, BenchError> {
    let last = source.last()?;
    for step in &source.steps {
        source.need(step, COPIES)?;
        source.need(step, "members")?;
    }
    let heading = "One to many".to_owned();
    let main = Main {
        figure: COPIES,
        unit: Unit::PerSecond,
        more_is_better: true,
        ratio: "ratio_broadcast",
        floor: "the raw QUIC relay's broadcast to as many",
    };
    let columns = [
        Column::new(COPIES, "copies", Unit::PerSecond),
        Column::new("messages_per_s", "messages", Unit::PerSecond),
        Column::new("server_cpu_us_per_copy", "server's CPU per copy", Unit::Microseconds),
    ];
    let mut tables = String::new();
    for step in &source.steps {
        let number = |name| words::short(step.argument(name).unwrap_or_default());
        let (members, online) = (number("members"), number("online"));
        let ratio = step.ratio(main, "rate");
        tables.push_str(&format!(
            "{members} members, {online} of them there. {ratio}\n\n{}\n",
            step.table(&columns, main)
        ));
    }
    let text = format!(
        "A message to a group is stored once and sent to everybody who is there. Counted are the copies that arrive in a \
         second, in groups of several sizes; both axes are logarithmic. More is better.\n\n{}\n\n{tables}{}\n",
        last.among_peers(main),
        source.made_with()
    );
    let picture = source.picture(
        picture(source, &heading)?.to_svg()?,
        &format!(
            "{heading}: copies a second over the size of the group, Fulmar and peers beside a raw broadcast"
        ),
    );
    Ok(Section { heading, text, pictures: vec![picture], headline: last.headline(main) })
}

fn picture(source: &Source, heading: &str) -> Result<Lines, BenchError> {
    let mut lines: Vec<Line> = Vec::new();
    let mut add = |name: String, note: String, look: Look, members: f64, figures: &Figures| {
        let Some(copies) = figures.get(COPIES).map(|copies| copies.median).filter(|copies| *copies > 0.0)
        else {
            return;
        };
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push((members, copies)),
            None => lines.push(Line { name, note, look, points: vec![(members, copies)] }),
        }
    };
    let members = |step: &Step| step.argument("members").filter(|members| *members > 0.0);
    for step in &source.steps {
        let members = members(step).ok_or_else(|| source.wrong("a step has no members: write it anew"))?;
        for (contestant, look) in step.systems() {
            add(contestant.named(), step.promise_note(contestant), look, members, &contestant.figures);
        }
        for (name, figures, look) in step.floors() {
            add(floor_name(name).to_owned(), "a floor: promises nothing".to_owned(), look, members, figures);
        }
    }
    let extent = |of: fn(&(f64, f64)) -> f64| {
        let values = lines.iter().flat_map(|line| &line.points).map(of);
        values.fold((f64::INFINITY, 0.0_f64), |(least, greatest), value| {
            (least.min(value), greatest.max(value))
        })
    };
    let (x, y) = (extent(|point| point.0), extent(|point| point.1));
    if y.1 <= 0.0 {
        return Err(source.wrong("nothing was delivered: write it anew"));
    }
    Ok(Lines {
        title: heading.to_owned(),
        x: Axis::logarithmic("members of the group (logarithmic)", x, words::short),
        y: Axis::logarithmic("copies a second (logarithmic)", y, words::short),
        marked: None,
        lines,
    })
}
