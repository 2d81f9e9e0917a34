//! The whole server, cut off at hundreds of moments: whatever it had answered is there.
//!
//! Server and clients run in one recorded process. What the server answered (`Accepted`, `Confirmed`) the
//! clients acknowledge to the recorder. Then the data folder is rebuilt as a power cut would have left it, a
//! server is started on it, and a client reads what is there.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use fulmar_interop_tests::power_cut::{Event, Recording, Replay, Survival, Trace};
use fulmar_interop_tests::{Delivered, Entrance, WireClient, contents::text, direct};
use fulmar_protocol::Seq;
use fulmar_server::{Clock, Config, Development, Rng, Server, ServerOptions, StoreFault};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;

use crate::power_cut_workload::{Acknowledged, Plan, WRITERS, body, writer_name};

/// Where folders are rebuilt: in memory, where there is any. What is opened there need not be durable.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A server on a data folder, with credentials from another.
pub(crate) async fn start(
    data: &Path,
    credentials: &Path,
    fault: Option<StoreFault>,
) -> Result<(Server, Entrance), String> {
    let mut config = Config::development();
    config.listen.address = (Ipv4Addr::LOCALHOST, 0).into();
    config.listen.admin = (Ipv4Addr::LOCALHOST, 0).into();
    config.store.cache_bytes = 4 * 1024 * 1024;
    config.store.write_buffer_bytes = 512 * 1024;
    Development::create_or_open(credentials, Clock::system()).unwrap().configure(&mut config);
    let keys = config.credentials().unwrap();
    let rng = Rng::from_os().unwrap();
    let mut options = ServerOptions::new(data.to_owned(), config, keys, Clock::system(), rng);
    options.store_fault = fault;
    let server =
        Server::start(options).await.map_err(|error| format!("the server does not start: {error}"))?;
    let entrance = Entrance::new(credentials, server.address(), Clock::system());
    Ok((server, entrance))
}

/// Records processes on one data folder, one after another.
fn record(folder: &Path, credentials: &Path, plans: &[Plan]) -> Trace {
    let recorded = folder.join("recording");
    std::fs::create_dir(&recorded).unwrap();
    let recording = Recording::new(recorded).unwrap();
    for plan in plans {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "power_cut_workload::process", "--ignored", "--nocapture"]);
        command.args(["--test-threads", "1"]);
        plan.tell(&mut command, credentials);
        recording.run(&mut command);
    }
    recording.trace()
}

/// About `count` moments, at which something was synced, acknowledged or named, from the first on at which
/// there is a store.
fn moments(trace: &Trace, count: usize, rng: &mut StdRng) -> BTreeSet<usize> {
    let of_interest = |event: &Event| {
        matches!(
            event,
            Event::SyncEnd { .. }
                | Event::Acknowledged(_)
                | Event::Create { .. }
                | Event::Remove { .. }
                | Event::Rename { .. }
        )
    };
    let events = trace.events();
    let all: Vec<_> = (1..=events.len()).filter(|moment| of_interest(&events[moment - 1])).collect();
    let step = (all.len() / count).max(1);
    let first = rng.random_range(0..step);
    all.into_iter().skip(first).step_by(step).chain([events.len()]).collect()
}

fn acknowledged(events: &[Event]) -> Vec<Acknowledged> {
    let acknowledged = events.iter().filter_map(|event| match event {
        Event::Acknowledged(bytes) => Some(Acknowledged::decode(bytes)),
        _ => None,
    });
    acknowledged.collect()
}

/// What is wrong on a data folder after a power cut, if anything is.
async fn check(data: &Path, credentials: &Path, acknowledged: &[Acknowledged]) -> Result<(), String> {
    let (server, entrance) = start(data, credentials, None).await?;
    let reader = entrance.connect("reader", 1).await;
    let mut result = Ok(());
    for writer in 0..WRITERS {
        result = result.and(check_writer(&reader, writer, acknowledged).await);
    }
    if result.is_ok() {
        goes_on(&entrance).await;
    }
    reader.goodbye();
    drop(server);
    result
}

