//! The storm: users who act at random on several devices each, while networks, phones and the server break.
//!
//! Everything random follows from the seed. When the time is up, all is made well again: every device has its
//! network, every app runs, the server is there. Then everything has to arrive.

mod actor;
mod cluster;
mod groups;
mod life;
mod talk;
mod weather;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fulmar_client::ClientBuilder;
use fulmar_protocol::{ConversationId, UserId};
use fulmar_server::ServerOptions;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use fulmar_network_model::Profile;

use super::device::Device;
use super::ground::Ground;
use super::recorder::{Invariant, Recorder, Violation};
use super::watch::Watch;
use super::world::World;

use actor::Actor;
use cluster::{all_is_well, cluster_weather};
use weather::weather;

/// How long all may take to arrive when all is well again.
const CALM_MAX: Duration = Duration::from_secs(15 * 60);
/// How much a device that skips is handed when it is behind.
const BACKLOG: u32 = 8;
/// How often it is looked whether something was wrong.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is looked whether all has arrived.
const CALM_STEP: Duration = Duration::from_secs(1);
/// How long an inbox may take in the calm.
const INBOX_TIMEOUT: Duration = Duration::from_secs(120);
/// How often in a row nothing may be missing until it is believed.
const CALM_STEPS_QUIET: u32 = 5;

/// What a storm is made of.
#[derive(Clone)]
pub struct StormOptions {
    /// What everything random follows from.
    pub seed: u64,
    /// How long it lasts, before the calm.
    pub length: Duration,
    /// The networks, of which each device gets one.
    pub profiles: Vec<&'static Profile>,
    /// How many users there are.
    pub users: usize,
    /// How many nodes serve them: one, or a cluster.
    pub nodes: usize,
    /// What the world stands on.
    pub ground: Ground,
    /// The last word on the options of each start of the server.
    pub prepare: Arc<dyn Fn(&mut ServerOptions) + Send + Sync>,
    /// By which it is watched.
    pub watch: Watch,
}

