//! The server is killed again and again while 20,000 messages are being sent.
//!
//! The clients speak the wire themselves, so that what is asserted is the protocol's promise and nothing that a
//! client library makes good: every answer is held against the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fulmar_interop_tests::{
    Delivered, SendLane, WireClient,
    contents::{create_group, group, text},
    direct, within,
};
use fulmar_protocol::{ClientSeq, ConversationId, Frame, HistoryPolicy, Send};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::{RwLock, watch};

use crate::server_process::ServerProcess;

const WRITERS: u64 = 8;
/// For each writer, to the reader alone and to a group of all of them.
const MESSAGES: u64 = 1_250;
const KILLS: u32 = 6;

/// What the tasks of a run share.
struct Run {
    server: RwLock<ServerProcess>,
    /// Counts the kills.
    killed: watch::Sender<u32>,
    accepted: AtomicU64,
}

/// One writer's way to one conversation, across all its connections.
struct Writer {
    name: String,
    id: ConversationId,
    peer: Option<&'static str>,
    /// By client seq: the seq that the server said.
    accepted: BTreeMap<u64, u64>,
}

fn body(writer: &str, number: u64) -> String {
    format!("{writer} says {number}")
}

impl Writer {
    /// Sends all messages, in order, sending again after each kill what was not answered.
    async fn write(mut self, run: Arc<Run>, device: u8, first: u64) -> Self {
        let last = first + MESSAGES - 1;
        while !self.accepted.contains_key(&last) {
            let mut killed = run.killed.subscribe();
            killed.mark_unchanged();
            let client = run.server.read().await.try_connect(&self.name, device).await;
            if let Ok(client) = client {
                tokio::select! {
                    () = self.write_until_answered(&run, &client, first, last) => {}
                    _ = killed.changed() => client.vanish(),
                }
            }
            // Back once the server is: the lock is held while it is not.
        }
        self
    }

    async fn write_until_answered(&mut self, run: &Run, client: &WireClient, first: u64, last: u64) {
        let mut lane = client.send_lane(self.id, self.peer).await;
        let mut next = self.accepted.last_key_value().map_or(first, |(number, _)| number + 1);
        let mut awaited = next;
        while awaited <= last {
            while next <= last && next < awaited + 64 {
                if put(&mut lane, next, &body(&self.name, next)).await.is_err() {
                    return;
                }
                next += 1;
            }
            let answer = match lane.stream.next().await {
                Ok(Frame::Accepted(answer)) => answer,
                Ok(other) => panic!("{}: {other:?}", self.name),
                Err(_) => return,
            };
            assert_eq!(answer.client_seq.get(), awaited, "{}: answers in order", self.name);
            self.accepted.insert(awaited, answer.seq.get());
            run.accepted.fetch_add(1, Ordering::Relaxed);
            awaited += 1;
        }
    }
}

async fn put(lane: &mut SendLane, number: u64, body: &str) -> Result<(), ()> {
    let send = Send { client_seq: ClientSeq::new(number), content: text(body).encode() };
    lane.stream.try_write(&Frame::Send(send)).await.map_err(|_| ())
}

/// Kills the server at random moments, told by how much was accepted and then by time.
async fn kill_again_and_again(run: Arc<Run>, mut rng: StdRng) {
    let total = 2 * WRITERS * MESSAGES;
    let mut moments: Vec<u64> = (0..KILLS).map(|_| rng.random_range(total / 50..total)).collect();
    moments.sort_unstable();
    for moment in moments {
        while run.accepted.load(Ordering::Relaxed) < moment {
            // A real wait: what is counted here tells nobody.
            tokio::time::sleep(Duration::from_micros(rng.random_range(100..2_000))).await;
        }
        let mut server = run.server.write().await;
        tokio::task::block_in_place(|| server.kill_and_start_again());
        run.killed.send_modify(|killed| *killed += 1);
    }
}

fn seed() -> u64 {
    let given = std::env::var("FULMAR_CRASH_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let seed = given.unwrap_or_else(|| fulmar_server::Rng::from_os().unwrap().number());
    println!("FULMAR_CRASH_SEED={seed}");
    seed
}

// FUL-SEND-12, FUL-SEND-13, FUL-SEND-14, FUL-CONV-6, FUL-LANE-8
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_accepted_message_is_there_once_and_in_order_after_kills_at_random_moments() {
    let rng = StdRng::seed_from_u64(seed());
    let data = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(data.path());
    let together = group("founder", 1);
    let names: Vec<String> = (0..WRITERS).map(|number| format!("writer{number}")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).chain(["reader"]).collect();
    let founder = server.connect("founder", 1).await;
    founder.group(together).await.send(&create_group(1, &members, HistoryPolicy::All)).await;
    founder.goodbye();
    let run = Arc::new(Run {
        server: RwLock::new(server),
        killed: watch::Sender::new(0),
        accepted: AtomicU64::new(0),
    });
    let killing = tokio::spawn(kill_again_and_again(Arc::clone(&run), rng));
    let mut writing = tokio::task::JoinSet::new();
    for name in &names {
        let to_reader = (direct(name, "reader"), Some("reader"), 1);
        for (id, peer, device) in [to_reader, (together, None, 2)] {
            let writer = Writer { name: name.clone(), id, peer, accepted: BTreeMap::new() };
            writing.spawn(writer.write(Arc::clone(&run), device, 1));
        }
    }
    let deadline = Duration::from_secs(120);
    let written = fulmar_interop_tests::within_time(deadline, "all answers", writing.join_all()).await;
    within("the last kill", killing).await.unwrap();
    let server = run.server.read().await;
    let reader = server.connect("reader", 1).await;
    for writer in &written {
        assert_log_holds(&reader, writer).await;
    }
    let whole = reader.whole_log(together).await;
    assert_eq!(whole.len() as u64, 1 + WRITERS * MESSAGES, "each message once");
    println!("killed {} times", *run.killed.borrow());
}

/// Every message of a writer is in the log once, in order, at the seq that its answer named.
async fn assert_log_holds(reader: &WireClient, writer: &Writer) {
    let log = reader.whole_log(writer.id).await;
    let own: Vec<_> = log
        .iter()
        .filter_map(|item| match item {
            Delivered::Entry(entry) if entry.sender.as_str() == writer.name => Some((entry, item.says())),
            _ => None,
        })
        .collect();
    let name = &writer.name;
    assert_eq!(own.len() as u64, MESSAGES, "{name}: each message once");
    for (number, (entry, says)) in (1..).zip(own) {
        assert_eq!(says, body(name, number), "in order");
        assert_eq!(entry.client_seq.get(), number);
        assert_eq!(writer.accepted.get(&number), Some(&entry.seq.get()), "{name}: where it was said to be");
    }
}