async fn check_writer(reader: &WireClient, writer: u8, all: &[Acknowledged]) -> Result<(), String> {
    let name = writer_name(writer);
    let id = direct(&name, "reader");
    let own: Vec<_> = all.iter().filter(|acknowledged| acknowledged.writer == writer).collect();
    if own.is_empty() {
        return Ok(());
    }
    let exists = reader.inbox_item(id).await.is_some();
    let log = if exists { reader.whole_log(id).await } else { Vec::new() };
    let mut seen = BTreeSet::new();
    for item in &log {
        let Delivered::Entry(entry) = item else { return Err(format!("{name}: a hole: {item:?}")) };
        if !seen.insert(item.says()) {
            return Err(format!("{name}: {} is there twice", item.says()));
        }
        if entry.sender.as_str() != name {
            return Err(format!("{name}: an entry of {}", entry.sender));
        }
    }
    for acknowledged in own {
        let seq = usize::try_from(acknowledged.seq).unwrap();
        let there = log.get(seq.wrapping_sub(1));
        if acknowledged.is_mark {
            let (_, members) = reader.roster(id).await.map_err(|code| format!("{name}: {code:?}"))?;
            let read = members.iter().find(|member| member.user.as_str() == "reader").unwrap().read_seq;
            if read < Seq::new(acknowledged.seq) {
                return Err(format!("{name}: has lost a mark: {} confirmed, {read} there", acknowledged.seq));
            }
        } else if there.map(Delivered::says) != Some(body(acknowledged)) {
            return Err(format!("{name}: has lost an entry: seq {seq} of {}", log.len()));
        }
    }
    Ok(())
}

/// The server that was cut off takes new entries behind the old ones.
async fn goes_on(entrance: &Entrance) {
    let client = entrance.connect("newcomer", 1).await;
    let mut lane = client.direct("reader").await;
    let first = lane.send(&text("after the power cut")).await;
    assert_eq!(lane.send(&text("and on")).await, first + 1);
}

/// Cuts the power at many moments, each time in two ways; gives the number of points and what was wrong.
fn cut(trace: &Trace, credentials: &Path, points: usize, seed: u64) -> (usize, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut replay = Replay::new(trace);
    let (mut count, mut faults) = (0, Vec::new());
    for moment in moments(trace, points / 2, &mut StdRng::seed_from_u64(seed)) {
        replay.advance(moment);
        let acknowledged = acknowledged(&trace.events()[..moment]);
        for survival in [Survival::Nothing, Survival::Some { seed: seed ^ moment as u64 }] {
            let scratch = scratch();
            replay.rebuild(survival, scratch.path()).unwrap();
            count += 1;
            if let Err(fault) = runtime.block_on(check(scratch.path(), credentials, &acknowledged)) {
                faults.push(format!("cut after event {moment} ({survival:?} survived): {fault}"));
            }
        }
    }
    (count, faults)
}

fn seed() -> u64 {
    let given = std::env::var("FULMAR_CRASH_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let seed = given.unwrap_or_else(|| Rng::from_os().unwrap().number());
    println!("FULMAR_CRASH_SEED={seed}");
    seed
}

fn folders() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    (folder, credentials)
}

// FUL-SEND-14, FUL-MARK-3
#[test]
fn whatever_was_answered_survives_a_power_cut() {
    let seed = seed();
    let (folder, credentials) = folders();
    // The second finds what the first left when it was killed.
    let killed = Plan { number: 1, messages: 400, stop_after: Some(600), fault: None };
    let last = Plan { number: 2, messages: 120, stop_after: None, fault: None };
    let trace = record(folder.path(), &credentials, &[killed, last]);
    let all = acknowledged(trace.events());
    assert!(all.len() > 200 && all.iter().any(|acknowledged| acknowledged.is_mark), "{}", all.len());
    let (points, faults) = cut(&trace, &credentials, 240, seed);
    println!("{points} points, {} acknowledged in all", all.len());
    assert!(points >= 200, "{points}");
    assert!(faults.is_empty(), "{} of {points} points:\n{}", faults.len(), faults.join("\n"));
}

fn assert_found(fault: StoreFault, sign: &str) {
    let (folder, credentials) = folders();
    let plan = Plan { number: 1, messages: 100, stop_after: None, fault: Some(fault) };
    let trace = record(folder.path(), &credentials, &[plan]);
    let (points, faults) = cut(&trace, &credentials, 30, 1);
    println!("{} of {points} points lose something", faults.len());
    assert!(faults.iter().any(|found| found.contains(sign)), "{fault:?} goes unnoticed: {faults:?}");
}

#[test]
fn a_missing_sync_is_found() {
    // Of a journal that was never synced, any part may be there.
    assert_found(StoreFault::SkipSync, "is damaged");
}

#[test]
fn an_answer_before_the_sync_is_found() {
    assert_found(StoreFault::AnswerBeforeSync, "has lost an entry");
}
