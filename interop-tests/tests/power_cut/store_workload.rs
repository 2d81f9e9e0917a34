//! A process that writes to a store: what it does, and what must be there after it.
//!
//! The transactions are numbered by a row that each of them counts up, so their order is known, and what each
//! does follows from its number alone. A state of the store is therefore right when it is exactly what the
//! transactions 1 to n make of an empty one.

use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use fulmar_server::{Health, KeyRange, RunError, Store, StoreError, StoreFault, StoreOptions, Transaction};
use rand::{Rng, SeedableRng, rngs::StdRng};

pub(crate) const COUNTER: &[u8] = b"n";

const WRITERS: u64 = 16;

/// One process's part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Transactions to do.
    pub(crate) transactions: u64,
    /// Longest value.
    pub(crate) value_bytes_max: usize,
    pub(crate) write_buffer_bytes: u64,
    pub(crate) compact_first: bool,
    /// File operations after which it is killed.
    pub(crate) stop_after: Option<u64>,
    pub(crate) fault: Option<StoreFault>,
    /// Bytes that it may write before the disk is full.
    pub(crate) space: Option<u64>,
    /// The sync that fails.
    pub(crate) failing_sync: Option<u64>,
}

impl Plan {
    pub(crate) fn small(transactions: u64) -> Self {
        Self {
            transactions,
            value_bytes_max: 60 * 1024,
            write_buffer_bytes: 512 * 1024,
            compact_first: false,
            stop_after: None,
            fault: None,
            space: None,
            failing_sync: None,
        }
    }

    /// This test binary, told to be the process.
    pub(crate) fn command(self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "store_workload::process",
            "--ignored",
            "--nocapture",
            "--test-threads",
            "1",
        ]);
        command.env("FULMAR_PLAN", self.to_words());
        if let Some(stop_after) = self.stop_after {
            command.env("FULMAR_RECORD_STOP_AFTER", stop_after.to_string());
        }
        if let Some(space) = self.space {
            command.env("FULMAR_RECORD_SPACE", space.to_string());
        }
        if let Some(failing_sync) = self.failing_sync {
            command.env("FULMAR_RECORD_SYNCS", failing_sync.to_string());
        }
        command
    }

    fn to_words(self) -> String {
        let fault = match self.fault {
            None => 0,
            Some(StoreFault::SkipSync) => 1,
            Some(StoreFault::AnswerBeforeSync) => 2,
            Some(other) => panic!("{other:?} is no fault for a workload"),
        };
        format!(
            "{} {} {} {} {fault} {} {}",
            self.transactions,
            self.value_bytes_max,
            self.write_buffer_bytes,
            u8::from(self.compact_first),
            self.space.unwrap_or(0),
            self.failing_sync.unwrap_or(0)
        )
    }

    fn from_words(words: &str) -> Self {
        let numbers: Vec<u64> = words.split(' ').map(|word| word.parse().unwrap()).collect();
        Self {
            transactions: numbers[0],
            value_bytes_max: numbers[1].try_into().unwrap(),
            write_buffer_bytes: numbers[2],
            compact_first: numbers[3] == 1,
            stop_after: None,
            fault: [None, Some(StoreFault::SkipSync), Some(StoreFault::AnswerBeforeSync)]
                [usize::try_from(numbers[4]).unwrap()],
            space: Some(numbers[5]).filter(|space| *space > 0),
            failing_sync: Some(numbers[6]).filter(|failing| *failing > 0),
        }
    }

    /// Whether the disk will fail it.
    fn is_to_fail(self) -> bool {
        self.space.is_some() || self.failing_sync.is_some()
    }

    fn options(self) -> StoreOptions {
        let mut options = StoreOptions::default();
        options.write_buffer_bytes = self.write_buffer_bytes;
        options.fault = self.fault;
        options
    }
}

/// Not a test: the process that the tests run and record.
#[test]
#[ignore = "run by the other tests"]
fn process() {
    let Some(plan) = std::env::var_os("FULMAR_PLAN") else { return };
    let plan = Plan::from_words(plan.to_str().unwrap());
    let root = std::env::var_os("FULMAR_RECORD_ROOT").unwrap();
    let folder = Path::new(&root).join("store");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    if plan.compact_first {
        Store::compact(&folder, &plan.options(), |_| ()).unwrap();
    }
    let store = match Store::open(&folder, plan.options()) {
        Err(StoreError::Folder { .. }) if plan.is_to_fail() => return,
        opened => opened.unwrap(),
    };
    runtime.block_on(write(&store, plan));
    if plan.is_to_fail() {
        runtime.block_on(assert_failed_but_readable(&store, plan));
    }
    runtime.block_on(store.close());
}

