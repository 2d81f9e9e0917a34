//! Whole exchanges: real clients and a real server, quinn and rustls included, on the simulated network and its paused
//! clock. What is counted is a message's share of everything in the process, both ends and the network's own.
//!
//! Two runs differ by what TLS draws and by the seeds of hash maps, and so by a little in their counts.

use std::sync::Arc;

use fulmar_client::{Conversation, Event, OutgoingMessage, UserId};
use fulmar_interop_tests::simulation::{Device, World};
use fulmar_network_model::Profile;
use fulmar_protocol::HistoryPolicy;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::{BODY_BYTES, Case, Run};

/// Those who read in a group, beside the one who writes.
const READERS: u32 = 8;

/// Messages of a burst.
const BURST: u32 = 400;

/// See the module. Of one message handed to one app each.
pub(super) const CASES: [Case; 6] = [
    // One at a time: packets for each.
    case("exchange/one_by_one", 100, || exchange(1, 100, 1), None),
    // At once: lanes take what there is, and write it together.
    case("exchange/burst", BURST, burst, None),
    case("exchange/group_of_9", 50 * READERS, || exchange(READERS as usize, 50, 10), None),
    // The same burst, and of it one task each, from its beginning: what the rest would hide.
    case("lane/log_lane", BURST, burst, Some("fulmar_server::session::log_lane::Running::run::{{closure}}")),
    case(
        "lane/send_lane",
        BURST,
        burst,
        Some("fulmar_server::session::send_lane::SendLane::serve::{{closure}}"),
    ),
    case("lane/client", BURST, burst, Some("fulmar_client::driver::Driver::take_input")),
];

const fn case(
    name: &'static str,
    operations: u32,
    prepare: fn() -> Run,
    within: Option<&'static str>,
) -> Case {
    Case { name, operations, prepare, within }
}

fn burst() -> Run {
    exchange(1, BURST as usize, BURST as usize)
}

/// Somebody who writes, and those who read.
struct Exchange {
    conversation: Conversation,
    handed: watch::Receiver<usize>,
    readers: usize,
    _world: World,
    _devices: Vec<Device>,
}

impl Exchange {
    async fn begin(readers: usize) -> Self {
        let world = World::new(1);
        world.start_server().await;
        let (count, handed) = watch::channel(0);
        let count = Arc::new(count);
        let writer = Device::new(&world, user(0), 1, &Profile::CLEAN, Arc::new(|_| {}));
        writer.start();
        let mut devices = Vec::new();
        for number in 1..=readers {
            let count = Arc::clone(&count);
            let watcher = move |event: &Event| {
                if matches!(event, Event::Entry(_)) {
                    count.send_modify(|handed| *handed += 1);
                }
            };
            let reader = Device::new(&world, user(number), 1 + number, &Profile::CLEAN, Arc::new(watcher));
            reader.start();
            devices.push(reader);
        }
        let client = writer.client().expect("it was started");
        devices.push(writer);
        for device in &devices {
            let mut status = device.client().expect("it was started").status();
            status.wait_for(|status| status.is_online()).await.expect("it is online");
        }
        let conversation = if readers == 1 {
            client.direct(&user(1)).expect("two users")
        } else {
            let others: Vec<UserId> = (1..=readers).map(user).collect();
            {
                let created = client.create_group("Hot path", &others, HistoryPolicy::All).await;
                created.expect("a group").0
            }
        };
        let mut exchange = Self { conversation, handed, readers, _world: world, _devices: devices };
        // Every lane is open, whatever the conversation began with.
        exchange.send(1).await;
        exchange
    }

    /// Sends so many at once, and waits until every reader's app has them.
    async fn send(&mut self, messages: usize) {
        let awaited = *self.handed.borrow() + messages * self.readers;
        for _ in 0..messages {
            let message = OutgoingMessage::text("x".repeat(BODY_BYTES));
            drop(self.conversation.enqueue(message).await.expect("room in the outbox"));
        }
        self.handed.wait_for(|handed| *handed >= awaited).await.expect("the readers are there");
    }
}

fn user(number: usize) -> UserId {
    UserId::parse(&format!("user-{number}")).expect("a user")
}

fn exchange(readers: usize, messages: usize, at_once: usize) -> Run {
    let runtime: Runtime = Builder::new_current_thread()
        .enable_time()
        .enable_io()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let mut exchange = runtime.block_on(Exchange::begin(readers));
    Box::new(move || {
        runtime.block_on(async {
            for _ in 0..messages / at_once {
                exchange.send(at_once).await;
            }
        });
    })
}
