//! A server, and users who connect to it.

use std::{path::PathBuf, time::Duration};

use fulmar_client::{Client, Events, State};
use fulmar_protocol::UserId;
use fulmar_server::{Clock, Development};

use crate::{error::BenchError, server_process::ServerProcess};

/// A temporary folder with a server process on it.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: ServerProcess,
    development: Development,
}

impl World {
    pub(crate) async fn start() -> Result<Self, BenchError> {
        let folder = tempfile::tempdir()?;
        let development = Development::create_or_open(folder.path(), Clock::system())?;
        let server = ServerProcess::start(folder.path()).await?;
        Ok(Self { folder, server, development })
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.development.authority()
    }

    pub(crate) fn token(&self, user: &UserId) -> Result<String, BenchError> {
        Ok(self.development.issue_token(user, Duration::from_secs(24 * 3600))?)
    }

    /// A user's client, its state in memory.
    pub(crate) async fn connect(&self, user: &UserId) -> Result<(Client, Events), BenchError> {
        Ok(Client::builder()
            .server(format!("localhost:{}", self.server.server.port()))
            .trust_ca_file(self.authority())
            .token(self.token(user)?)
            .state(State::memory())
            .confirm_automatically(true)
            .connect()
            .await?)
    }
}

/// A user of the measurement.
pub(crate) fn user(number: usize) -> Result<UserId, BenchError> {
    UserId::parse(&format!("user-{number}")).map_err(|error| BenchError::Wrong(error.to_string()))
}
