//! Putting a client together: the state is read, the channels are made, the driver is spawned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use fulmar_protocol::{ConversationId, DeviceId, Outbox, OutboxItem};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::builder::Settings;
use crate::client::Client;
use crate::confirmations::Confirmations;
use crate::driver::Driver;
use crate::driver::clock::Clock;
use crate::driver::confirming::Confirming;
use crate::driver::journal::Journal;
use crate::driver::link::Phase;
use crate::driver::presence::Ephemeral;
use crate::driver::recently_sent::RecentlySent;
use crate::driver::told::Told;
use crate::driver::tracked::{Conversations, Tracked, outbox_limits};
use crate::driver::watching::Watching;
use crate::error::ClientError;
use crate::event::{self, Events};
use crate::limits;
use crate::request;
use crate::rng::Rng;
use crate::shared::{Identity, Link, Shared, Stance};
use crate::state::{ConversationRow, State, Store, Stored};
use crate::status::Status;
use crate::transport::Endpoints;

/// Reads the state and spawns the driver.
pub(crate) fn launch(
    settings: Settings,
    state: State,
    first_handshake_is_final: bool,
) -> Result<(Client, Events), ClientError> {
    let (store, stored) = state.open()?;
    let mut rng = settings.environment.rng();
    let requests_rng = rng.split();
    let (commands, taken) = mpsc::channel(limits::COMMANDS_MAX);
    let (status, status_seen) = watch::channel(Status::Connecting);
    let (link, link_seen) = watch::channel(Link::Down);
    let device = stored.device.unwrap_or_else(|| DeviceId::new(rng.octets()));
    let (identity, identity_seen) = watch::channel(Identity { user: stored.user.clone(), device });
    let (stance, stance_seen) = watch::channel(Stance::Foreground);
    let confirmations = Arc::new(Confirmations::default());
    let cancel = CancellationToken::new();
    let requests = Arc::new(request::permits());
    let confirm_automatically = settings.confirm_automatically;
    let (events, app_events) = event::queue(status_seen.clone(), confirm_automatically);
    let driver = Driver::new(Parts {
        settings,
        store,
        stored,
        device,
        rng,
        commands: taken,
        cancel: cancel.clone(),
        confirmations: Arc::clone(&confirmations),
        requests: Arc::clone(&requests),
        events,
        told: Told { status, link, identity },
        stance: stance_seen,
        first_handshake_is_final,
    })?;
    let driver = tokio::spawn(driver.run());
    let client = Client::new(Arc::new(Shared {
        commands,
        cancel,
        status: status_seen,
        link: link_seen,
        identity: identity_seen,
        stance,
        confirmations,
        requests,
        rng: Mutex::new(requests_rng),
        driver: Mutex::new(Some(driver)),
        confirm_automatically,
    }));
    Ok((client, app_events))
}

struct Parts {
    settings: Settings,
    store: Store,
    stored: Stored,
    device: DeviceId,
    rng: Rng,
    commands: mpsc::Receiver<crate::command::Command>,
    cancel: CancellationToken,
    confirmations: Arc<Confirmations>,
    requests: Arc<Semaphore>,
    events: event::EventSender,
    told: Told,
    stance: watch::Receiver<Stance>,
    first_handshake_is_final: bool,
}

impl Driver {
    fn new(mut parts: Parts) -> Result<Self, ClientError> {
        let clock = Clock::start();
        let Stored { folder, device: stored_device, user, epoch, conversations, outbox } = parts.stored;
        let outbox_bytes = outbox.iter().map(|(_, _, content)| content.len()).sum();
        let mut journal = Journal::new(parts.store);
        if stored_device.is_none() {
            journal.device(parts.device);
        }
        let tls = Arc::clone(&parts.settings.tls.config);
        let endpoints = Endpoints::new(tls, parts.settings.environment.clone(), parts.rng.split());
        Ok(Self {
            endpoints,
            settings: parts.settings,
            commands: parts.commands,
            cancel: parts.cancel,
            confirmations: parts.confirmations,
            requests: parts.requests,
            events: parts.events,
            told: parts.told,
            journal,
            clock,
            now: clock.now(),
            rng: parts.rng,
            user,
            device: parts.device,
            epoch,
            renewing_device: false,
            needs_new_device: false,
            devices_renewed: 0,
            phase: Phase::Waiting { retry_at: clock.now() },
            rival: None,
            stray_at: None,
            rival_preferred_until: None,
            stance: parts.stance,
            background_until: None,
            backoff: Backoff::new(),
            first_handshake_is_final: parts.first_handshake_is_final,
            first_session_open: false,
            tokens_expired: 0,
            ended: None,
            closing: None,
            conversations: restore(&folder, conversations, outbox)?,
            recently_sent: RecentlySent::default(),
            outbox_bytes,
            sendable: BTreeSet::new(),
            send_timers: BTreeSet::new(),
            waiting_for_room: BTreeSet::new(),
            confirming: Confirming::default(),
            watching: Watching::default(),
            ephemeral: Ephemeral::new(),
            loss: fulmar_protocol::LossEstimate::new(),
        })
    }
}

/// The conversations as they were stored.
fn restore(
    folder: &Path,
    rows: Vec<(ConversationId, ConversationRow)>,
    outbox: Vec<(ConversationId, fulmar_protocol::ClientSeq, bytes::Bytes)>,
) -> Result<Conversations, ClientError> {
    let mut items: BTreeMap<ConversationId, Vec<OutboxItem>> = BTreeMap::new();
    for (id, client_seq, content) in outbox {
        items.entry(id).or_default().push(OutboxItem { client_seq, content });
    }
    let damaged = |cause: String| ClientError::StateDamaged { path: folder.to_owned(), cause };
    let mut conversations = Conversations::default();
    for (id, row) in rows {
        let items = items.remove(&id).unwrap_or_default();
        let outbox = Outbox::restore(outbox_limits(), row.next_client_seq, items);
        let outbox = outbox.map_err(|error| damaged(error.to_string()))?;
        conversations.insert(id, Tracked::restore(row, outbox));
    }
    match items.keys().next() {
        Some(id) => Err(damaged(format!("unsent entries of conversation {id}, which is not there"))),
        None => Ok(conversations),
    }
}
