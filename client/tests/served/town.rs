//! A server and its users.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fulmar_client::{
    Client, ClientBuilder, Content, Conversation, ConversationId, Event, Events, OutgoingMessage,
    ReceivedEntry, Seq, UserId,
};
use fulmar_server::{Clock, Config, Development, Rng, Server, ServerOptions};

/// No wait in a test is longer: past it, the promise is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

pub(crate) fn text(text: impl Into<String>) -> OutgoingMessage {
    OutgoingMessage::text(text)
}

/// A server with a data folder of its own.
pub(crate) struct Town {
    folder: tempfile::TempDir,
    development: Development,
    server: Option<Server>,
    address: SocketAddr,
}

/// A user who is there.
pub(crate) struct Person {
    pub(crate) client: Client,
    pub(crate) events: Events,
}

impl Town {
    pub(crate) async fn found() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let development = Development::create_or_open(folder.path(), Clock::system()).unwrap();
        let mut town = Self { folder, development, server: None, address: "127.0.0.1:0".parse().unwrap() };
        town.open().await;
        town
    }

    /// Starts the server, where it was before.
    pub(crate) async fn open(&mut self) {
        let mut config = Config::default();
        config.listen.address = self.address;
        config.listen.admin = "127.0.0.1:0".parse().unwrap();
        self.development.configure(&mut config);
        let credentials = self.development.credentials();
        let (clock, rng) = (Clock::system(), Rng::from_os().unwrap());
        let data = self.folder.path().to_owned();
        let server = Server::start(ServerOptions::new(data, config, credentials, clock, rng)).await.unwrap();
        self.address = server.address();
        self.server = Some(server);
    }

    /// Stops the server politely.
    pub(crate) async fn close(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
    }

    /// A folder for a client's state.
    pub(crate) fn state_folder(&self, name: &str) -> PathBuf {
        self.folder.path().join("clients").join(name)
    }

    pub(crate) fn client(&self, name: &str) -> ClientBuilder {
        let token = self.development.issue_token(&user(name), Duration::from_secs(3_600)).unwrap();
        Client::builder()
            .server(self.address.to_string())
            .trust_ca_file(self.development.authority())
            .token(token)
    }

    pub(crate) async fn person(&self, name: &str) -> Person {
        Person::connect(self.client(name)).await
    }
}

impl Person {
    pub(crate) async fn connect(builder: ClientBuilder) -> Self {
        let (client, events) = soon("a session", builder.connect()).await.unwrap();
        Self { client, events }
    }

    pub(crate) fn with(&self, name: &str) -> Conversation {
        self.client.direct(&user(name)).unwrap()
    }

    pub(crate) async fn send(&self, to: &str, body: &str) -> Seq {
        soon("an answer", self.with(to).send(text(body))).await.unwrap().seq
    }

    /// The next event for which `pick` answers.
    pub(crate) async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let events = &mut self.events;
        soon(what, async {
            loop {
                let event = events.next().await.expect("no more events");
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        })
        .await
    }

    /// The next entry, confirmed.
    pub(crate) async fn entry(&mut self) -> ReceivedEntry {
        let entry = self
            .next("an entry", |event| match event {
                Event::Entry(entry) => Some(entry),
                _ => None,
            })
            .await;
        entry.confirm();
        entry
    }

    /// The next message's text.
    pub(crate) async fn message(&mut self) -> String {
        loop {
            if let Some(body) = body_of(&self.entry().await) {
                return body;
            }
        }
    }

    /// Waits until the marks of `name` have come to `delivered` and `read`.
    pub(crate) async fn marks(&mut self, id: ConversationId, name: &str, delivered: u64, read: u64) {
        let whose = user(name);
        self.next("marks", |event| match event {
            Event::Marks { conversation, user, delivered: d, read: r }
                if conversation == id && user == whose && d.get() >= delivered && r.get() >= read =>
            {
                Some(())
            }
            _ => None,
        })
        .await;
    }
}

pub(crate) fn body_of(entry: &ReceivedEntry) -> Option<String> {
    match &entry.content {
        Some(Content::Message(message)) => Some(String::from_utf8(message.body.to_vec()).unwrap()),
        _ => None,
    }
}
