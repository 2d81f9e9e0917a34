//! Everything that the demonstration needs, in one process: a server with its store in a temporary folder,
//! four devices of three users, and a network that can be cut.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use fulmar_client::{ConversationId, UserId};
use fulmar_server::{Clock, Config, Development, Rng, Server, ServerOptions};
use tempfile::TempDir;

use super::device::{Device, Identity};
use super::forwarder::Forwarder;
use super::ledger::{Ledger, Verdict};
use crate::failure::Failure;

/// How long the tokens of the demonstration are good.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// The stage.
pub(super) struct World {
    /// Alice's phone, which reaches the server through the network that can be cut.
    pub(super) phone: Device,
    pub(super) laptop: Device,
    pub(super) bob: Device,
    pub(super) carol: Device,
    pub(super) network: Forwarder,
    pub(super) server: Server,
    pub(super) ledger: Ledger,
    pub(super) users: Users,
    folder: TempDir,
}

/// Who plays.
#[derive(Debug, Clone)]
pub(super) struct Users {
    pub(super) alice: UserId,
    pub(super) bob: UserId,
    pub(super) carol: UserId,
}

impl World {
    /// Starts the server; the devices are there, and not started.
    pub(super) async fn set_up() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("fulmar-demo-").tempdir().map_err(|error| {
            Failure::failed(format!("cannot make a temporary folder: {error}; set TMPDIR to one with room"))
        })?;
        let failed = |error: &dyn std::fmt::Display| Failure::failed(error.to_string());
        let development =
            Development::create_or_open(folder.path(), Clock::system()).map_err(|e| failed(&e))?;
        let server = start_server(folder.path().to_owned(), &development).await?;
        let network = Forwarder::start(server.address()).await?;
        let user = |name: &str| UserId::parse(name).map_err(|error| failed(&error));
        let users = Users { alice: user("alice")?, bob: user("bob")?, carol: user("carol")? };
        let device = |label: &'static str, user: &UserId, server: SocketAddr| -> Result<Device, Failure> {
            let token = development.issue_token(user, TOKEN_TTL).map_err(|error| failed(&error))?;
            let state = folder.path().join("devices").join(label);
            let authority = development.authority();
            Ok(Device::new(Identity { label, token, state, authority, server }))
        };
        Ok(Self {
            phone: device("alice's phone", &users.alice, network.address())?,
            laptop: device("alice's laptop", &users.alice, server.address())?,
            bob: device("bob's phone", &users.bob, server.address())?,
            carol: device("carol's phone", &users.carol, server.address())?,
            network,
            ledger: Ledger::default(),
            users,
            folder,
            server,
        })
    }

    /// The direct conversation of alice and bob.
    pub(super) fn direct(&self) -> ConversationId {
        ConversationId::direct(&self.users.alice, &self.users.bob)
    }

    /// Waits until every device has everything.
    pub(super) async fn settle(&self) -> Result<(), Failure> {
        let heads = self.ledger.heads().clone();
        for (conversation, head) in heads {
            for device in self.members(conversation) {
                let what = format!("has everything up to #{head}");
                device.until(&what, |seen| seen.log.reached(conversation) >= head).await?;
            }
        }
        Ok(())
    }

    /// Holds what was sent against what every device was handed.
    pub(super) fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for conversation in self.ledger.heads().keys() {
            let devices = self.members(*conversation).into_iter();
            let findings: Vec<_> =
                devices.map(|device| device.look(|seen| seen.log.examine(*conversation))).collect();
            verdict.add(self.ledger.compare(*conversation, &findings));
        }
        verdict
    }

    fn members(&self, conversation: ConversationId) -> Vec<&Device> {
        let mut members = vec![&self.phone, &self.laptop, &self.bob];
        if conversation != self.direct() {
            members.push(&self.carol);
        }
        members
    }

    /// Ends everything, and removes the folder.
    pub(super) async fn tear_down(mut self) -> Result<(), Failure> {
        for device in [&mut self.phone, &mut self.laptop, &mut self.bob, &mut self.carol] {
            device.stop().await;
        }
        self.server.shutdown().await;
        let path = self.folder.path().display().to_string();
        let failed = |error| Failure::failed(format!("cannot remove {path}: {error}; remove it by hand"));
        self.folder.close().map_err(failed)
    }
}

async fn start_server(data: PathBuf, development: &Development) -> Result<Server, Failure> {
    let mut config = Config::development();
    config.listen.address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.listen.admin = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    development.configure(&mut config);
    let rng = Rng::from_os().map_err(|error| Failure::failed(format!("no randomness: {error}")))?;
    let credentials = development.credentials();
    let options = ServerOptions::new(data, config, credentials, Clock::system(), rng);
    Box::pin(Server::start(options)).await.map_err(|error| Failure::failed(error.to_string()))
}
