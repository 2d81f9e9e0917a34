//! The store alone, cut off at hundreds of moments.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    ops::Range,
    path::{Path, PathBuf},
};

use fulmar_interop_tests::power_cut::{Event, Replay, Survival, Trace, record};
use fulmar_server::{Store, StoreFault, StoreOptions};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tempfile::TempDir;

use crate::store_workload::{COUNTER, Model, Plan, count, everything, transact};

/// Where folders are rebuilt: in memory, where there is room. What is opened there need not be durable.
fn scratch() -> TempDir {
    const ROOM_BYTES: u64 = 1 << 30;
    let memory = "/dev/shm";
    let has_room = rustix::fs::statvfs(memory).is_ok_and(|fs| fs.f_bavail * fs.f_frsize > ROOM_BYTES);
    if has_room { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

/// The moments to cut at, about `count`: half of them after syncs and acknowledgements, where most could be
/// lost, and at random; half of them around changes of names, where files come and go.
fn moments(trace: &Trace, count: usize, seed: u64) -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut synced, mut named) = (Vec::new(), Vec::new());
    for (index, event) in trace.events().iter().enumerate() {
        match event {
            Event::SyncEnd { .. } | Event::Acknowledged(_) => synced.push(index + 1),
            Event::Create { .. } | Event::Remove { .. } | Event::Rename { .. } => {
                named.extend([index + 1, index + 2]);
            }
            _ if rng.random_ratio(1, 4) => synced.push(index + 1),
            _ => {}
        }
    }
    let mut moments = BTreeSet::from([trace.events().len()]);
    for moments_of_kind in [synced, named] {
        let step = (moments_of_kind.len() / (count / 2)).max(1);
        moments.extend(moments_of_kind.into_iter().skip(rng.random_range(0..step)).step_by(step));
    }
    moments.into_iter().filter(|moment| *moment <= trace.events().len()).collect()
}

/// The last transaction acknowledged among the first events. They are acknowledged out of order, but durable in
/// order.
fn acknowledged(events: &[Event]) -> u64 {
    let numbers = events.iter().filter_map(|event| match event {
        Event::Acknowledged(number) => number.as_slice().try_into().ok().map(u64::from_be_bytes),
        _ => None,
    });
    numbers.max().unwrap_or(0)
}

/// What is wrong with the store after a power cut, if anything is.
fn check(folder: &Path, acknowledged: u64, model: &mut Model, goes_on: bool) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = Store::open(folder, options()).map_err(|error| format!("does not open: {error}"))?;
    let rows = runtime.block_on(everything(&store)).map_err(|error| format!("is not readable: {error}"))?;
    let count = count(&rows);
    if count < acknowledged {
        return Err(format!("has lost transactions: {acknowledged} acknowledged, {count} there"));
    }
    model.go_to(count);
    if rows != model.rows {
        let differs = |key: &&Vec<u8>| rows.get(*key) != model.rows.get(*key);
        let keys: Vec<_> = rows.keys().chain(model.rows.keys()).filter(differs).take(5).collect();
        return Err(format!("is not what the first {count} transactions make; see {keys:?}"));
    }
    if goes_on {
        let number = runtime.block_on(transact(&store, 1000)).unwrap();
        drop(store);
        let store =
            Store::open(folder, options()).map_err(|error| format!("does not open again: {error}"))?;
        let value = runtime.block_on(store.snapshot().get(COUNTER)).unwrap().unwrap();
        if value != number.to_be_bytes().as_slice() {
            return Err("lost what it took after the power cut".into());
        }
    }
    Ok(())
}

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.write_buffer_bytes = 512 * 1024;
    options
}

/// Rebuilds once more, to be looked at.
fn keep_rebuilt(replay: &Replay<'_>, survival: Survival, folder: &OsStr) -> PathBuf {
    let kept = TempDir::new_in(folder).unwrap().keep();
    replay.rebuild(survival, &kept).unwrap();
    kept
}

struct Outcome {
    points: usize,
    faults: Vec<String>,
}

/// Cuts the power at many moments, each time in two ways.
fn cut(trace: &Trace, plan: Plan, points: usize) -> Outcome {
    let mut outcome = Outcome { points: 0, faults: Vec::new() };
    let mut replay = Replay::new(trace);
    let mut model = Model::new(plan.value_bytes_max);
    for moment in moments(trace, points / 2, 1) {
        replay.advance(moment);
        let acknowledged = acknowledged(&trace.events()[..moment]);
        for survival in [Survival::Nothing, Survival::Some { seed: moment as u64 }] {
            let scratch = scratch();
            replay.rebuild(survival, scratch.path()).unwrap();
            outcome.points += 1;
            let goes_on = outcome.points.is_multiple_of(10);
            if let Err(fault) = check(&scratch.path().join("store"), acknowledged, &mut model, goes_on) {
                let fault = format!("cut after event {moment} ({survival:?} survived): the store {fault}");
                let fault = match std::env::var_os("FULMAR_KEEP") {
                    Some(keep) => {
                        format!("{fault}; kept in {}", keep_rebuilt(&replay, survival, &keep).display())
                    }
                    None => fault,
                };
                outcome.faults.push(fault);
            }
        }
    }
    outcome
}

