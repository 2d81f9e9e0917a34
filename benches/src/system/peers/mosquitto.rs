//! Mosquitto: an MQTT broker in one thread, its persistence a snapshot that is written now and then.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rustls::ClientConfig;

use super::{
    conversations::Conversations,
    mqtt::Devices,
    process::{BROKER_START_MAX, Preparation, ServerProcess, program, version},
};
use crate::{
    error::BenchError,
    place::Place,
    system::{ConversationHandle, Promises, Running, Session, System},
};

const INSTALL: &str = "apt-get install mosquitto";

/// See the module.
pub(super) struct Mosquitto;

impl System for Mosquitto {
    fn name(&self) -> &'static str {
        "mosquitto"
    }

    fn promises(&self) -> Promises {
        Promises { durable: false, ordered: true, archived: false, exactly_once: false }
    }

    fn start<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Box<dyn Running>, BenchError>> {
        Box::pin(async move {
            let program = program("mosquitto", INSTALL)?;
            let version = version(tokio::process::Command::new(&program).arg("-h")).await?;
            let at = Preparation::new(place, "mosquitto-")?;
            let configuration = at.write("mosquitto.conf", &configuration(&at))?;
            let tls = Arc::new(at.certificate.client_config()?);
            let mut command = place.command(program);
            command.arg("-c").arg(configuration);
            let server = at.start(command, BROKER_START_MAX).await?;
            let running: Box<dyn Running> = Box::new(Broker {
                server,
                tls,
                version,
                conversations: Conversations::default(),
                devices: Devices::default(),
            });
            Ok(running)
        })
    }
}

/// Its defaults, but for limits that would drop messages or hold back a sender.
fn configuration(at: &Preparation) -> String {
    let (folder, certificate) = (at.path().display(), &at.certificate);
    format!(
        "listener {port} {address}\n\
         allow_anonymous true\n\
         cafile {authority}\n\
         certfile {chain}\n\
         keyfile {key}\n\
         user root\n\
         persistence true\n\
         persistence_location {folder}/\n\
         set_tcp_nodelay true\n\
         max_inflight_messages 0\n\
         max_queued_messages 0\n",
        port = at.address.port(),
        address = at.address.ip(),
        authority = certificate.authority_file.display(),
        chain = certificate.certificate_file.display(),
        key = certificate.key_file.display(),
    )
}

struct Broker {
    server: ServerProcess,
    tls: Arc<ClientConfig>,
    version: String,
    conversations: Conversations,
    devices: Devices,
}

impl Running for Broker {
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
            async move { Ok(self.conversations.add(members, |number| format!("conversation/{number}"))) },
        )
    }

    fn connect(&self, user: usize) -> BoxFuture<'_, Result<Session, BenchError>> {
        Box::pin(async move {
            let conversations = self.conversations.of(user);
            self.devices.connect(user, &conversations, self.server.at.address, &self.tls).await
        })
    }
}

/// By the project's list of changes; 0 when it is not known here.
fn release_year(version: &str) -> u16 {
    let mut numbers = version.split('.').map(|number| number.parse::<u16>().unwrap_or_default());
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(2), Some(0), Some(0..=4)) => 2020,
        (Some(2), Some(0), Some(5..=14)) => 2021,
        (Some(2), Some(0), Some(15)) => 2022,
        (Some(2), Some(0), Some(16..=18)) => 2023,
        (Some(2), Some(0), Some(19..=20)) => 2024,
        (Some(2), Some(0), Some(_)) => 2025,
        (Some(2), Some(1), _) => 2026,
        _ => 0,
    }
}
