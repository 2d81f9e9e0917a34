//! What an operator does once: accounts, rooms, and who is subscribed to them, by the server's HTTP interface.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};

use super::{PASSWORD, ROOMS, USER};
use crate::{error::BenchError, place::SERVER_NAME};

/// Subscriptions in one request.
const SUBSCRIBED_AT_ONCE: usize = 500;
const REQUEST_MAX: Duration = Duration::from_secs(60);

pub(super) struct Administration {
    agent: ureq::Agent,
    url: String,
}

impl Administration {
    pub(super) fn new(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(REQUEST_MAX)).build();
        Self { agent: config.into(), url: format!("http://{address}/api") }
    }

    pub(super) async fn register(&self, user: usize) -> Result<(), BenchError> {
        let account = json!({ "user": name(user), "host": SERVER_NAME, "password": PASSWORD });
        self.call("register", account).await
    }

    /// Makes a room, and subscribes its members.
    pub(super) async fn create_room(&self, room: &str, members: &[usize]) -> Result<(), BenchError> {
        let options = ["persistent", "allow_subscription", "mam"];
        let options: Vec<Value> =
            options.iter().map(|name| json!({ "name": name, "value": "true" })).collect();
        let made = json!({ "name": room, "service": ROOMS, "host": SERVER_NAME, "options": options });
        self.call("create_room_with_opts", made).await?;
        for some in members.chunks(SUBSCRIBED_AT_ONCE) {
            let users: Vec<Value> = some
                .iter()
                .map(|user| json!({ "jid": format!("{}@{SERVER_NAME}", name(*user)), "nick": name(*user) }))
                .collect();
            let subscriptions = json!({
                "users": users,
                "room": format!("{room}@{ROOMS}"),
                "nodes": "urn:xmpp:mucsub:nodes:messages",
            });
            self.call("subscribe_room_many", subscriptions).await?;
        }
        Ok(())
    }

    async fn call(&self, command: &'static str, arguments: Value) -> Result<(), BenchError> {
        let (agent, url) = (self.agent.clone(), format!("{}/{command}", self.url));
        let called = tokio::task::spawn_blocking(move || agent.post(&url).send_json(&arguments).map(|_| ()));
        let called = called.await.map_err(|error| error.to_string());
        called
            .and_then(|answer| answer.map_err(|error| error.to_string()))
            .map_err(|error| BenchError::Wrong(format!("ejabberd: {command}: {error}")))
    }
}

/// A user's account.
pub(super) fn name(user: usize) -> String {
    format!("{USER}{user}")
}