fn record_plans(plans: &[Plan]) -> Trace {
    let folder = tempfile::tempdir().unwrap();
    let mut commands: Vec<_> = plans.iter().map(|plan| plan.command()).collect();
    record(folder.path(), &mut commands)
}

/// Records the plans, one process after another, and cuts the power at about so many points.
fn assert_survives(plans: &[Plan], points: usize) -> Trace {
    let trace = record_plans(plans);
    let outcome = cut(&trace, plans[0], points);
    println!("{} points among {} events", outcome.points, trace.events().len());
    let faults = &outcome.faults;
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), outcome.points, faults.join("\n"));
    trace
}

fn made(trace: &Trace, wanted: impl Fn(&str) -> bool) -> usize {
    let wanted = |event: &&Event| match event {
        Event::Create { name, .. } => wanted(&String::from_utf8_lossy(name)),
        _ => false,
    };
    trace.events().iter().filter(wanted).count()
}

fn is_table(name: &str) -> bool {
    name.parse::<u64>().is_ok()
}

fn is_journal(name: &str) -> bool {
    name.ends_with(".jnl")
}

#[test]
fn nothing_acknowledged_is_lost() {
    let trace = assert_survives(&[Plan::small(400)], 300);
    assert!(made(&trace, is_table) >= 4, "too few tables were written");
}

/// `FULMAR_SEEDS=0..1000` looks further than the usual run, and `FULMAR_KEEP=FOLDER` keeps what was found there.
fn seeds() -> Range<u64> {
    let Ok(seeds) = std::env::var("FULMAR_SEEDS") else { return 0..6 };
    let (first, last) = seeds.split_once("..").expect("FULMAR_SEEDS is FIRST..LAST");
    first.parse().unwrap()..last.parse().unwrap()
}

/// Processes that are killed at random moments, then one that is not. What is in the page cache when one is
/// killed is seen by the next, and must be synced before anybody else sees it.
fn assert_survives_kills(compact_first: bool) {
    for seed in seeds() {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut killed =
            || Plan { compact_first, stop_after: Some(rng.random_range(10..400)), ..Plan::small(1000) };
        // The first has nothing to compact.
        let plans = [Plan { compact_first: false, ..killed() }, killed(), killed(), Plan::small(50)];
        println!("seed {seed}");
        assert_survives(&plans, 60);
    }
}

#[test]
fn nothing_acknowledged_is_lost_across_kills() {
    assert_survives_kills(false);
}

#[test]
fn nothing_acknowledged_is_lost_around_a_compaction() {
    assert_survives_kills(true);
}

/// Enough for journals to be rotated and deleted.
#[test]
fn nothing_acknowledged_is_lost_over_many_journals() {
    let plan = Plan { write_buffer_bytes: 4 * 1024 * 1024, ..Plan::small(9_000) };
    let trace = assert_survives(&[plan], 60);
    assert!(made(&trace, is_journal) >= 2, "no journal was rotated");
}

fn assert_found(fault: StoreFault) {
    let plan = Plan { fault: Some(fault), ..Plan::small(100) };
    let outcome = cut(&record_plans(&[plan]), plan, 100);
    let lost = outcome.faults.iter().filter(|fault| fault.contains("has lost transactions")).count();
    println!("{lost} of {} points lose transactions", outcome.points);
    assert!(lost > 0, "{fault:?} goes unnoticed");
}

#[test]
fn a_missing_sync_is_found() {
    assert_found(StoreFault::SkipSync);
}

#[test]
fn an_answer_before_the_sync_is_found() {
    assert_found(StoreFault::AnswerBeforeSync);
}

/// The disk fills up at different moments: while a journal is written, or a table, or a list of tables.
#[test]
fn a_full_disk_loses_nothing() {
    for space in (0..12_u64).map(|step| 200_000 + step * 150_001) {
        let plan = Plan { space: Some(space), ..Plan::small(u64::MAX) };
        let trace = record_plans(&[plan]);
        let mut replay = Replay::new(&trace);
        replay.advance(trace.events().len());
        let acknowledged = acknowledged(trace.events());
        for survival in [Survival::Nothing, Survival::Everything] {
            let scratch = scratch();
            replay.rebuild(survival, scratch.path()).unwrap();
            let checked = check(
                &scratch.path().join("store"),
                acknowledged,
                &mut Model::new(plan.value_bytes_max),
                true,
            );
            assert_eq!(checked, Ok(()), "full after {space} bytes, {survival:?} survived");
        }
    }
}

/// After a sync that failed, the next process sees what was not written, and the system says that it is. That
/// process is given time to build on it before the power is cut.
#[test]
fn a_failed_sync_loses_nothing_afterwards() {
    for failing_sync in seeds().map(|seed| 5 + seed * 19 % 240) {
        let plan = Plan { failing_sync: Some(failing_sync), ..Plan::small(1000) };
        println!("sync {failing_sync} fails");
        assert_survives(&[plan, Plan::small(60)], 40);
    }
}
