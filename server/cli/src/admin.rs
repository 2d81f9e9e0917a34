//! `fulmar admin`: what an operator asks of a running server, over its admin port.

use std::time::Duration;

use clap::{Args, Subcommand};
use fulmar_client::UserId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::Agent;
use ureq::http::Response;

use crate::failure::Failure;
use crate::output::{self, plain};

/// How long the server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Pages of sessions that are asked for. What is beyond is left out, which is said.
const PAGES_MAX: usize = 10_000;

/// Look after a running server
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Example:\n  fulmar admin sessions\n  fulmar admin revoke alice --admin 127.0.0.1:9443"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The server's admin address
    #[arg(long, value_name = "ADDR", global = true, default_value = "127.0.0.1:9443")]
    admin: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the sessions that are open
    #[command(
        after_help = "Example:\n  fulmar admin sessions\n  fulmar admin sessions --json | jq -r .user | sort -u"
    )]
    Sessions {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// End a user's sessions, and refuse the user's tokens that were issued up to now
    #[command(after_help = "Example:\n  fulmar admin revoke alice")]
    Revoke {
        /// Whose tokens
        #[arg(value_name = "USER")]
        user: UserId,
    },
    /// Send all clients away, before the server is stopped
    #[command(after_help = "Example:\n  fulmar admin drain")]
    Drain,
}

#[derive(Deserialize)]
struct Sessions {
    sessions: Vec<Session>,
}

/// What scripts are told of a session, as the server names it.
#[derive(Serialize, Deserialize)]
struct Session {
    session: u64,
    user: String,
    device: String,
    address: String,
    client: String,
    connected_at_ms: u64,
    expires_at_ms: u64,
}

#[derive(Deserialize)]
struct Revoked {
    sessions_ended: u64,
}

#[derive(Deserialize)]
struct Draining {
    sessions: u64,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let port = AdminPort::new(&arguments.admin);
    match &arguments.command {
        Command::Sessions { json } => sessions(&port, *json),
        Command::Revoke { user } => {
            let revoked: Revoked = port.post("/admin/revoke", &json!({ "user": user.as_str() }))?;
            let (user, ended) = (plain(user.as_str()), revoked.sessions_ended);
            output::line(format!("tokens of {user} up to now are refused; {ended} sessions ended"))
        }
        Command::Drain => {
            let draining: Draining = port.post("/admin/drain", &json!({}))?;
            output::line(format!("draining; {} sessions are sent away", draining.sessions))
        }
    }
}

fn sessions(port: &AdminPort, json: bool) -> Result<(), Failure> {
    let mut after = 0;
    for _ in 0..PAGES_MAX {
        let page: Sessions = port.get(&format!("/admin/sessions?after={after}"))?;
        let Some(last) = page.sessions.last() else { return Ok(()) };
        after = last.session;
        for session in &page.sessions {
            if json {
                output::json(session)?;
            } else {
                let (user, client) = (plain(&session.user), plain(&session.client));
                let since =
                    crate::time_of_day::full(fulmar_client::TimestampMs::new(session.connected_at_ms));
                let Session { session, device, address, .. } = session;
                output::line(format!("{session:>8} {since} {device} {address} {client} {user}"))?;
            }
        }
    }
    Err(Failure::failed("there are more sessions than this can list; the metrics have their number"))
}

/// The admin port of one server.
struct AdminPort {
    agent: Agent,
    address: String,
}

impl AdminPort {
    fn new(address: &str) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let address = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
        Self { agent: config.into(), address: address.to_owned() }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.answer(self.agent.get(self.url(path)).call())
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &serde_json::Value) -> Result<T, Failure> {
        self.answer(self.agent.post(self.url(path)).send_json(body))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn answer<T: DeserializeOwned>(
        &self,
        answer: Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, Failure> {
        let address = &self.address;
        let mut response = answer.map_err(|error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Failure::usage(format!("{address} is no address; write it like 127.0.0.1:9443"))
            }
            error => Failure::failed(format!(
                "no answer from the admin port {address}: {error}; check --admin, and that the server runs"
            )),
        })?;
        let strange = |error: ureq::Error| {
            Failure::failed(format!(
                "{address} gave an answer that is not a Fulmar server's: {error}; check --admin"
            ))
        };
        if response.status().is_success() {
            return response.body_mut().read_json().map_err(strange);
        }
        let status = response.status();
        let refusal: Refusal = response.body_mut().read_json().map_err(strange)?;
        Err(Failure::failed(format!("the server refused ({status}): {}; its log says more", refusal.error)))
    }
}