async fn write(store: &Store, plan: Plan) {
    let done = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> =
        (0..WRITERS).map(|_| tokio::spawn(write_some(store.clone(), plan, done.clone()))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write_some(store: Store, plan: Plan, done: Arc<AtomicU64>) {
    let acks = std::env::var_os("FULMAR_RECORD_ACKS").unwrap();
    let mut acks = std::fs::File::options().append(true).open(acks).unwrap();
    loop {
        let before = done.fetch_add(1, Ordering::Relaxed);
        if before >= plan.transactions {
            return;
        }
        let number = match transact(&store, plan.value_bytes_max).await {
            Ok(number) => number,
            Err(RunError::Store(StoreError::Failed { .. })) if plan.is_to_fail() => return,
            Err(error) => panic!("{error}"),
        };
        acks.write_all(&number.to_be_bytes()).unwrap();
    }
}

/// What a disk that fails must lead to: no more writes, and reads at the last good state.
async fn assert_failed_but_readable(store: &Store, plan: Plan) {
    let reason = match store.health() {
        Health::Failed { reason } => reason,
        // The sync that failed was one whose outcome nobody needs: of an empty journal that is closed.
        Health::Good if plan.space.is_none() => return,
        other => panic!("the disk has failed, but the store is {other:?}"),
    };
    assert!(reason.contains("failed"), "{reason}");
    let rows = everything(store).await.unwrap();
    let mut model = Model::new(plan.value_bytes_max);
    model.go_to(count(&rows));
    assert!(rows == model.rows, "not what the first {} transactions make", count(&rows));
}

pub(crate) fn count(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> u64 {
    rows.get(COUNTER).map_or(0, |count| u64::from_be_bytes(count.as_slice().try_into().unwrap()))
}

/// Does the next transaction, and tells its number.
pub(crate) async fn transact(store: &Store, value_bytes_max: usize) -> Result<u64, RunError<StoreError>> {
    let ran = store.run(move |tx| {
        Box::pin(async move {
            let count = tx.get(COUNTER).await?;
            let number = count.map_or(0, |count| u64::from_be_bytes(count.as_ref().try_into().unwrap())) + 1;
            tx.set(COUNTER, number.to_be_bytes().to_vec());
            steps(number, value_bytes_max).into_iter().for_each(|step| step.apply(tx));
            Ok::<_, StoreError>(number)
        })
    });
    ran.await
}

enum Step {
    Set(Vec<u8>, Vec<u8>),
    Clear(Vec<u8>),
    ClearRange(Vec<u8>, Vec<u8>),
    ByteMax(Vec<u8>, Vec<u8>),
}

fn steps(number: u64, value_bytes_max: usize) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(number);
    let key = |rng: &mut StdRng| vec![b'd', rng.random_range(0..200)];
    let count = rng.random_range(1..5);
    let mut steps: Vec<_> = (0..count)
        .map(|_| match rng.random_range(0..10) {
            0 => Step::Clear(key(&mut rng)),
            1 => {
                let start = rng.random_range(0..200);
                Step::ClearRange(vec![b'd', start], vec![b'd', start + rng.random_range(0..10)])
            }
            2 => Step::ByteMax(b"m".to_vec(), rng.random::<[u8; 8]>().to_vec()),
            _ => {
                let large = rng.random_ratio(1, 6);
                let length = rng.random_range(10..=if large { value_bytes_max } else { 400 });
                let mut value = vec![0; length];
                rng.fill(value.as_mut_slice());
                Step::Set(key(&mut rng), value)
            }
        })
        .collect();
    // What a batch may not leave out.
    steps.push(Step::Set([b"l".as_slice(), &number.to_be_bytes()].concat(), Vec::new()));
    steps
}

impl Step {
    fn apply(self, tx: &Transaction) {
        match self {
            Self::Set(key, value) => tx.set(&key, value),
            Self::Clear(key) => tx.clear(&key),
            Self::ClearRange(start, end) => tx.clear_range(start..end),
            Self::ByteMax(key, value) => tx.byte_max(&key, value),
        }
    }
}

/// What the transactions 1 to `number` make of an empty store.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) rows: BTreeMap<Vec<u8>, Vec<u8>>,
    number: u64,
    value_bytes_max: usize,
}

impl Model {
    pub(crate) fn new(value_bytes_max: usize) -> Self {
        Self { rows: BTreeMap::new(), number: 0, value_bytes_max }
    }

    pub(crate) fn go_to(&mut self, number: u64) {
        if number < self.number {
            *self = Self::new(self.value_bytes_max);
        }
        while self.number < number {
            self.number += 1;
            self.rows.insert(COUNTER.to_vec(), self.number.to_be_bytes().to_vec());
            for step in steps(self.number, self.value_bytes_max) {
                match step {
                    Step::Set(key, value) => drop(self.rows.insert(key, value)),
                    Step::Clear(key) => drop(self.rows.remove(&key)),
                    Step::ClearRange(start, end) => self.rows.retain(|key, _| *key < start || *key >= end),
                    Step::ByteMax(key, value) => {
                        if self.rows.get(&key).is_none_or(|present| *present < value) {
                            self.rows.insert(key, value);
                        }
                    }
                }
            }
        }
    }
}

/// Every row of a store.
pub(crate) async fn everything(store: &Store) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
    let snapshot = store.snapshot();
    let mut rows = BTreeMap::new();
    let mut range = KeyRange::all();
    loop {
        let page = snapshot.range(&range, 500, false).await?;
        let Some((last, _)) = page.last() else { return Ok(rows) };
        range = range.after(last);
        rows.extend(page.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
    }
}
