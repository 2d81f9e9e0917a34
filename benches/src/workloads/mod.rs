//! What is done with systems, each in a file of its own.
//!
//! Those that take peers are written against `System` alone. Those that look into one part of Fulmar (sessions,
//! returning, marks and presence) are Fulmar's and its floors'.

pub(crate) mod catchup;
pub(crate) mod connect;
pub(crate) mod connections;
pub(crate) mod fanout;
pub(crate) mod latency;
pub(crate) mod lossy;
pub(crate) mod mixed;
pub(crate) mod roam;
pub(crate) mod storm;
pub(crate) mod throughput;

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{
    error::BenchError,
    system::{Acknowledgement, Heard},
};

/// Devices that connect at once, where it is not this that is measured.
const CONNECTING_AT_ONCE: usize = 32;
/// What is due so early in an open loop is not counted: congestion windows and lanes begin.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long what was sent may take to arrive everywhere.
const ARRIVES_WITHIN: Duration = Duration::from_secs(120);

/// Waits until so many arrivals were counted, looking every millisecond.
async fn heard_all(heard: &Heard, wanted: u64) -> Result<(), BenchError> {
    let deadline = Instant::now() + ARRIVES_WITHIN;
    while heard.count() < wanted {
        if Instant::now() > deadline {
            let count = heard.count();
            return Err(BenchError::Wrong(format!(
                "only {count} of {wanted} messages arrived within {} s",
                ARRIVES_WITHIN.as_secs()
            )));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Acknowledgements that are waited for when there are as many as a sender may have open.
struct Window {
    size: usize,
    open: VecDeque<Acknowledgement>,
}

impl Window {
    fn of(size: usize) -> Self {
        Self { size: size.max(1), open: VecDeque::new() }
    }

    /// Takes one more, and gives how many were answered for it.
    async fn push(&mut self, acknowledgement: Acknowledgement) -> Result<(), BenchError> {
        self.open.push_back(acknowledgement);
        while self.open.len() >= self.size {
            self.pop().await?;
        }
        Ok(())
    }

    async fn pop(&mut self) -> Result<(), BenchError> {
        match self.open.pop_front() {
            Some(acknowledgement) => acknowledgement.await,
            None => Ok(()),
        }
    }

    async fn finish(mut self) -> Result<(), BenchError> {
        while !self.open.is_empty() {
            self.pop().await?;
        }
        Ok(())
    }
}
