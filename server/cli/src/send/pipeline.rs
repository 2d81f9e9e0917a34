//! Sends line after line without waiting for each to be accepted, and tells of them in order.
//!
//! Many sends are under way at once, so that they share syncs and round trips; the entries stand in the log
//! in the order of the lines all the same. A line that is refused for good does not stop those after it; the
//! command has failed then, and says which lines were not accepted.

use bytes::Bytes;
use fulmar_client::{Accepted, Client, ClientError, Conversation};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::standard_input::{self, Line};
use super::{AcceptedLine, Arguments, is_final, offline_reason};
use crate::failure::Failure;
use crate::{output, signals};

/// Sends under way. The client hands that many over to its outbox without making one of them wait, and only
/// so do they enter it in the order in which they were made; on the wire are at most 64.
const UNDER_WAY_MAX: usize = 192;
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

pub(super) async fn run(client: &Client, arguments: &Arguments) -> Result<(), Failure> {
    let conversation = arguments.recipient.of(client)?;
    let mut lines = standard_input::lines();
    let mut tally = Tally::default();
    let mut under_way = FuturesOrdered::new();
    let mut is_open = true;
    let mut deadline = Instant::now() + arguments.timeout;
    let interrupted = signals::interrupted();
    tokio::pin!(interrupted);
    while is_open || !under_way.is_empty() {
        tokio::select! {
            biased;
            () = &mut interrupted => return Err(tally.unanswered("interrupted")),
            // Without the runtime's budget a send could give way before it entered the outbox, and let
            // the next one overtake it.
            Some((number, outcome)) = unconstrained(under_way.next()) => {
                deadline = Instant::now() + arguments.timeout;
                match outcome {
                    Ok(accepted) => tally.accept(&conversation, &accepted, arguments.json)?,
                    Err(error) => {
                        let is_final = is_final(&error);
                        tally.refuse(number, &Failure::from(error).to_string());
                        if is_final {
                            break;
                        }
                    }
                }
            }
            line = lines.recv(), if is_open && under_way.len() < UNDER_WAY_MAX => match line {
                None => is_open = false,
                Some(Line { number, body }) => {
                    if under_way.is_empty() {
                        deadline = Instant::now() + arguments.timeout;
                    }
                    tally.read += 1;
                    match body {
                        Ok(body) => under_way.push_back(send(conversation.clone(), number, body)),
                        Err(fault) => tally.refuse(number, &fault.to_string()),
                    }
                }
            },
            () = tokio::time::sleep_until(deadline), if !under_way.is_empty() => {
                let time = humantime::format_duration(arguments.timeout);
                let cause = format!("nothing was accepted for {time}{}", offline_reason(client));
                return Err(tally.unanswered(&cause));
            }
        }
    }
    tally.finish(&conversation, arguments.json)
}

async fn send(conversation: Conversation, number: u64, body: Bytes) -> (u64, Result<Accepted, ClientError>) {
    (number, conversation.send(standard_input::message(body)).await)
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
