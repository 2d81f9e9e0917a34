//! Users on several devices each: real clients, whose apps write down what they are handed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fulmar_client::{
    Client, ClientError, Conversation, ConversationId, Event, Events, HistoryPolicy, InboxItem, State,
    Status, UserId,
};
use tokio::runtime::Runtime;
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

use super::log::{DeviceLog, Ledger};
use super::processes::{Nodes, pass, wait_until};

const USERS: usize = 5;
/// The first users have two.
const DEVICES: usize = 8;
/// How long a client may take to its first session.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(60);
/// After the last message is there: what would come twice has come.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct People {
    pub(super) runtime: Runtime,
    pub(super) devices: Vec<Arc<Device>>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) group: ConversationId,
}

/// A device, its app running or about to.
pub(super) struct Device {
    pub(super) label: String,
    pub(super) user: UserId,
    /// The two with whom its user talks.
    pub(super) peers: [UserId; 2],
    app: RwLock<Option<App>>,
    log: Arc<Mutex<DeviceLog>>,
    builder: Box<dyn Fn() -> Result<fulmar_client::ClientBuilder, ClientError> + Send + Sync>,
}

struct App {
    client: Client,
    recorder: JoinHandle<()>,
}

fn user(number: usize) -> UserId {
    UserId::parse(&format!("user-{}", number % USERS)).unwrap()
}

impl People {
    /// Connects them all, and puts them into one group. `servers`: where a device looks for servers.
    pub(super) fn start(nodes: &Nodes, servers: impl Fn(usize) -> Vec<String>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let devices: Vec<_> =
            (0..DEVICES).map(|number| Arc::new(Device::new(nodes, number, servers(number)))).collect();
        let group = runtime.block_on(async {
            for device in &devices {
                device.open().await;
            }
            let members: Vec<_> = (0..USERS).map(user).collect();
            let founder = devices[0].client().await;
            let (group, _) = founder.create_group("All", &members, HistoryPolicy::All).await.unwrap();
            group.id()
        });
        Self { runtime, devices, ledger: Arc::default(), group }
    }

    /// Closes the app on some devices and opens it again.
    pub(super) fn open_again(&self, which: impl Fn(usize) -> bool) {
        let chosen = self.devices.iter().enumerate().filter(|(number, _)| which(*number));
        self.runtime.block_on(async {
            for (_, device) in chosen {
                device.open_again().await;
            }
        });
    }

    /// Waits until every device has everything, and holds it against what was sent and what the server says.
    pub(super) fn assert_that_all_is_there(&self) {
        let ledger = self.ledger.lock().unwrap();
        for conversation in ledger.conversations() {
            // A group begins with its making.
            let count = ledger.count_in(conversation) as u64 + u64::from(conversation == self.group);
            for device in self.members(conversation) {
                let (log, label) = (&device.log, &device.label);
                wait_until(&format!("{label} has all {count} of {conversation}"), || {
                    let log = log.lock().unwrap();
                    assert_eq!(log.trouble, Vec::<String>::new(), "{label}");
                    log.reached(conversation) >= count
                });
            }
        }
        pass(AFTERWARDS);
        for device in &self.devices {
            let inbox = self.runtime.block_on(device.inbox()).unwrap();
            let log = device.log.lock().unwrap();
            assert_eq!(log.trouble, Vec::<String>::new(), "{}", device.label);
            for item in inbox {
                assert_eq!(log.reached(item.conversation), item.head.get(), "{}: all, no more", device.label);
            }
        }
        for conversation in ledger.conversations() {
            let first = self.members(conversation)[0].log.lock().unwrap().entries(conversation).to_vec();
            for device in self.members(conversation) {
                let log = device.log.lock().unwrap();
                let entries = log.entries(conversation);
                ledger.assert_holds(&device.label, conversation, entries);
                assert!(entries == first, "{} has another order", device.label);
            }
        }
        self.assert_that_devices_agree();
    }

