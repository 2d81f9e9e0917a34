//! The store alone, cut off at hundreds of moments.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use fulmar_interop_tests::power_cut::{Event, Replay, Survival, Trace, record};
use fulmar_server::{Store, StoreFault, StoreOptions};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tempfile::TempDir;

use crate::store_workload::{COUNTER, Model, Plan, everything, transact};

/// Where folders are rebuilt: in memory, where there is such a place. What is opened there need not be durable.
fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

/// The moments to cut at: after each sync and each acknowledgement (where most could be lost), and random ones;
/// `count` of them, evenly taken.
fn moments(trace: &Trace, count: usize, seed: u64) -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut moments: Vec<_> = trace
        .events()
        .iter()
        .enumerate()
        .filter(|(_, event)| {
            matches!(event, Event::SyncEnd { .. } | Event::Acknowledged(_)) || rng.random_ratio(1, 4)
        })
        .map(|(index, _)| index + 1)
        .collect();
    let step = (moments.len() / count).max(1);
    let offset = rng.random_range(0..step);
    moments = moments.into_iter().skip(offset).step_by(step).collect();
    moments.push(trace.events().len());
    moments
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
    let count = rows.get(COUNTER).map_or(0, |count| u64::from_be_bytes(count.as_slice().try_into().unwrap()));
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
        let number = runtime.block_on(transact(&store, 1000));
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

fn assert_survives(plans: &[Plan], points: usize) {
    let trace = record_plans(plans);
    let events = trace.events().len();
    let outcome = cut(&trace, plans[0], points);
    println!("{} points among {events} events", outcome.points);
    let faults = &outcome.faults;
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), outcome.points, faults.join("\n"));
}

#[test]
fn nothing_acknowledged_is_lost() {
    assert_survives(&[Plan::small(400)], 300);
}

/// What was in the page cache when a process was killed is seen by the next one, and must be synced before
/// anybody else sees it.
#[test]
fn nothing_acknowledged_is_lost_across_kills() {
    let plan = Plan { stop: true, ..Plan::small(100) };
    assert_survives(&[plan, plan, plan], 200);
}

#[test]
fn nothing_acknowledged_is_lost_around_a_compaction() {
    let plan = Plan { stop: true, ..Plan::small(60) };
    assert_survives(&[plan, Plan { compact_first: true, ..plan }, Plan { compact_first: true, ..plan }], 150);
}

/// Enough for journals to be rotated and deleted.
#[test]
fn nothing_acknowledged_is_lost_over_many_journals() {
    let plan = Plan { write_buffer_bytes: 4 * 1024 * 1024, ..Plan::small(9000) };
    assert_survives(&[plan], 40);
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
