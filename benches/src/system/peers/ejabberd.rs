//! ejabberd: XMPP with stream management and a message archive, groups by subscription (MUC/Sub) rather than by
//! presence. Accounts and rooms are in its own database (Mnesia), the archive in SQLite, as the package's
//! configuration advises: in Mnesia each message costs a look at all before it.
//!
//! It runs as one Erlang node without a name, so that no port mapper (epmd) is started and none is left.

mod administration;
mod session;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio::time::{Instant, sleep};

use self::administration::Administration;
use super::{
    conversations::Conversations,
    process::{Preparation, ServerProcess, free_port, program},
};
use crate::{
    error::BenchError,
    place::{Place, SERVER_NAME},
    system::{ConversationHandle, Promises, Running, Session, System},
};

const START_MAX: Duration = Duration::from_secs(60);
const INSTALL: &str = "apt-get install ejabberd erlang-p1-sqlite3";
/// What an account's name begins with.
const USER: &str = "user-";
const PASSWORD: &str = "benchmark";
/// Where rooms are.
const ROOMS: &str = "conference.localhost";

/// See the module.
pub(super) struct Ejabberd;

impl System for Ejabberd {
    fn name(&self) -> &'static str {
        "ejabberd"
    }

    fn promises(&self) -> Promises {
        // Between two the answer comes after the archive has it, in a room before.
        Promises { durable: false, ordered: true, archived: true, exactly_once: false }
    }

    fn start<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Box<dyn Running>, BenchError>> {
        Box::pin(async move {
            let libraries = libraries()?;
            let erlang = program("erl", INSTALL)?;
            let at = Preparation::new(place, "ejabberd-")?;
            let http = free_port(place.address())?;
            let configuration = at.write("ejabberd.yml", &configuration(&at, http.port()))?;
            let tls = Arc::new(at.certificate.client_config()?);
            let mut command = place.command(erlang);
            // As the package's own script starts it, but for the node's name.
            command
                .args(["-noinput", "+K", "true", "+P", "250000", "-mnesia", "dir"])
                .arg(format!("{:?}", at.path().join("spool")))
                .args(["-s", "ejabberd"])
                .env("ERL_LIBS", libraries)
                .env("HOME", at.path())
                .env("EJABBERD_CONFIG_PATH", configuration)
                .env("EJABBERD_LOG_PATH", at.path().join("ejabberd.log"))
                .env("ERL_CRASH_DUMP", at.path().join("crash.dump"))
                .env("ERL_MAX_PORTS", "65536")
                .env("ERL_MAX_ETS_TABLES", "20000");
            let server = at.start(command, START_MAX).await?;
            let version = started(&server).await?;
            let running: Box<dyn Running> = Box::new(Server {
                server,
                version,
                tls,
                administration: Administration::new(http),
                conversations: Conversations::default(),
                accounts: Mutex::default(),
            });
            Ok(running)
        })
    }
}

/// Where the package has its code, as its own script says.
fn libraries() -> Result<PathBuf, BenchError> {
    let script = std::fs::read_to_string(program("ejabberdctl", INSTALL)?)?;
    let folder = script.lines().find_map(|line| line.trim().strip_prefix("ERL_LIBS="));
    let folder = folder.map(|folder| PathBuf::from(folder.trim_matches(['\'', '"'])));
    let folder = folder.filter(|folder| folder.is_dir()).ok_or_else(|| {
        BenchError::Wrong(format!("ejabberdctl does not say where the code is; use Debian's: {INSTALL}"))
    })?;
    Ok(folder)
}

