//! `fulmar demo`: watch people talk, lose their connection, come back and miss nothing.
//!
//! Everything is real but the distance: a whole server with its store on disk, clients with state folders,
//! UDP sockets on loopback, TLS with an authority made for the occasion. What is said at the end is computed
//! from what every device wrote down and from what the server answered; nothing is assumed.

mod account;
mod acts;
mod device;
mod device_log;
mod forwarder;
mod latencies;
mod ledger;
mod sending;
mod world;

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use crate::demo::account::Account;
use crate::demo::acts::Measured;
use crate::demo::latencies::{in_words, micros};
use crate::demo::ledger::Verdict;
use crate::demo::world::World;
use crate::failure::Failure;
use crate::output;

/// How many messages a part of the demonstration has at least.
const PART_MIN: u64 = 10;
/// The parts that share the messages.
const PARTS: u64 = 5;

/// Watch people talk, lose their connection, come back and miss nothing
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fulmar demo\n  fulmar demo --json --messages 20000\n\n\
                  Runs a server, four devices of three people and a network that is cut, all in this process, \
                  over UDP on loopback. With --json one object at the end: accepted, delivered, lost, \
                  duplicated, out_of_order, caught_up_offline, p50_us, p99_us and more. Exit code 1 when \
                  anything was lost, duplicated or out of order.")]
pub(crate) struct Arguments {
    /// Print one JSON object at the end, and nothing else
    #[arg(long)]
    json: bool,
    /// About how many messages to send in all; at least 50 are sent
    #[arg(long, value_name = "N", default_value_t = 2_500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    messages: u64,
}

/// What scripts are told.
#[derive(Debug, Serialize)]
struct Summary {
    accepted: u64,
    delivered: u64,
    lost: u64,
    duplicated: u64,
    out_of_order: u64,
    caught_up_offline: u64,
    p50_us: u64,
    p99_us: u64,
    accepted_p50_us: u64,
    accepted_p99_us: u64,
    handed_again_after_crash: u64,
    duration_ms: u64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let started = Instant::now();
    let part = (arguments.messages / PARTS).max(PART_MIN);
    let account = Account::begin(arguments.json, part.saturating_mul(PARTS));
    let mut world = Box::pin(World::set_up()).await?;
    let mut measured = Measured::default();
    let played = tokio::select! {
        played = Box::pin(play(&mut world, &account, part, &mut measured)) => played,
        () = crate::signals::interrupted() => Err(Failure::failed("interrupted; run it again to see the end")),
    };
    account.end();
    let verdict = world.verdict();
    let torn_down = Box::pin(world.tear_down()).await;
    played?;
    torn_down?;
    let summary = summary(&verdict, &measured, started);
    if arguments.json {
        output::json(&summary)?;
    } else {
        tell(&summary)?;
    }
    judge(&verdict)
}

/// The acts, one after another.
async fn play(
    world: &mut World,
    account: &Account,
    part: u64,
    measured: &mut Measured,
) -> Result<(), Failure> {
    Box::pin(acts::connect(world, account)).await?;
    Box::pin(acts::talk(world, account, part, measured)).await?;
    Box::pin(acts::look(world, account)).await?;
    let group = Box::pin(acts::group(world, account, part)).await?;
    Box::pin(acts::away(world, account, group, part, measured)).await?;
    Box::pin(acts::darkness(world, account, part)).await?;
    Box::pin(acts::death(world, account, part)).await?;
    account.now("comparing logs");
    world.settle().await
}

fn summary(verdict: &Verdict, measured: &Measured, started: Instant) -> Summary {
    Summary {
        accepted: verdict.accepted,
        delivered: verdict.delivered,
        lost: verdict.lost,
        duplicated: verdict.duplicated,
        out_of_order: verdict.out_of_order,
        caught_up_offline: measured.caught_up_offline,
        p50_us: micros(measured.received.percentile(50)),
        p99_us: micros(measured.received.percentile(99)),
        accepted_p50_us: micros(measured.accepted.percentile(50)),
        accepted_p99_us: micros(measured.accepted.percentile(99)),
        handed_again_after_crash: verdict.handed_again,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

fn tell(summary: &Summary) -> Result<(), Failure> {
    let millis = |micros| in_words(std::time::Duration::from_micros(micros));
    let Summary { accepted, delivered, lost, duplicated, out_of_order, caught_up_offline, .. } = summary;
    output::line("")?;
    output::line(format!("accepted        {accepted:>8} messages, durable on the server"))?;
    output::line(format!("delivered       {delivered:>8} copies, to four devices of three people"))?;
    output::line(format!("caught up       {caught_up_offline:>8} messages, sent while bob was away"))?;
    output::line(format!("lost            {lost:>8}"))?;
    output::line(format!("duplicated      {duplicated:>8}"))?;
    output::line(format!("out of order    {out_of_order:>8}"))?;
    let (p50, p99) = (millis(summary.p50_us), millis(summary.p99_us));
    output::line(format!("send to receive  p50 {p50}, p99 {p99}"))?;
    let (p50, p99) = (millis(summary.accepted_p50_us), millis(summary.accepted_p99_us));
    output::line(format!("send to accepted p50 {p50}, p99 {p99}"))?;
    let seconds = std::time::Duration::from_millis(summary.duration_ms).as_secs_f64();
    output::line(format!("in {seconds:.1} s"))
}

fn judge(verdict: &Verdict) -> Result<(), Failure> {
    let Verdict { lost, duplicated, out_of_order, .. } = verdict;
    if lost | duplicated | out_of_order == 0 {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "an invariant was broken: {lost} lost, {duplicated} duplicated, {out_of_order} out of order; please \
         report it"
    )))
}
