//! `fulmar-bench promises`: what each system says that an answered message may rely on, beside how often its server
//! really syncs for one.

use std::io::Write;

use clap::Args;
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    arguments::{Common, Peers},
    error::BenchError,
    place::Place,
    report, syncs,
    system::{Promises, System, fulmar::Fulmar, peers},
};

/// Messages before any are counted: what is made once is made then.
const WARM_UP: u32 = 10;

/// How much is counted.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Messages, one after the other.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    messages: u32,
}

/// One system.
#[derive(Serialize)]
struct Row {
    system: &'static str,
    version: String,
    release_year: u16,
    promises: Promises,
    /// In a direct conversation.
    syncs_per_message: f64,
    /// In a group of three.
    syncs_per_group_message: f64,
}

pub(crate) async fn run(options: &Options, common: &Common) -> Result<(), BenchError> {
    let mut systems: Vec<Box<dyn System>> = vec![Box::new(Fulmar)];
    match &common.peers {
        // Of all, unless some are named: the table is there to compare.
        Peers::None | Peers::All => systems.extend(peers::all()),
        Peers::Named(names) => {
            for name in names {
                systems.push(peers::named(name)?);
            }
        }
    }
    let mut rows = Vec::new();
    for system in systems {
        match Box::pin(measure(&*system, options.messages)).await {
            Ok(row) => rows.push(row),
            Err(error @ BenchError::NotInstalled { .. }) if system.name() != "fulmar" => {
                report::warn(&format!("SKIPPED: {}: {error}", system.name()));
            }
            Err(error) => return Err(BenchError::Wrong(format!("{}: {error}", system.name()))),
        }
    }
    match &common.json {
        Some(_) => {
            report::show_alone(&serde_json::json!({ "workload": "promises", "systems": rows }), common)
        }
        None => table(&rows),
    }
}

async fn measure(system: &dyn System, messages: u32) -> Result<Row, BenchError> {
    let place = Place::loopback()?;
    let running = system.start(&place).await?;
    let direct = running.conversation(&[0, 1]).await?;
    let group = running.conversation(&[0, 1, 2]).await?;
    let session = running.connect(0).await?;
    let mut others = Vec::new();
    for user in [1, 2] {
        let mut other = running.connect(user).await?;
        others.push(other.sender);
        tokio::spawn(async move { while other.arrivals.recv().await.is_some() {} });
    }
    for conversation in [&direct, &group] {
        for _ in 0..WARM_UP {
            let answered = session.sender.send(conversation, vec![b'x'; 200].into()).await?;
            let late = |_| BenchError::Wrong("a message was not answered".into());
            timeout(syncs::ANSWER_MAX, answered).await.map_err(late)??;
        }
    }
    Ok(Row {
        system: system.name(),
        version: running.version().to_owned(),
        release_year: running.release_year(),
        promises: system.promises(),
        syncs_per_message: syncs::per_message(&*running, &session, &direct, messages).await?,
        syncs_per_group_message: syncs::per_message(&*running, &session, &group, messages).await?,
    })
}

fn table(rows: &[Row]) -> Result<(), BenchError> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "Syncs are counted with strace, for each of many messages sent one after the other.\n")?;
    let mut line = |columns: [&str; 9]| {
        let [system, version, year, rest @ ..] = columns;
        let rest: Vec<_> = rest.iter().map(|column| format!("{column:<13}")).collect();
        writeln!(out, "{system:<12} {version:<10} {year:<7} {}", rest.join(" ").trim_end())
    };
    line([
        "system",
        "version",
        "release",
        "durable",
        "ordered",
        "archived",
        "exactly once",
        "syncs, direct",
        "syncs, group",
    ])?;
    let say = |kept: bool| if kept { "yes" } else { "no" };
    for row in rows {
        let kept = row.promises;
        line([
            row.system,
            &row.version,
            &row.release_year.to_string(),
            say(kept.durable),
            say(kept.ordered),
            say(kept.archived),
            say(kept.exactly_once),
            &format!("{:.2}", row.syncs_per_message),
            &format!("{:.2}", row.syncs_per_group_message),
        ])?;
    }
    Ok(())
}