/// Waits until it says that it has started, and which version it is.
async fn started(server: &ServerProcess) -> Result<String, BenchError> {
    let deadline = Instant::now() + START_MAX;
    loop {
        let log = server.log();
        if log.contains("sqlite3") && log.contains("missing") {
            let what = "erlang-p1-sqlite3, which ejabberd's archive needs,".into();
            return Err(BenchError::NotInstalled { what, install: INSTALL.into() });
        }
        match version(&log) {
            Some(version) => return Ok(version),
            None if Instant::now() > deadline => return Err(server.failed("did not say that it has started")),
            None => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// It says so itself once it has started: `ejabberd 23.01 is started in the node …`.
fn version(log: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| line.contains(" is started in the node"))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "ejabberd")?;
    words.get(at + 1).map(|version| (*version).to_owned())
}

/// The package's modules that a messaging app uses, and the archive. Nobody's messages are dropped for being many.
const MODULES: &str = r"modules:
  mod_admin_extra: {}
  mod_blocking: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_client_state: {}
  mod_disco: {}
  mod_http_api: {}
  mod_last: {}
  mod_mam:
    db_type: sql
    default: always
    assume_mam_usage: true
    user_mucsub_from_muc_archive: true
  mod_muc:
    host: conference.localhost
    default_room_options:
      mam: true
      persistent: true
      allow_subscription: true
  mod_muc_admin:
    subscribe_room_many_max_users: 1000
  mod_offline:
    access_max_user_messages: offline
  mod_ping: {}
  mod_privacy: {}
  mod_private: {}
  mod_roster:
    versioning: true
  mod_stream_mgmt:
    resend_on_timeout: if_offline
    max_ack_queue: infinity
  mod_vcard:
    search: false
  mod_version: {}
shaper_rules:
  offline:
    infinity: all
";

/// The package's, without the limits that protect a public server from its users.
fn configuration(at: &Preparation, http_port: u16) -> String {
    format!(
        r#"
hosts: [{SERVER_NAME}]
loglevel: info
certfiles: [{chain:?}]
ca_file: {authority:?}
listen:
  - port: {port}
    ip: "{address}"
    module: ejabberd_c2s
    tls: true
    max_stanza_size: 1048576
    shaper: none
    access: all
  - port: {http_port}
    ip: "{address}"
    module: ejabberd_http
    request_handlers:
      /api: mod_http_api
sql_type: sqlite
sql_database: {archive:?}
auth_method: internal
auth_password_format: scram
disable_sasl_mechanisms: [digest-md5, X-OAUTH2]
api_permissions:
  "benchmark":
    from: [mod_http_api]
    who: all
    what: [register, create_room_with_opts, subscribe_room_many]
{MODULES}"#,
        chain = at.certificate.both_file,
        authority = at.certificate.authority_file,
        archive = at.path().join("archive.db"),
        port = at.address.port(),
        address = at.address.ip(),
    )
}

struct Server {
    server: ServerProcess,
    version: String,
    tls: Arc<ClientConfig>,
    administration: Administration,
    conversations: Conversations,
    /// Users that have an account.
    accounts: Mutex<std::collections::HashSet<usize>>,
}

impl Running for Server {
    fn version(&self) -> &str {
        &self.version
    }

    /// The version is the year and month.
    fn release_year(&self) -> u16 {
        let year = self.version.split('.').next().and_then(|year| year.parse::<u16>().ok());
        year.map_or(0, |year| 2_000 + year)
    }

    fn processes(&self) -> Vec<u32> {
        self.server.processes()
    }

    fn conversation<'a>(
        &'a self,
        members: &'a [usize],
    ) -> BoxFuture<'a, Result<ConversationHandle, BenchError>> {
        Box::pin(async move {
            let made = self.conversations.add(members, |number| format!("room-{number}"));
            if members.len() != 2 {
                self.administration.create_room(&made.name, members).await?;
            }
            Ok(made)
        })
    }

    fn connect(&self, user: usize) -> BoxFuture<'_, Result<Session, BenchError>> {
        Box::pin(async move {
            if self.accounts.lock().insert(user) {
                self.administration.register(user).await?;
            }
            session::open(user, self.server.at.address, Arc::clone(&self.tls)).await
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_what_the_server_says_of_itself() {
        let log = "2026-01-01 [info] Loading\n\
                   2026-01-01 [info] <0.1.0>@x:y:3 ejabberd 23.01 is started in the node nonode@nohost in 3.2s\n";
        assert_eq!(super::version(log).as_deref(), Some("23.01"));
        assert_eq!(super::version("nothing"), None);
    }
}
