//! Sends line after line without waiting for each to be accepted, and tells of them in order.
//!
//! Many sends are under way at once, so that they share syncs and round trips; the entries stand in the log
//! in the order of the lines all the same. A line that is refused for good does not stop those after it; the
//! command has failed then, and says which lines were not accepted.

use std::time::Duration;

use fulmar_client::{Accepted, Client, ClientError, Conversation, OutgoingMessage, Sending};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::standard_input::{self, Line};
use super::{AcceptedLine, Arguments, is_final, offline_reason};
use crate::failure::Failure;
use crate::{output, signals};

/// Lines that are put into the outbox together; they share a sync of the state.
const LINES_TOGETHER_MAX: usize = 64;
/// Sends under way. Then no more lines are read; on the wire are at most 64.
const UNDER_WAY_MAX: usize = 512;
/// Numbers of lines that are named when they were not accepted; the others are counted.
const NAMED_MAX: usize = 10;

/// What became of the lines so far.
#[derive(Debug, Default)]
struct Tally {
    read: u64,
    accepted: u64,
    refused: u64,
    /// The first lines that were refused, and why the first was.
    refused_named: Vec<u64>,
    first_cause: Option<String>,
}

/// Lines on their way into the outbox, by their numbers, and what becomes of them there.
struct Entering {
    numbers: Vec<u64>,
    outcome: BoxFuture<'static, Result<Vec<Sending>, ClientError>>,
}

/// Everything that is under way.
struct Pipeline {
    conversation: Conversation,
    lines: mpsc::Receiver<Line>,
    is_open: bool,
    entering: Option<Entering>,
    sendings: FuturesOrdered<BoxFuture<'static, (u64, Result<Accepted, ClientError>)>>,
    tally: Tally,
    timeout: Duration,
    deadline: Instant,
    json: bool,
}

pub(super) async fn run(client: &Client, arguments: &Arguments) -> Result<(), Failure> {
    let mut pipeline = Pipeline {
        conversation: arguments.recipient.of(client)?,
        lines: standard_input::lines(),
        is_open: true,
        entering: None,
        sendings: FuturesOrdered::new(),
        tally: Tally::default(),
        timeout: arguments.timeout,
        deadline: Instant::now() + arguments.timeout,
        json: arguments.json,
    };
    let interrupted = signals::interrupted();
    tokio::pin!(interrupted);
    while pipeline.is_open || pipeline.is_under_way() {
        let (deadline, is_under_way) = (pipeline.deadline, pipeline.is_under_way());
        tokio::select! {
            () = &mut interrupted => return Err(pipeline.tally.unanswered("interrupted")),
            is_over = pipeline.step() => if is_over? {
                break;
            },
            () = tokio::time::sleep_until(deadline), if is_under_way => {
                let time = humantime::format_duration(arguments.timeout);
                let cause = format!("nothing was accepted for {time}{}", offline_reason(client));
                return Err(pipeline.tally.unanswered(&cause));
            }
        }
    }
    pipeline.tally.finish(&pipeline.conversation, arguments.json)
}

impl Pipeline {
    fn is_under_way(&self) -> bool {
        self.entering.is_some() || !self.sendings.is_empty()
    }

    /// Waits until something happens, and takes it in. True when nothing more can succeed. Cancel-safe.
    async fn step(&mut self) -> Result<bool, Failure> {
        let mut read = Vec::new();
        let has_room = self.entering.is_none() && self.sendings.len() < UNDER_WAY_MAX;
        tokio::select! {
            biased;
            Some((number, outcome)) = self.sendings.next() => self.answered(number, outcome),
            entered = entered(&mut self.entering) => Ok(self.entered(entered)),
            count = self.lines.recv_many(&mut read, LINES_TOGETHER_MAX), if self.is_open && has_room => {
                self.is_open = count > 0;
                self.enter(read);
                Ok(false)
            }
        }
    }

