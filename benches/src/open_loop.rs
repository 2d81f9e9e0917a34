//! Open-loop load: a message is due at a moment that a schedule says, whatever became of those before it, and its
//! latency counts from that moment, whenever it really left. So a server that stands still for a second makes every
//! message late that was due in that second, not one.
//!
//! Each message begins with its number in the schedule as 16 hexadecimal digits, by which its arrival is known.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    error::BenchError,
    figures::{Figures, Times, as_f64},
    system::{Arrival, ConversationHandle, Running, Sender},
    usage::Usage,
};

/// The least that a message's number needs.
pub(crate) const BYTES_MIN: usize = 16;
/// How long after the last one was due a message may still come before it is missing.
const GRACE: Duration = Duration::from_secs(60);
/// Before its first message a sender is given time to be ready.
const LEAD: Duration = Duration::from_millis(200);
/// The clock of the runtime is no finer than a millisecond: the rest is waited for by looking again and again.
const CLOCK_STEP: Duration = Duration::from_micros(1_200);

/// What is due when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Messages a second in each conversation.
    pub(crate) per_second: f64,
    /// For how long, the warming up included.
    pub(crate) time: Duration,
    /// What is due so early warms up, and is not counted.
    pub(crate) warm_up: Duration,
    /// Of each message.
    pub(crate) bytes: usize,
    /// Where in its period each conversation begins follows from it.
    pub(crate) seed: u64,
    /// The server is stopped for so long in the middle, to see that the latencies tell.
    pub(crate) stall: Option<Duration>,
}

impl Schedule {
    /// When each message of a conversation is due, from the start on.
    fn due(&self, rng: &mut StdRng) -> Vec<Duration> {
        let period = Duration::from_secs_f64(1.0 / self.per_second.max(1e-6));
        let first = period.mul_f64(rng.random_range(0.0..1.0));
        let next = |before: &Duration| Some(*before + period);
        std::iter::successors(Some(first), next).take_while(|due| *due < self.time).collect()
    }
}

/// What became of it.
#[derive(Debug, Clone)]
pub(crate) struct Delivered {
    /// From when a message was due to when the receiver's library gave it out.
    pub(crate) arrived: Times,
    /// From when a message was due to when its sender was answered.
    pub(crate) accepted: Times,
    /// Messages that were sent, those of the warming up included.
    pub(crate) sent: u64,
    /// Messages that never came. They count as having taken as long as was waited.
    pub(crate) missing: u64,
}

impl Delivered {
    pub(crate) fn to_figures(&self) -> Figures {
        let mut figures = Figures::default();
        figures.set_times(&self.arrived, ["p50_us", "p99_us", "p999_us"]);
        figures.set_curve("percentiles_us", &self.arrived);
        figures.set("p95_us", self.arrived.us(0.95));
        figures.set_times(&self.accepted, ["accepted_p50_us", "accepted_p99_us", "accepted_p999_us"]);
        figures.set("messages", as_f64(self.sent));
        figures.set("missing", as_f64(self.missing));
        figures
    }
}

/// What the tasks write down.
struct Record {
    start: Instant,
    warm_up: Duration,
    /// By number: when due, and whether it has come.
    messages: Vec<(Duration, bool)>,
    waiting: usize,
    arrived: Times,
    accepted: Times,
}

impl Record {
    fn arrival(&mut self, arrival: &Arrival) {
        let start = self.start.into_std();
        let Some((due, came)) = number_of(&arrival.body).and_then(|number| self.messages.get_mut(number))
        else {
            return;
        };
        if !std::mem::replace(came, true) {
            self.waiting -= 1;
            if *due >= self.warm_up {
                self.arrived.record(arrival.at.saturating_duration_since(start + *due));
            }
        }
    }
}

/// Runs a schedule against a server, in conversations that each have a sender; the arrivals are those of all who
/// receive.
pub(crate) async fn run(
    running: &dyn Running,
    flows: Vec<(Arc<dyn Sender>, ConversationHandle)>,
    arrivals: Vec<mpsc::Receiver<Arrival>>,
    schedule: Schedule,
) -> Result<(Delivered, Figures), BenchError> {
    run_on(running.processes(), flows, arrivals, schedule).await
}

