//! Settings, and the two ways to start: [`ClientBuilder::connect`] waits for the first session,
//! [`ClientBuilder::start`] does not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fulmar_protocol::{Extensions, ServerAddress, SoftwareName};
use futures_util::future::BoxFuture;

use crate::client::Client;
use crate::driver;
use crate::environment::Environment;
use crate::error::ClientError;
use crate::event::Events;
use crate::limits;
use crate::shared::Link;
use crate::state::State;
use crate::status::Status;
use crate::tls;
use crate::token::TokenSource;

/// Settings of a client. Made by [`Client::builder`].
#[must_use = "call connect or start"]
pub struct ClientBuilder {
    servers: Vec<String>,
    trust: Vec<Trust>,
    token: Option<TokenSource>,
    state: State,
    backlog_entries_max: u32,
    connect_timeout: Duration,
    client_name: String,
    confirm_automatically: bool,
    hedging: bool,
    environment: Environment,
}

enum Trust {
    File(PathBuf),
    Pem(String),
}

/// The settings, checked.
pub(crate) struct Settings {
    pub(crate) servers: Vec<ServerAddress>,
    pub(crate) tls: tls::Tls,
    pub(crate) token: TokenSource,
    pub(crate) backlog_entries_max: u32,
    pub(crate) client_name: SoftwareName,
    pub(crate) confirm_automatically: bool,
    /// What is asked for in Hello.
    pub(crate) extensions: Extensions,
    pub(crate) environment: Environment,
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ClientBuilder").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            servers: Vec::new(),
            trust: Vec::new(),
            token: None,
            state: State::memory(),
            backlog_entries_max: u32::try_from(fulmar_protocol::limits::BACKLOG_ENTRIES_MAX)
                .unwrap_or(u32::MAX),
            connect_timeout: limits::CONNECT_TIMEOUT,
            client_name: concat!("fulmar-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            confirm_automatically: false,
            hedging: true,
            environment: Environment::default(),
        }
    }

    /// A server, as `HOST:PORT`. The name is looked up at each attempt, and all its addresses are used. When it is
    /// called several times, the servers are tried in that order, each with a short head start over the next; the one
    /// that worked last goes first. All must be nodes of one deployment. At most 16.
    pub fn server(mut self, server: impl Into<String>) -> Self {
        self.servers.push(server.into());
        self
    }

    /// Several servers: the same as [`ClientBuilder::server`] with each.
    pub fn servers(mut self, servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.servers.extend(servers.into_iter().map(Into::into));
        self
    }

    /// Trusts the certificate authorities in a PEM file, which is read at once by `connect` or `start`.
    pub fn trust_ca_file(mut self, path: impl AsRef<Path>) -> Self {
        self.trust.push(Trust::File(path.as_ref().to_owned()));
        self
    }

    /// Trusts the certificate authorities in a PEM text.
    pub fn trust_ca_pem(mut self, pem: &str) -> Self {
        self.trust.push(Trust::Pem(pem.to_owned()));
        self
    }

    /// One token for the whole life of the client. The session ends with it; a `token_source` goes on.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(TokenSource::fixed(token.into()));
        self
    }

    /// Asks `source` for a token at each connection, and again before the token expires.
    pub fn token_source<F>(mut self, source: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, Result<String, Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + Sync
            + 'static,
    {
        self.token = Some(TokenSource::asked(source));
        self
    }

    /// Where the device id, the outbox and the cursors are kept. In memory, unless said otherwise: then the
    /// client is a new device each time.
    pub fn state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// How many entries of a conversation are handed over when the device was away; what is older is a
    /// skipped range. At most 1,000, which is also the default; 0 asks for live entries only.
    pub fn backlog_entries_max(mut self, entries: u32) -> Self {
        self.backlog_entries_max = entries;
        self
    }

    /// How long `connect` waits for the first session; 20 s unless said otherwise.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The app's name and version for the server's log, at most 64 bytes: `app/1.0`.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = name.into();
        self
    }

    /// Confirms each entry when the app takes the next event, so that the app need not call
    /// [`crate::ReceivedEntry::confirm`].
    pub fn confirm_automatically(mut self, automatically: bool) -> Self {
        self.confirm_automatically = automatically;
        self
    }

    /// Takes sockets, randomness and time from a simulation instead of the machine.
    #[cfg(feature = "simulation")]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Whether small messages travel twice on a path that loses packets: on their stream and, a little later, in a
    /// datagram. A lost packet then mostly costs no time. On unless said otherwise; it adds at most half of the other
    /// bytes sent, and nothing on a path that loses less than one packet in a hundred.
    pub fn hedging(mut self, hedging: bool) -> Self {
        self.hedging = hedging;
        self
    }

    /// Connects, and waits for the first session. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// When a setting is missing or wrong, the state cannot be used, the server refuses for good, its
    /// certificate is not trusted, or no session was opened in time. Nothing is left running then.
    pub async fn connect(self) -> Result<(Client, Events), ClientError> {
        let timeout = self.connect_timeout;
        let server = self.servers.join(", ");
        let (client, events) = self.launch(true)?;
        let opened = tokio::time::timeout(timeout, client.first_session()).await;
        let error = match opened {
            Ok(Ok(())) => return Ok((client, events)),
            Ok(Err(error)) => error,
            Err(_) => {
                let last = match client.status().borrow().clone() {
                    Status::Offline { reason, .. } => reason,
                    _ => "no answer".to_owned(),
                };
                ClientError::ConnectTimeout { server, after: timeout, last }
            }
        };
        client.close().await;
        Err(error)
    }

    /// Starts, connects in the background, and keeps trying. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// When a setting is missing or wrong, or the state cannot be used.
    pub fn start(self) -> Result<(Client, Events), ClientError> {
        self.launch(false)
    }

    fn launch(self, first_handshake_is_final: bool) -> Result<(Client, Events), ClientError> {
        let mut pem = String::new();
        for trust in &self.trust {
            match trust {
                Trust::Pem(text) => pem.push_str(text),
                Trust::File(path) => pem.push_str(&std::fs::read_to_string(path).map_err(|cause| {
                    ClientError::TrustUnreadable { path: path.clone(), cause: Arc::new(cause) }
                })?),
            }
            pem.push('\n');
        }
        if self.servers.is_empty() {
            return Err(ClientError::ServerMissing);
        }
        if self.servers.len() > limits::SERVERS_MAX {
            let expected = format!("at most {} of them", limits::SERVERS_MAX);
            return Err(ClientError::ArgumentInvalid { what: "the servers", expected });
        }
        if self.trust.is_empty() {
            return Err(ClientError::TrustMissing);
        }
        let client_name = SoftwareName::parse(&self.client_name)
            .map_err(|cause| ClientError::TextInvalid { what: "the client's name", cause })?;
        let backlog_entries_max =
            u32::try_from(fulmar_protocol::limits::BACKLOG_ENTRIES_MAX).unwrap_or(u32::MAX);
        let settings = Settings {
            servers: self.servers.iter().map(|server| parse_server(server)).collect::<Result<_, _>>()?,
            tls: tls::client_config(&pem, self.environment.time())?,
            token: self.token.ok_or(ClientError::TokenMissing)?,
            backlog_entries_max: self.backlog_entries_max.min(backlog_entries_max),
            client_name,
            confirm_automatically: self.confirm_automatically,
            extensions: if self.hedging { Extensions::HEDGING } else { Extensions::NONE },
            environment: self.environment,
        };
        driver::launch(settings, self.state, first_handshake_is_final)
    }
}

fn parse_server(server: &str) -> Result<ServerAddress, ClientError> {
    ServerAddress::parse(server).map_err(|_| ClientError::ServerInvalid { server: server.to_owned() })
}

impl Client {
    /// Waits until a session is open or none will be.
    async fn first_session(&self) -> Result<(), ClientError> {
        let mut link = self.shared().link.clone();
        let reached = link.wait_for(|link| !matches!(link, Link::Down)).await;
        match reached {
            Ok(link) => match &*link {
                Link::Ended(error) => Err(error.clone()),
                _ => Ok(()),
            },
            Err(_) => Err(ClientError::Closed),
        }
    }
}
