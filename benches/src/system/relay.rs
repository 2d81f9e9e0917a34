//! The floor for whatever passes a server: a raw QUIC relay with Fulmar's topology and settings and no store.
//!
//! A device opens a control stream and says whose it is. For each conversation that it sends in it opens a send lane:
//! a bidirectional stream that begins with the conversation's number and its members, then messages, each behind its
//! length; the number of messages taken so far comes back as the acknowledgement. The relay opens one stream for each
//! conversation to each device of a member and passes every message on, behind its length.
//!
//! Who is not connected misses the message: there is no store. Nobody proves who they are: there are no accounts.

mod client;
mod server;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use quinn::ClientConfig;

use super::{ConversationHandle, Heard, Held, Promises, Running, Session, System};
use crate::{
    credentials::Credentials,
    error::BenchError,
    floors::quic::{Endpoints, Trust},
    place::Place,
    server_process::{Kind, ServerProcess},
};

pub(crate) use server::serve;

/// The longest message.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The most members of a conversation.
const MEMBERS_MAX: u32 = 100_000;
/// Messages that wait for one device, or in a conversation to be sent; then whoever brings more waits.
const QUEUE_MESSAGES_MAX: usize = 1_024;
/// Messages that are written at once.
const BATCH_MESSAGES_MAX: usize = 64;
/// Streams of a busy device, as Fulmar permits them.
const LANES_MAX: usize = fulmar_protocol::limits::UNIDIRECTIONAL_STREAMS_MAX;

/// See the module.
pub(crate) struct Relay;

impl System for Relay {
    fn name(&self) -> &'static str {
        "relay"
    }

    fn promises(&self) -> Promises {
        Promises { durable: false, ordered: true, archived: false, exactly_once: false }
    }

    fn start<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Box<dyn Running>, BenchError>> {
        Box::pin(async move {
            let credentials = Credentials::create(place.folder(), place.address())?;
            let process = ServerProcess::start(place, Kind::Relay, 0).await?;
            let config = Trust::in_authority(&credentials.authority())?.client(false)?;
            let endpoints = Endpoints::to(process.address());
            Ok(Box::new(RunningRelay { process, endpoints, config, conversations: Mutex::new(0) })
                as Box<dyn Running>)
        })
    }
}

struct RunningRelay {
    process: ServerProcess,
    endpoints: Endpoints,
    config: ClientConfig,
    conversations: Mutex<usize>,
}

impl Running for RunningRelay {
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    fn release_year(&self) -> u16 {
        2026
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.process.id()]
    }

    fn conversation<'a>(
        &'a self,
        members: &'a [usize],
    ) -> BoxFuture<'a, Result<ConversationHandle, BenchError>> {
        let mut conversations = self.conversations.lock();
        let number = *conversations;
        *conversations += 1;
        let handle = ConversationHandle { number, name: number.to_string(), members: members.to_vec() };
        Box::pin(async { Ok(handle) })
    }

    fn connect(&self, user: usize) -> BoxFuture<'_, Result<Session, BenchError>> {
        Box::pin(async move {
            let connection = self.endpoints.connect(&self.config)?.await.map_err(BenchError::quic)?;
            client::session(connection, user, self.endpoints.clone()).await
        })
    }

    fn listen(&self, user: usize, heard: Heard) -> BoxFuture<'_, Result<Held, BenchError>> {
        Box::pin(async move {
            let connection = self.endpoints.connect(&self.config)?.await.map_err(BenchError::quic)?;
            client::listener(connection, user, heard).await
        })
    }
}
