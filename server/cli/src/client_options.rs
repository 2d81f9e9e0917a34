//! What every client command takes: which server, which authority, whose token, which state.
//!
//! Each option has an environment variable; what is typed has the last word, and an empty variable counts as
//! not set. The token is never shown in help or errors.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fulmar_client::{Client, ClientBuilder, Events};

use crate::failure::Failure;
use crate::state_folder;

/// How to reach the server, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ClientOptions {
    /// The server; several, with commas between them or one after another, are tried in their order
    #[arg(long, value_name = "HOST:PORT", env = "FULMAR_SERVER", value_delimiter = ',')]
    server: Vec<String>,
    /// The certificate authority to trust, a PEM file
    #[arg(long, value_name = "FILE", env = "FULMAR_CA")]
    ca: Option<PathBuf>,
    /// The user's token
    #[arg(long, value_name = "TOKEN", env = "FULMAR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Where this device keeps its id, its outbox and how far it has read [default: a folder for the first
    /// server and this user that no other process uses]
    #[arg(long, value_name = "DIR", env = "FULMAR_STATE")]
    state: Option<PathBuf>,
}

/// What becomes of a send that was not accepted in time.
pub(crate) const STAYS_IN_OUTBOX: &str =
    "it stays in the outbox and goes out with your next command: do not send it again";

/// How long a command keeps trying.
#[derive(Debug, Args)]
pub(crate) struct Patience {
    /// How long to keep trying before it has failed, for example 30s or 2m
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse, default_value = "20s")]
    timeout: Duration,
}

impl Patience {
    /// Waits no longer than was typed. `what` says what did not happen then, `next` what to do about it.
    pub(crate) async fn wait<T>(
        &self,
        what: &str,
        next: &str,
        future: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let waited = tokio::time::timeout(self.timeout, future).await;
        waited.map_err(|_| {
            let time = humantime::format_duration(self.timeout);
            Failure::failed(format!("{what} within {time}; {next}"))
        })
    }
}

/// How a client is to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    /// How long to wait for the first session.
    pub(crate) timeout: Duration,
    /// Whether entries that came before are to be handed over, or only named as skipped.
    pub(crate) backlog: bool,
}

impl Beginning {
    /// For a command that asks something and ends.
    pub(crate) fn patient(patience: &Patience) -> Self {
        Self { timeout: patience.timeout, backlog: false }
    }
}

impl ClientOptions {
    /// Connects, and waits for the first session.
    pub(crate) async fn connect(&self, beginning: Beginning) -> Result<(Client, Events), Failure> {
        let builder = self.builder(beginning.backlog)?.connect_timeout(beginning.timeout);
        Ok(Box::pin(builder.connect()).await?)
    }

    /// Starts without waiting for a session.
    pub(crate) fn start(&self) -> Result<(Client, Events), Failure> {
        Ok(self.builder(true)?.start()?)
    }

    /// The first server, as it was named.
    pub(crate) fn server(&self) -> Result<&str, Failure> {
        self.servers().next().ok_or_else(|| {
            missing("server", "--server HOST:PORT", "FULMAR_SERVER", "for a trial: fulmar serve --dev")
        })
    }

    fn servers(&self) -> impl Iterator<Item = &str> {
        self.server.iter().map(|server| server.trim()).filter(|server| !server.is_empty())
    }

    fn builder(&self, backlog: bool) -> Result<ClientBuilder, Failure> {
        let hint = "fulmar serve --dev makes one";
        let server = self.server()?;
        let ca = self
            .ca
            .as_ref()
            .filter(|path| !path.as_os_str().is_empty())
            .ok_or_else(|| missing("certificate authority", "--ca FILE", "FULMAR_CA", hint))?;
        let token = set(self.token.as_deref()).ok_or_else(|| {
            let hint = "for a development server: fulmar token USER --data DIR";
            missing("token", "--token TOKEN", "FULMAR_TOKEN", hint)
        })?;
        let state = match self.state.as_ref().filter(|path| !path.as_os_str().is_empty()) {
            Some(folder) => fulmar_client::State::directory(folder)?,
            None => state_folder::default_state(server, token)?,
        };
        let builder = Client::builder()
            .servers(self.servers())
            .trust_ca_file(ca)
            .token(token)
            .state(state)
            .client_name(concat!("fulmar/", env!("CARGO_PKG_VERSION")));
        Ok(if backlog { builder } else { builder.backlog_entries_max(0) })
    }
}

fn set(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

fn missing(what: &str, option: &str, variable: &str, hint: &str) -> Failure {
    Failure::usage(format!("no {what} is named: add {option} or set {variable} ({hint})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(server: &str, ca: &str, token: &str) -> ClientOptions {
        ClientOptions {
            server: vec![server.to_owned()],
            ca: Some(ca.into()),
            token: Some(token.to_owned()),
            state: Some("/nonexistent/state".into()),
        }
    }

    #[test]
    fn what_is_missing_is_named_with_option_and_variable() {
        for (options, part) in [
            (options("", "ca.pem", "t"), "FULMAR_SERVER"),
            (options("localhost:1", "", "t"), "FULMAR_CA"),
            (options("localhost:1", "ca.pem", ""), "FULMAR_TOKEN"),
        ] {
            let failure = options.builder(false).expect_err("something is missing");
            assert!(matches!(&failure, Failure::Usage(message) if message.contains(part)), "{failure:?}");
        }
    }
}
