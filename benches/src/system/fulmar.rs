//! Fulmar itself: its server in a process of its own, its client library in this one.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use fulmar_client::{
    Client, Content, Conversation, ConversationId, Event, Events, HistoryPolicy, OutgoingMessage, State,
    UserId,
};
use fulmar_server::{Clock, Config, Development, Rng, Server, ServerOptions};
use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use quinn::ClientConfig;
use tokio::sync::mpsc;

use super::{
    ARRIVALS_MAX, Acknowledgement, Arrival, ConversationHandle, Heard, Held, Promises, Running, Sender,
    Session, System, Task, wire::WireSession,
};
use crate::{
    credentials::Credentials,
    error::BenchError,
    floors::{
        quic::{Endpoints, Trust},
        raw_client::now,
    },
    place::Place,
    server_process::{Kind, ServerProcess},
};

/// Users that are added to a group at once.
pub(crate) const ADDED_AT_ONCE: usize = 100;
/// Sessions that a measurement's server takes: more than fit into any machine that it runs on.
const SESSIONS_MAX: usize = 1_000_000;
/// Tickets that it remembers: as many as the raw servers do.
const TICKETS_MAX: usize = crate::floors::quic::TICKETS_MAX;
/// Longer than any measurement.
const TOKEN_TTL: Duration = Duration::from_secs(7 * 24 * 3_600);

/// See the module.
pub(crate) struct Fulmar;

impl System for Fulmar {
    fn name(&self) -> &'static str {
        "fulmar"
    }

    fn promises(&self) -> Promises {
        Promises { durable: true, ordered: true, archived: true, exactly_once: true }
    }

    fn start<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Box<dyn Running>, BenchError>> {
        Box::pin(async move { Ok(Box::new(FulmarServer::start(place).await?) as Box<dyn Running>) })
    }
}

/// The server's own process: what it runs.
pub(crate) async fn serve(
    data: &Path,
    listen: SocketAddr,
    credentials: &Credentials,
) -> Result<Server, BenchError> {
    let development = Development::create_or_open(data, Clock::system())?;
    let mut config = Config::development();
    config.listen.address = listen;
    config.listen.admin = SocketAddr::new(listen.ip(), 0);
    config.limits.group_members_max = 10_000;
    config.limits.sessions_max = SESSIONS_MAX;
    config.limits.tickets_max = TICKETS_MAX;
    development.configure(&mut config);
    let mut of_server = development.credentials();
    (of_server.certificate, of_server.key) = (credentials.certificate(), credentials.key());
    let options = ServerOptions::new(data.to_owned(), config, of_server, Clock::system(), Rng::from_os()?);
    Ok(Server::start(options).await?)
}

/// A server that is running, and what its clients need.
pub(crate) struct FulmarServer {
    process: ServerProcess,
    endpoints: Endpoints,
    authority: PathBuf,
    development: Development,
    trust: Trust,
    bare: ClientConfig,
    folder: PathBuf,
    conversations: Mutex<usize>,
    /// The state of devices that may come back.
    states: Mutex<HashMap<usize, PathBuf>>,
}

impl FulmarServer {
    pub(crate) async fn start(place: &Place) -> Result<Self, BenchError> {
        let credentials = Credentials::create(place.folder(), place.address())?;
        let development = Development::create_or_open(place.folder(), Clock::system())?;
        let process = ServerProcess::start(place, Kind::Fulmar, 0).await?;
        let trust = Trust::in_authority(&credentials.authority())?;
        Ok(Self {
            endpoints: Endpoints::to(process.address()),
            process,
            authority: credentials.authority(),
            development,
            bare: trust.client(false)?,
            trust,
            folder: place.folder().to_owned(),
            conversations: Mutex::new(0),
            states: Mutex::default(),
        })
    }

    /// Kills the server, as a crash would.
    pub(crate) async fn kill(&mut self) -> Result<(), BenchError> {
        self.process.kill().await
    }

    /// Starts it again where it was.
    pub(crate) async fn restart(&mut self, place: &Place) -> Result<(), BenchError> {
        let port = self.process.address().port();
        self.process = ServerProcess::start(place, Kind::Fulmar, port).await?;
        Ok(())
    }

    pub(crate) fn token(&self, user: usize) -> Result<String, BenchError> {
        Ok(self.development.issue_token(&user_id(user)?, TOKEN_TTL)?)
    }

    /// Settings of one more bare client: with tickets of its own, or never with any.
    pub(crate) fn bare_client(&self, tickets: bool) -> Result<ClientConfig, BenchError> {
        self.trust.client(tickets)
    }

    /// A session over a bare connection.
    pub(crate) async fn enter(
        &self,
        config: &ClientConfig,
        user: usize,
        token: String,
    ) -> Result<WireSession, BenchError> {
        let connection = self.endpoints.connect(config)?.await.map_err(BenchError::quic)?;
        WireSession::begin(connection, user, token).await
    }

    /// The same with its Hello in early data; and whether it was taken as such.
    pub(crate) async fn enter_early(
        &self,
        config: &ClientConfig,
        user: usize,
        token: String,
    ) -> Result<(WireSession, bool), BenchError> {
        let (connection, accepted) = match self.endpoints.connect(config)?.into_0rtt() {
            Ok(early) => early,
            Err(connecting) => {
                let connection = connecting.await.map_err(BenchError::quic)?;
                return Ok((WireSession::begin(connection, user, token).await?, false));
            }
        };
        match WireSession::begin(connection.clone(), user, token.clone()).await {
            Ok(session) => Ok((session, accepted.await)),
            // Refused early data ends its streams, and the connection goes on.
            Err(_) => Ok((WireSession::begin(connection, user, token).await?, false)),
        }
    }