    /// Puts lines into the outbox.
    fn enter(&mut self, read: Vec<Line>) {
        if !self.is_under_way() {
            self.deadline = Instant::now() + self.timeout;
        }
        let (mut numbers, mut messages): (Vec<u64>, Vec<OutgoingMessage>) = (Vec::new(), Vec::new());
        for Line { number, body } in read {
            self.tally.read += 1;
            match body {
                Ok(body) => {
                    numbers.push(number);
                    messages.push(standard_input::message(body));
                }
                Err(fault) => self.tally.refuse(number, &fault.to_string()),
            }
        }
        if !numbers.is_empty() {
            let conversation = self.conversation.clone();
            let outcome = Box::pin(async move { conversation.enqueue_all(messages).await });
            self.entering = Some(Entering { numbers, outcome });
        }
    }

    fn entered(&mut self, entered: Result<Vec<Sending>, ClientError>) -> bool {
        let numbers = self.entering.take().map(|entering| entering.numbers).unwrap_or_default();
        match entered {
            Ok(sendings) => {
                for (number, sending) in numbers.into_iter().zip(sendings) {
                    self.sendings.push_back(Box::pin(async move { (number, sending.await) }));
                }
                false
            }
            // The state or the session is gone.
            Err(error) => {
                let cause = Failure::from(error).to_string();
                numbers.into_iter().for_each(|number| self.tally.refuse(number, &cause));
                true
            }
        }
    }

    fn answered(&mut self, number: u64, outcome: Result<Accepted, ClientError>) -> Result<bool, Failure> {
        self.deadline = Instant::now() + self.timeout;
        match outcome {
            Ok(accepted) => self.tally.accept(&self.conversation, &accepted, self.json).map(|()| false),
            Err(error) => {
                let is_over = is_final(&error);
                self.tally.refuse(number, &Failure::from(error).to_string());
                Ok(is_over)
            }
        }
    }
}

/// What became of the lines that enter the outbox; waits for ever while there are none.
async fn entered(entering: &mut Option<Entering>) -> Result<Vec<Sending>, ClientError> {
    match entering {
        Some(entering) => (&mut entering.outcome).await,
        None => std::future::pending().await,
    }
}

impl Tally {
    fn accept(
        &mut self,
        conversation: &Conversation,
        accepted: &Accepted,
        json: bool,
    ) -> Result<(), Failure> {
        self.accepted += 1;
        if json { output::json(&AcceptedLine::new(conversation.id(), accepted)) } else { Ok(()) }
    }

    fn refuse(&mut self, number: u64, cause: &str) {
        self.refused += 1;
        self.first_cause.get_or_insert_with(|| cause.to_owned());
        if self.refused_named.len() < NAMED_MAX {
            self.refused_named.push(number);
        }
    }

    /// The end before all were answered.
    fn unanswered(&self, cause: &str) -> Failure {
        let (read, accepted) = (self.read, self.accepted);
        let missing = read.saturating_sub(accepted).saturating_sub(self.refused);
        Failure::failed(format!(
            "{cause}: {accepted} of {read} messages accepted, {missing} not; what is not accepted stays in the \
             outbox and goes out with your next command: do not send it again"
        ))
    }

    /// The end of the input, or the end of everything.
    fn finish(&self, conversation: &Conversation, json: bool) -> Result<(), Failure> {
        let (read, accepted) = (self.read, self.accepted);
        match &self.first_cause {
            None if json => Ok(()),
            None => output::line(format!("{accepted} messages accepted in {}", conversation.id())),
            Some(cause) => {
                let mut lines: Vec<String> = self.refused_named.iter().map(u64::to_string).collect();
                if self.refused > lines.len() as u64 {
                    lines.push("…".to_owned());
                }
                let lines = lines.join(", ");
                Err(Failure::failed(format!(
                    "{accepted} of {read} messages accepted, not lines {lines}: {cause}"
                )))
            }
        }
    }
}