/// The same, of a server of which only the processes are known.
pub(crate) async fn run_on(
    processes: Vec<u32>,
    flows: Vec<(Arc<dyn Sender>, ConversationHandle)>,
    arrivals: Vec<mpsc::Receiver<Arrival>>,
    schedule: Schedule,
) -> Result<(Delivered, Figures), BenchError> {
    let mut rng = StdRng::seed_from_u64(schedule.seed);
    let due: Vec<_> = flows.iter().map(|_| schedule.due(&mut rng)).collect();
    let messages: Vec<_> = due.iter().flatten().map(|due| (*due, false)).collect();
    let (start, sent) = (Instant::now() + LEAD, messages.len());
    let record = Arc::new(Mutex::new(Record {
        start,
        warm_up: schedule.warm_up,
        waiting: messages.len(),
        messages,
        arrived: Times::new()?,
        accepted: Times::new()?,
    }));
    let all_came = Arc::new(Notify::new());
    let mut receiving = JoinSet::new();
    for arrivals in arrivals {
        receiving.spawn(receive(arrivals, Arc::clone(&record), Arc::clone(&all_came)));
    }
    let before = Usage::of(&processes)?;
    // A session ends with its sender, and what is still on its way to it would be lost.
    let _senders: Vec<_> = flows.iter().map(|(sender, _)| Arc::clone(sender)).collect();
    let mut sending = JoinSet::new();
    let mut first = 0;
    for ((sender, to), due) in flows.into_iter().zip(due) {
        let next = first + due.len();
        let flow = Flow { sender, to, first, due, schedule, record: Arc::clone(&record) };
        sending.spawn(flow.send());
        first = next;
    }
    let stalling = async {
        match schedule.stall {
            Some(stall) => stop_for(&processes, start + schedule.time / 2, stall).await,
            None => Ok(()),
        }
    };
    let sends = async {
        while let Some(ended) = sending.join_next().await {
            ended??;
        }
        Ok(())
    };
    tokio::try_join!(stalling, sends)?;
    let deadline = start + schedule.time + GRACE;
    while record.lock().waiting > 0 && timeout_at(deadline, all_came.notified()).await.is_ok() {}
    let usage = Usage::of(&processes)?;
    receiving.shutdown().await;
    let mut record = record.lock();
    let waited = start.elapsed();
    let missing: Vec<_> = record.messages.iter().filter(|(_, came)| !came).map(|(due, _)| *due).collect();
    for due in &missing {
        record.arrived.record(waited.saturating_sub(*due));
    }
    let sent = u64::try_from(sent).unwrap_or(u64::MAX);
    let missing = u64::try_from(missing.len()).unwrap_or(u64::MAX);
    let delivered =
        Delivered { arrived: record.arrived.clone(), accepted: record.accepted.clone(), sent, missing };
    let mut figures = delivered.to_figures();
    usage.per_message(&before, sent, sent - missing, &mut figures);
    Ok((delivered, figures))
}

/// Takes what comes, until everything has.
async fn receive(mut arrivals: mpsc::Receiver<Arrival>, record: Arc<Mutex<Record>>, all_came: Arc<Notify>) {
    while let Some(arrival) = arrivals.recv().await {
        let mut record = record.lock();
        record.arrival(&arrival);
        if record.waiting == 0 {
            all_came.notify_one();
        }
    }
}

/// One conversation's part of a schedule.
struct Flow {
    sender: Arc<dyn Sender>,
    to: ConversationHandle,
    /// The number of its first message.
    first: usize,
    due: Vec<Duration>,
    schedule: Schedule,
    record: Arc<Mutex<Record>>,
}