    /// A user's client.
    pub(crate) async fn client(&self, user: usize) -> Result<(Client, Events), BenchError> {
        let folder = self.states.lock().get(&user).cloned();
        let state = match folder {
            Some(folder) => open_state(&folder).await?,
            None => State::memory(),
        };
        Ok(Client::builder()
            .server(self.process.address().to_string())
            .trust_ca_file(&self.authority)
            .token(self.token(user)?)
            .state(state)
            .confirm_automatically(true)
            .connect()
            .await?)
    }

    /// Creates a group of users who need not have connected before.
    async fn group(&self, members: &[usize]) -> Result<ConversationId, BenchError> {
        let founder = members.first().copied().ok_or_else(|| BenchError::wrong("a group of nobody"))?;
        let users = members.iter().skip(1).map(|user| user_id(*user)).collect::<Result<Vec<_>, _>>()?;
        let (client, _events) = self.client(founder).await?;
        let mut portions = users.chunks(ADDED_AT_ONCE);
        let first = portions.next().unwrap_or_default();
        let (group, _) = client.create_group("measured", first, HistoryPolicy::All).await?;
        for portion in portions {
            group.add(portion).await?;
        }
        let id = group.id();
        drop(group);
        client.close().await;
        Ok(id)
    }
}

impl Running for FulmarServer {
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
        Box::pin(async move {
            let id = match members {
                [one, other] => ConversationId::direct(&user_id(*one)?, &user_id(*other)?),
                many => self.group(many).await?,
            };
            let mut conversations = self.conversations.lock();
            let number = *conversations;
            *conversations += 1;
            Ok(ConversationHandle { number, name: id.to_string(), members: members.to_vec() })
        })
    }

    fn connect(&self, user: usize) -> BoxFuture<'_, Result<Session, BenchError>> {
        Box::pin(async move {
            let (client, events) = self.client(user).await?;
            let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
            let receiving = Task(tokio::spawn(receive(events, arrived)));
            let sender = FulmarSender { user, client, open: Mutex::default(), _receiving: receiving };
            Ok(Session { sender: Box::new(sender), arrivals })
        })
    }

    fn may_come_back(&self, user: usize) -> Result<(), BenchError> {
        let folder = self.folder.join(format!("device-{user}"));
        self.states.lock().insert(user, folder);
        Ok(())
    }

    fn hold(&self, user: usize) -> BoxFuture<'_, Result<Held, BenchError>> {
        Box::pin(async move {
            let session = self.enter(&self.bare, user, self.token(user)?).await?;
            Ok(Box::new(session) as Held)
        })
    }

    fn listen(&self, user: usize, heard: Heard) -> BoxFuture<'_, Result<Held, BenchError>> {
        Box::pin(async move {
            let session = self.enter(&self.bare, user, self.token(user)?).await?;
            Ok(Box::new(session.listen(heard)) as Held)
        })
    }
}

/// The state that a device of this user has left. A client that was just dropped needs a moment to let go of it.
async fn open_state(folder: &Path) -> Result<State, BenchError> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    loop {
        match State::directory(folder) {
            Ok(state) => return Ok(state),
            Err(error) if tokio::time::Instant::now() >= deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn receive(mut events: Events, arrived: mpsc::Sender<Arrival>) {
    while let Some(event) = events.next().await {
        let Event::Entry(entry) = event else { continue };
        if let (false, Some(Content::Message(message))) = (entry.is_own, entry.content) {
            let arrival = Arrival { at: now(), body: message.body };
            if arrived.send(arrival).await.is_err() {
                return;
            }
        }
    }
}

struct FulmarSender {
    user: usize,
    client: Client,
    /// By the number of the conversation.
    open: Mutex<HashMap<usize, Conversation>>,
    _receiving: Task,
}

impl FulmarSender {
    fn conversation(&self, to: &ConversationHandle) -> Result<Conversation, BenchError> {
        if let Some(conversation) = self.open.lock().get(&to.number) {
            return Ok(conversation.clone());
        }
        let conversation = match to.members.as_slice() {
            [one, other] => self.client.direct(&user_id(if *one == self.user { *other } else { *one })?)?,
            _ => self.client.conversation(to.name.parse().map_err(BenchError::wrong)?),
        };
        self.open.lock().insert(to.number, conversation.clone());
        Ok(conversation)
    }
}

impl Sender for FulmarSender {
    fn send<'a>(
        &'a self,
        to: &'a ConversationHandle,
        body: Bytes,
    ) -> BoxFuture<'a, Result<Acknowledgement, BenchError>> {
        Box::pin(async move {
            let sending = self.conversation(to)?.enqueue(OutgoingMessage::new("text/plain", body)).await?;
            let acknowledged = async { Ok(sending.await.map(drop)?) };
            Ok(acknowledged.boxed())
        })
    }

    fn network_changed(&self) {
        let client = self.client.clone();
        tokio::spawn(async move {
            let _ = client.network_changed().await;
        });
    }
}

/// A user of the measurement.
pub(crate) fn user_id(number: usize) -> Result<UserId, BenchError> {
    UserId::parse(&format!("user-{number}")).map_err(BenchError::wrong)
}