    /// The devices of one user see the same marks and counts.
    fn assert_that_devices_agree(&self) {
        let seen = |device: &Device| {
            let items = self.runtime.block_on(device.inbox()).unwrap();
            items
                .into_iter()
                .map(|InboxItem { conversation, head, read, unread, .. }| {
                    (conversation, (head, read, unread))
                })
                .collect::<std::collections::BTreeMap<_, _>>()
        };
        for (number, device) in self.devices.iter().enumerate().skip(USERS) {
            assert_eq!(seen(device), seen(&self.devices[number - USERS]), "{}", device.label);
        }
    }

    fn members(&self, conversation: ConversationId) -> Vec<&Arc<Device>> {
        let is_member = |device: &&Arc<Device>| {
            conversation == self.group
                || (0..USERS).any(|peer| conversation == ConversationId::direct(&device.user, &user(peer)))
        };
        self.devices.iter().filter(is_member).collect()
    }
}

impl Device {
    fn new(nodes: &Nodes, number: usize, servers: Vec<String>) -> Self {
        let name = user(number);
        let label = format!("{name}.{}", number / USERS);
        let state = nodes.folder.path().join("states").join(&label);
        let (authority, token) = (nodes.development.authority(), nodes.token(&name));
        let builder = move || {
            let builder = Client::builder().servers(&servers).trust_ca_file(&authority).token(&token);
            Ok(builder.state(State::directory(&state)?).connect_timeout(CONNECT_TIME_MAX))
        };
        Self {
            label,
            user: name,
            peers: [user(number + 1), user(number + USERS - 1)],
            app: RwLock::default(),
            log: Arc::default(),
            builder: Box::new(builder),
        }
    }

    async fn open(&self) {
        let (client, events) = (self.builder)().unwrap().connect().await.unwrap();
        let recorder = tokio::spawn(record(events, Arc::clone(&self.log)));
        *self.app.write().await = Some(App { client, recorder });
    }

    async fn open_again(&self) {
        // Nobody enqueues meanwhile.
        let mut app = self.app.write().await;
        if let Some(App { client, recorder }) = app.take() {
            client.close().await;
            drop(client);
            recorder.await.unwrap();
        }
        self.log.lock().unwrap().restarted();
        // Connects when it can.
        let (client, events) = (self.builder)().unwrap().start().unwrap();
        let recorder = tokio::spawn(record(events, Arc::clone(&self.log)));
        *app = Some(App { client, recorder });
    }

    pub(super) async fn client(&self) -> Client {
        self.app.read().await.as_ref().unwrap().client.clone()
    }

    pub(super) async fn inbox(&self) -> Result<Vec<InboxItem>, ClientError> {
        self.client().await.inbox().await
    }

    /// Does something with the app, which goes on running meanwhile.
    pub(super) async fn with<T>(&self, act: impl AsyncFnOnce(&Client) -> T) -> T {
        let app = self.app.read().await;
        act(&app.as_ref().unwrap().client).await
    }

    /// The conversation with one of its peers, or that of all.
    pub(super) fn conversation(&self, client: &Client, group: ConversationId, turn: usize) -> Conversation {
        match self.peers.get(turn % 3) {
            Some(peer) => client.direct(peer).unwrap(),
            None => client.conversation(group),
        }
    }
}

async fn record(mut events: Events, log: Arc<Mutex<DeviceLog>>) {
    while let Some(event) = events.next().await {
        let trouble = match event {
            Event::Entry(entry) => {
                log.lock().unwrap().entry(&entry);
                entry.confirm();
                continue;
            }
            Event::Skipped { .. } | Event::SendFailed { .. } | Event::Resynchronised => format!("{event:?}"),
            Event::Status(Status::Ended { code: Some(code), reason }) => format!("{code}: {reason}"),
            _ => continue,
        };
        log.lock().unwrap().trouble.push(trouble);
    }
}