impl StormOptions {
    /// A storm of this seed and length, of six users.
    #[must_use]
    pub fn new(seed: u64, length: Duration, profiles: &[&'static Profile]) -> Self {
        let prepare = Arc::new(|_: &mut _| {});
        Self {
            seed,
            length,
            profiles: profiles.to_vec(),
            users: 6,
            nodes: 1,
            ground: Ground::Simulated,
            prepare,
            watch: Watch::default(),
        }
    }
}

impl fmt::Debug for StormOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StormOptions").field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// How a storm went.
#[derive(Clone, Debug)]
pub struct StormReport {
    /// What was wrong, if anything.
    pub violation: Option<Violation>,
    /// What happened last, oldest first.
    pub last_events: Vec<String>,
    /// A hash over all that apps were told and when.
    pub digest: u64,
    /// A hash over all packets and their times.
    pub network_digest: u64,
    /// How long the world was, calm included.
    pub simulated: Duration,
    /// Entries that devices were handed.
    pub entries_handed: u64,
    /// Messages that the server accepted.
    pub messages_accepted: u64,
}

/// What actors share.
struct Scene {
    world: World,
    recorder: Recorder,
    devices: Vec<Arc<Device>>,
    users: Vec<UserId>,
    /// Groups, as soon as somebody made one.
    groups: Mutex<Vec<ConversationId>>,
}

/// Runs one storm. Call it in [`super::run`], or, on a ground where time is real, in [`super::run_in_real_time`].
pub async fn storm(options: StormOptions) -> StormReport {
    let mut random = StdRng::seed_from_u64(options.seed);
    let prepare = Arc::clone(&options.prepare);
    let world = World::cluster_on(options.ground.clone(), options.seed, options.nodes, move |server| {
        prepare(server);
    });
    let recorder = Recorder::new(world.origin());
    let _watched = options.watch.begin(&recorder);
    for node in 0..world.nodes() {
        world.start_node(node).await;
    }
    let scene = Arc::new(set_scene(&options, &world, &recorder, &mut random));
    let mut tasks = tokio::task::JoinSet::new();
    for device in &scene.devices {
        let actor = Actor::new(Arc::clone(&scene), Arc::clone(device), random.random());
        let begins = begins(&options, device, &mut random);
        tasks.spawn(actor.run(begins, options.length));
    }
    if options.nodes == 1 {
        tasks.spawn(weather(Arc::clone(&scene), options.length, random.random()));
    } else {
        tasks.spawn(cluster_weather(Arc::clone(&scene), options.length, random.random()));
    }
    let mut look = tokio::time::interval(LOOK);
    while !is_over(&world, &recorder, &options.watch) {
        tokio::select! {
            biased;
            // What an actor panicked with is known to the watch.
            ended = tasks.join_next() => if ended.is_none() { break },
            _ = look.tick() => {}
        }
    }
    tasks.shutdown().await;
    calm(&scene, &options.watch).await;
    let seen = recorder.summary();
    StormReport {
        violation: recorder.violation(),
        last_events: seen.last_events,
        digest: seen.digest,
        network_digest: world.network().digest(),
        simulated: world.now(),
        entries_handed: seen.entries_handed,
        messages_accepted: seen.messages_accepted,
    }
}

/// When a device is there for the first time: the last user joins late, and so do some devices of others.
fn begins(options: &StormOptions, device: &Device, random: &mut StdRng) -> Duration {
    let joins_late = device.user.as_str() == user_name(options.users - 1);
    let is_late = random.random_bool(if joins_late { 1.0 } else { 0.15 });
    let share = random.random_range(0.1..0.6);
    if is_late { options.length.mul_f64(share) } else { Duration::ZERO }
}

fn user_name(number: usize) -> String {
    format!("user-{number}")
}

fn set_scene(options: &StormOptions, world: &World, recorder: &Recorder, random: &mut StdRng) -> Scene {
    let users: Vec<UserId> =
        (0..options.users).map(|number| UserId::parse(&user_name(number)).unwrap()).collect();
    let mut devices = Vec::new();
    for user in &users {
        for place in 0..random.random_range(1..=3) {
            let number = devices.len();
            let profile = options.profiles[random.random_range(0..options.profiles.len())];
            recorder.device(number, user);
            let watched = recorder.clone();
            let watcher = Arc::new(move |event: &_| watched.told(number, event));
            let wrong = Duration::from_secs(random.random_range(0..7 * 24 * 3_600));
            let servers = (0..world.nodes()).map(|node| world.server_name((number + node) % world.nodes()));
            let device = Device::new(world, user.clone(), number, profile, watcher)
                .with_clock_ahead(wrong)
                .with_servers(servers.collect());
            // Some are handed the newest only when they are far behind. A user's first device is handed all, so
            // that somebody is.
            let skips = place > 0 && random.random_bool(0.3);
            let settings = if skips {
                |builder: ClientBuilder| builder.backlog_entries_max(BACKLOG)
            } else {
                |builder| builder
            };
            devices.push(Arc::new(device.with_settings(settings)));
        }
    }
    Scene { world: world.clone(), recorder: recorder.clone(), devices, users, groups: Mutex::default() }
}

/// Whether there is no use in going on. Lets the watch know how far it is.
fn is_over(world: &World, recorder: &Recorder, watch: &Watch) -> bool {
    watch.passed(world.now());
    if let Some(what) = watch.panic() {
        recorder.violated(Invariant::NothingPanics, what);
    }
    recorder.violation().is_some()
}

/// All is made well again, and everything has to arrive.
async fn calm(scene: &Scene, watch: &Watch) {
    if is_over(&scene.world, &scene.recorder, watch) {
        return;
    }
    scene.recorder.note("calm");
    all_is_well(&scene.world).await;
    for device in &scene.devices {
        device.host.restore();
        device.start();
    }
    let until = scene.world.now() + CALM_MAX;
    // What comes last may set off more, and what should not come has the time to come.
    let (mut quiet, mut told) = (0, None);
    while scene.world.now() < until && quiet < CALM_STEPS_QUIET {
        tokio::time::sleep(CALM_STEP).await;
        if is_over(&scene.world, &scene.recorder, watch) {
            return;
        }
        let missing = scene.recorder.missing();
        quiet = if missing.is_none() { quiet + 1 } else { 0 };
        if missing != told {
            scene.recorder.note(
                missing.as_ref().map_or_else(|| "all is there".to_owned(), |what| format!("missing: {what}")),
            );
            told = missing;
        }
    }
    scene.recorder.check_end();
    if scene.recorder.violation().is_none() {
        check_inboxes(scene).await;
    }
}

/// What the server says of marks and unread figures, asked for by each device. A request ends with its
/// connection; then it is made again.
async fn check_inboxes(scene: &Scene) {
    for device in &scene.devices {
        let Some(client) = device.client() else { continue };
        let until = scene.world.now() + INBOX_TIMEOUT;
        let items = loop {
            match client.inbox().await {
                Ok(items) => break Ok(items),
                Err(error) if scene.world.now() >= until => break Err(error),
                Err(_) => tokio::time::sleep(CALM_STEP).await,
            }
        };
        match items {
            Ok(items) => scene.recorder.check_inbox(device.number, &items),
            Err(error) => {
                let what = format!("device {} gets no inbox: {error}", device.number);
                scene.recorder.violated(Invariant::EverythingArrives, what);
            }
        }
    }
}
