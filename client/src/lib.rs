//! The Fulmar client: durable, ordered conversations over one QUIC connection that may come and go.
//!
//! A [`Client`] connects, reconnects and resumes by itself. What the app sends goes into an outbox (on disk,
//! with a [`State`] folder) and stays there until the server has it durably; what others send arrives as
//! [`Event`]s, each conversation in order, without a gap that was not named and without repeat. Confirm an
//! entry once the app has it: until then it counts as not delivered, and is handed over again after a restart
//! of the app.
//!
//! ```
//! # use std::time::Duration;
//! # use fulmar_server::{Clock, Config, Development, Rng, Server, ServerOptions};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let development = Development::create_or_open(folder.path(), Clock::system())?;
//! # let mut config = Config::default();
//! # (config.listen.address, config.listen.admin) = ("127.0.0.1:0".parse()?, "127.0.0.1:0".parse()?);
//! # development.configure(&mut config);
//! # let (credentials, data) = (development.credentials(), folder.path().to_owned());
//! # let (clock, rng) = (Clock::system(), Rng::from_os()?);
//! # let running = Server::start(ServerOptions::new(data, config, credentials, clock, rng)).await?;
//! # let (server, ca_file) = (running.address().to_string(), development.authority());
//! # let token = development.issue_token(&"alice".parse()?, Duration::from_secs(60))?;
//! # let state_folder = folder.path().join("alice");
//! use fulmar_client::{Client, Content, Event, OutgoingMessage, State, UserId};
//!
//! let (client, mut events) = Client::builder()
//!     .server(server) // "localhost:4433"
//!     .trust_ca_file(ca_file)
//!     .token(token)
//!     .state(State::directory(state_folder)?)
//!     .connect()
//!     .await?;
//! let bob = client.direct(&UserId::parse("bob")?)?;
//! let accepted = bob.send(OutgoingMessage::text("hello")).await?;
//! println!("stored durably as entry {}", accepted.seq);
//! while let Some(event) = events.next().await {
//!     let Event::Entry(entry) = event else { continue };
//!     if let Some(Content::Message(message)) = &entry.content {
//!         println!("{}: {}", entry.sender, String::from_utf8_lossy(&message.body));
//!     }
//!     entry.confirm();
//! #   break;
//! }
//! # client.close().await;
//! # running.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! # The way of the data
//! Handles (`client`, `conversation`) send commands to one task, the `driver`, which owns all state: the
//! outboxes, the cursors, the session. Reader tasks, one for each stream that the server writes on, turn
//! bytes into frames for it; the `state` thread writes to disk for it; `event` carries to the app what comes
//! out. Requests (history, inbox and so on) do not pass the driver: each has a stream of its own and is made
//! by the caller's own future.
//!
//! Every bound is in `limits.rs`, with what happens when it is reached. Nothing here panics on what a server
//! sends: frames are checked by `fulmar-protocol`, their order by the driver, and a server that breaks the
//! protocol loses the connection, with the fitting error code, and is tried again after a back-off.

mod backoff;
mod builder;
mod client;
mod command;
mod confirmations;
mod conversation;
mod driver;
mod environment;
mod error;
mod event;
mod event_queue;
mod history;
mod inbox;
mod limits;
mod outgoing;
mod request;
mod rng;
mod roster;
mod shared;
mod state;
mod status;
mod tickets;
mod tls;
mod token;
mod transport;

pub use builder::ClientBuilder;
pub use client::Client;
pub use conversation::{Conversation, Marking};
#[cfg(feature = "simulation")]
pub use environment::{Environment, Sockets};
pub use error::ClientError;
pub use event::{ConversationState, Event, Events, ReceivedEntry};
pub use history::{HistoryEntry, HistoryItem, HistoryPage, HistoryQuery};
pub use inbox::InboxItem;
pub use outgoing::{Accepted, OutgoingMessage, Sending};
pub use request::Settings;
pub use roster::{Member, Roster};
#[cfg(feature = "simulation")]
pub use state::SimulatedDisk;
pub use state::State;
pub use status::Status;
pub use transport::quic_transport;

pub use fulmar_protocol::{
    AddMembers, ClientSeq, Content, ContentType, ConversationId, ConversationKind, CreateGroup, DeviceId,
    Direction, Edit, ErrorCode, HistoryPolicy, HoleReason, Leave, Message, Ordinal, PresenceState, React,
    Reaction, Redact, Redacted, RemoveMembers, Retry, Role, Seq, SetRole, SetTitle, TimestampMs, Title,
    TransferOwnership, UserId, UserList,
};
