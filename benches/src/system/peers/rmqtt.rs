//! rmqtt: an MQTT broker in Rust that takes MQTT over QUIC, one stream for each client; sessions and queues in memory.

use std::net::SocketAddr;

use futures_util::future::BoxFuture;

use super::{
    conversations::Conversations,
    mqtt::Devices,
    process::{BROKER_START_MAX, Preparation, ServerProcess, free_port, program, version},
};
use crate::{
    error::BenchError,
    place::Place,
    system::{ConversationHandle, Promises, Running, Session, System},
};

const INSTALL: &str = "apt-get install cmake protobuf-compiler && cargo install rmqttd";

/// See the module.
pub(super) struct Rmqtt;

impl System for Rmqtt {
    fn name(&self) -> &'static str {
        "rmqtt"
    }

    fn promises(&self) -> Promises {
        Promises { durable: false, ordered: true, archived: false, exactly_once: false }
    }

    fn start<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Box<dyn Running>, BenchError>> {
        Box::pin(async move {
            let program = program("rmqttd", INSTALL)?;
            let version = version(tokio::process::Command::new(&program).arg("--version")).await?;
            let at = Preparation::new(place, "rmqtt-")?;
            let (rpc, quic) = (free_port(place.address())?, free_port(place.address())?);
            let configuration = at.write("rmqtt.toml", &configuration(&at, rpc, quic))?;
            let mut command = place.command(program);
            command.arg("--config").arg(configuration);
            let server = at.start(command, BROKER_START_MAX).await?;
            let tls = server.at.certificate.client_config()?;
            let (conversations, devices) = (Conversations::default(), Devices::default());
            let running: Box<dyn Running> =
                Box::new(Broker { server, version, quic, tls, conversations, devices });
            Ok(running)
        })
    }
}

/// Its defaults, but for limits that would drop messages or hold back a sender. Without a listener over TCP it would
/// open one on the usual port; this one also tells when the broker has started.
fn configuration(at: &Preparation, rpc: SocketAddr, quic: SocketAddr) -> String {
    let limits = "allow_anonymous = true\nnodelay = true\nmax_inflight = 10000\nmax_mqueue_len = 1000000\n";
    let listener = |kind: &str, address: SocketAddr| {
        format!(
            "[listener.{kind}.benchmark]\naddr = \"{address}\"\ncert = {chain:?}\nkey = {key:?}\n{limits}",
            chain = at.certificate.certificate_file,
            key = at.certificate.key_file,
        )
    };
    format!(
        "[rpc]\nserver_addr = \"{rpc}\"\n\
         [log]\nto = \"console\"\nlevel = \"warn\"\n\
         [plugins]\ndir = {plugins:?}\ndefault_startups = []\n\
         disabled_default_startups = [\"rmqtt-http-api\", \"rmqtt-acl\", \"rmqtt-counter\"]\n{tls}{quic}",
        plugins = at.path().join("plugins"),
        tls = listener("tls", at.address),
        quic = listener("quic", quic),
    )
}

struct Broker {
    server: ServerProcess,
    version: String,
    quic: SocketAddr,
    tls: rustls::ClientConfig,
    conversations: Conversations,
    devices: Devices,
}

impl Running for Broker {
    fn version(&self) -> &str {
        &self.version
    }

    /// By its package's releases; 0 when it is not known here.
    fn release_year(&self) -> u16 {
        if self.version.starts_with("0.24.") { 2026 } else { 0 }
    }

    fn processes(&self) -> Vec<u32> {
        self.server.processes()
    }

    fn conversation<'a>(
        &'a self,
        members: &'a [usize],
    ) -> BoxFuture<'a, Result<ConversationHandle, BenchError>> {
        Box::pin(
            async move { Ok(self.conversations.add(members, |number| format!("conversation/{number}"))) },
        )
    }

    fn connect(&self, user: usize) -> BoxFuture<'_, Result<Session, BenchError>> {
        Box::pin(async move {
            let conversations = self.conversations.of(user);
            self.devices.connect_quic(user, &conversations, self.quic, &self.tls).await
        })
    }
}
