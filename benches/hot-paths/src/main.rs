//! Micro-benchmarks of the hot paths: the codec, the append, the lanes.
//!
//! One list of cases serves two ends: `cargo bench` measures their times with criterion, and `cargo xtask instructions`
//! counts their instructions under callgrind, one case a process, and compares the counts with `instructions.toml`.
//!
//! | file | what |
//! |---|---|
//! | `codec` | frames, datagrams and hints between nodes |
//! | `append` | a conversation's log, on the store in memory |
//! | `exchange` | real clients and a real server on the simulated network; in it, single tasks |
//!
//! Nothing here depends on the machine: no sockets, no disk, no real time, no threads.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot run is to stop")]

mod append;
mod codec;
mod exchange;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use fulmar_protocol::{Content, ContentType, Message};

/// Bytes of a message's text, where nothing else is said.
const BODY_BYTES: usize = 200;
/// As few as criterion takes: a case takes many operations at once.
const SAMPLES: usize = 10;

/// What is measured, made ready: each call does the case's operations once.
type Run = Box<dyn FnMut()>;

/// Something that is measured.
struct Case {
    /// `group/what`.
    name: &'static str,
    /// What a run does so many times: counts and times are those of one of these.
    operations: u32,
    prepare: fn() -> Run,
    /// The function in which instructions are counted, as callgrind knows it; none: in all of a run.
    within: Option<&'static str>,
}

fn cases() -> impl Iterator<Item = Case> {
    codec::CASES.into_iter().chain(append::CASES).chain(exchange::CASES)
}

/// An encoded message of so many bytes of text.
fn content(bytes: usize) -> Bytes {
    let body = Bytes::from(vec![b'x'; bytes]);
    Content::Message(Message { content_type: ContentType::plain_text(), body, reply_to: None }).encode()
}

/// Where callgrind counts, whatever the name is mangled to.
const WHOLE_RUN: &str = "*counted_instructions*";

/// Callgrind is told its name, so that nothing before or after is in the count.
#[inline(never)]
fn counted_instructions(run: &mut dyn FnMut()) {
    run();
    black_box(());
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("list"), None) => {
            for case in cases() {
                println!("{} {} {}", case.name, case.operations, case.within.unwrap_or(WHOLE_RUN));
            }
        }
        (Some("count"), Some(name)) => {
            let Some(case) = cases().find(|case| case.name == name) else {
                eprintln!("hot_paths: there is no case {name}: `hot_paths list` names them");
                return ExitCode::FAILURE;
            };
            counted_instructions(&mut (case.prepare)());
        }
        _ => measure_times(),
    }
    ExitCode::SUCCESS
}

fn measure_times() {
    let criterion = Criterion::default().sample_size(SAMPLES).measurement_time(Duration::from_secs(3));
    let mut criterion = criterion.configure_from_args();
    // What is counted within one function has no time of its own.
    for case in cases().filter(|case| case.within.is_none()) {
        let (group, name) = case.name.split_once('/').expect("a group");
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(case.operations.into()));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(case.prepare, |run| run(), BatchSize::PerIteration);
        });
        group.finish();
    }
    criterion.final_summary();
}