impl Flow {
    async fn send(self) -> Result<(), BenchError> {
        let start = self.record.lock().start;
        let mut answers = JoinSet::new();
        for (nth, due) in self.due.iter().enumerate() {
            until(start + *due).await;
            let body = body(self.first + nth, self.schedule.bytes);
            let acknowledged = self.sender.send(&self.to, body).await?;
            let (record, due) = (Arc::clone(&self.record), *due);
            answers.spawn(async move {
                acknowledged.await?;
                let accepted = start.elapsed().saturating_sub(due);
                let mut record = record.lock();
                if due >= record.warm_up {
                    record.accepted.record(accepted);
                }
                Ok::<_, BenchError>(())
            });
            while let Some(answered) = answers.try_join_next() {
                answered??;
            }
        }
        let deadline = start + self.schedule.time + GRACE;
        while let Ok(Some(answered)) = timeout_at(deadline, answers.join_next()).await {
            answered??;
        }
        Ok(())
    }
}

/// Waits for a moment, to the microsecond.
pub(crate) async fn until(moment: Instant) {
    sleep_until(moment - CLOCK_STEP).await;
    while Instant::now() < moment {
        tokio::task::yield_now().await;
    }
}

/// A message with its number.
pub(crate) fn body(number: usize, bytes: usize) -> Bytes {
    let mut body = format!("{number:016x}").into_bytes();
    body.resize(bytes.max(BYTES_MIN), b'x');
    body.into()
}

/// The number of a message.
pub(crate) fn number_of(body: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(body.get(..BYTES_MIN)?).ok()?;
    usize::from_str_radix(digits, 16).ok()
}

/// Stops the server's processes at a moment, and lets them go on after so long.
async fn stop_for(processes: &[u32], moment: Instant, stall: Duration) -> Result<(), BenchError> {
    use rustix::process::{Pid, Signal, kill_process};
    sleep_until(moment).await;
    let tell = |signal: Signal| {
        for process in processes {
            let process =
                i32::try_from(*process).ok().and_then(Pid::from_raw).ok_or(BenchError::ServerGone)?;
            kill_process(process, signal).map_err(std::io::Error::from)?;
        }
        Ok::<_, BenchError>(())
    };
    tell(Signal::STOP)?;
    tokio::time::sleep(stall).await;
    tell(Signal::CONT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_its_number() {
        assert_eq!(number_of(&body(4_711, 200)), Some(4_711));
        assert_eq!(body(4_711, 200).len(), 200);
        assert_eq!(body(1, 3).len(), BYTES_MIN, "the number is there in any case");
        assert_eq!(number_of(b"short"), None);
        assert_eq!(number_of(b"no number at all"), None);
    }

    #[test]
    fn a_schedule_repeats_from_its_seed_and_keeps_its_rate() {
        let schedule = Schedule {
            per_second: 2.0,
            time: Duration::from_secs(30),
            warm_up: Duration::ZERO,
            bytes: 200,
            seed: 7,
            stall: None,
        };
        let due = |seed| schedule.due(&mut StdRng::seed_from_u64(seed));
        assert_eq!(due(7), due(7));
        assert_ne!(due(7), due(8));
        assert_eq!(due(7).len(), 60);
        assert!(due(7).windows(2).all(|pair| pair[1] - pair[0] == Duration::from_millis(500)));
    }

    #[test]
    fn a_message_counts_once_and_from_when_it_was_due() {
        let start = Instant::now();
        let mut record = Record {
            start,
            warm_up: Duration::from_secs(1),
            messages: vec![(Duration::ZERO, false), (Duration::from_secs(2), false)],
            waiting: 2,
            arrived: Times::new().unwrap(),
            accepted: Times::new().unwrap(),
        };
        let at = |seconds| start.into_std() + Duration::from_secs(seconds);
        record.arrival(&Arrival { at: at(3), body: body(0, 16) });
        assert_eq!((record.waiting, record.arrived.len()), (1, 0), "that was warming up");
        record.arrival(&Arrival { at: at(5), body: body(1, 16) });
        record.arrival(&Arrival { at: at(9), body: body(1, 16) });
        record.arrival(&Arrival { at: at(9), body: body(2, 16) });
        assert_eq!((record.waiting, record.arrived.len()), (0, 1));
        assert!((record.arrived.us(1.0) / 3e6 - 1.0).abs() < 0.01, "{}", record.arrived.us(1.0));
    }
}
