//! The process that is recorded: a server, and clients that write, read and confirm.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use fulmar_interop_tests::{Entrance, contents::text, direct};
use fulmar_server::StoreFault;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::power_cut::start;

pub(crate) const WRITERS: u8 = 4;
const PIPELINED: u64 = 6;

/// One process's part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Tells processes apart: each writes with devices of its own.
    pub(crate) number: u8,
    /// For each writer.
    pub(crate) messages: u64,
    /// File operations after which it is killed.
    pub(crate) stop_after: Option<u64>,
    pub(crate) fault: Option<StoreFault>,
}

impl Plan {
    pub(crate) fn tell(self, command: &mut Command, credentials: &std::path::Path) {
        let fault = match self.fault {
            None => 0,
            Some(StoreFault::SkipSync) => 1,
            Some(StoreFault::AnswerBeforeSync) => 2,
            Some(other) => panic!("{other:?} is no fault for a workload"),
        };
        command.env("FULMAR_PLAN", format!("{} {} {fault}", self.number, self.messages));
        command.env("FULMAR_TEST_CREDENTIALS", credentials);
        if let Some(stop_after) = self.stop_after {
            command.env("FULMAR_RECORD_STOP_AFTER", stop_after.to_string());
        }
    }

    fn told() -> Option<Self> {
        let words = std::env::var("FULMAR_PLAN").ok()?;
        let numbers: Vec<u64> = words.split(' ').map(|word| word.parse().unwrap()).collect();
        let faults = [None, Some(StoreFault::SkipSync), Some(StoreFault::AnswerBeforeSync)];
        Some(Self {
            number: u8::try_from(numbers[0]).unwrap(),
            messages: numbers[1],
            stop_after: None,
            fault: faults[usize::try_from(numbers[2]).unwrap()],
        })
    }
}

/// Something that the server said is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) plan: u8,
    pub(crate) writer: u8,
    /// A read mark of the reader's at `seq`; otherwise the entry there.
    pub(crate) is_mark: bool,
    /// The writer's number for it.
    pub(crate) number: u64,
    pub(crate) seq: u64,
}

impl Acknowledged {
    fn encode(self) -> Vec<u8> {
        let mut bytes = vec![self.plan, self.writer, u8::from(self.is_mark)];
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let number = |range: std::ops::Range<usize>| u64::from_be_bytes(bytes[range].try_into().unwrap());
        Self {
            plan: bytes[0],
            writer: bytes[1],
            is_mark: bytes[2] == 1,
            number: number(3..11),
            seq: number(11..19),
        }
    }
}

pub(crate) fn writer_name(writer: u8) -> String {
    format!("writer{writer}")
}

/// What a message says: of different lengths, so that it falls across the blocks of a disk.
pub(crate) fn body(message: &Acknowledged) -> String {
    let Acknowledged { plan, writer, number, .. } = *message;
    let length = usize::try_from(number * 37 % 3_000).unwrap();
    format!("process {plan}, writer {writer}, number {number} {}", "x".repeat(length))
}

/// The file that acknowledgements go to.
#[derive(Clone)]
struct Acks(Arc<Mutex<std::fs::File>>);

impl Acks {
    fn open() -> Self {
        let path = std::env::var_os("FULMAR_RECORD_ACKS").unwrap();
        Self(Arc::new(Mutex::new(std::fs::File::options().append(true).open(path).unwrap())))
    }

    fn write(&self, acknowledged: Acknowledged) {
        self.0.lock().write_all(&acknowledged.encode()).unwrap();
    }
}

/// Not a test: the process that the tests run and record.
#[test]
#[ignore = "run by the other tests"]
fn process() {
    let Some(plan) = Plan::told() else { return };
    let folder = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let credentials = folder("FULMAR_TEST_CREDENTIALS");
        let (server, entrance) =
            start(&folder("FULMAR_RECORD_ROOT"), &credentials, plan.fault).await.unwrap();
        let (entrance, acks) = (Arc::new(entrance), Acks::open());
        let mut work = JoinSet::new();
        for writer in 0..WRITERS {
            work.spawn(write(Arc::clone(&entrance), acks.clone(), plan, writer));
        }
        work.spawn(read(Arc::clone(&entrance), acks.clone(), plan));
        work.join_all().await;
        server.shutdown().await;
    });
}

async fn write(entrance: Arc<Entrance>, acks: Acks, plan: Plan, writer: u8) {
    let client = entrance.connect(&writer_name(writer), plan.number).await;
    let mut lane = client.direct("reader").await;
    let message = |number| Acknowledged { plan: plan.number, writer, is_mark: false, number, seq: 0 };
    let mut put = 0;
    for number in 1..=plan.messages {
        while put < plan.messages && put < number - 1 + PIPELINED {
            put += 1;
            lane.put(put, &text(&body(&message(put)))).await;
        }
        let accepted = lane.answer().await.unwrap();
        assert_eq!(accepted.client_seq.get(), number);
        acks.write(Acknowledged { seq: accepted.seq.get(), ..message(number) });
    }
}

/// Reads along and confirms, and says that the user has read.
async fn read(entrance: Arc<Entrance>, acks: Acks, plan: Plan) {
    let mut reader = entrance.connect("reader", plan.number).await;
    for writer in 0..WRITERS {
        let id = direct(&writer_name(writer), "reader");
        let mut lane = reader.lane(id).await;
        for _ in 0..5 {
            let seq = lane.next.get() + plan.messages / 8;
            lane.up_to(seq).await;
            reader.have(id, seq).await;
            reader.read(id, seq).await;
            acks.write(Acknowledged { plan: plan.number, writer, is_mark: true, number: 0, seq });
        }
    }
}
