//! Two users who write to each other; what became of each message, and when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Content, Event, OutgoingMessage, UserId};
use fulmar_interop_tests::simulation::{Device, World};
use fulmar_network_model::Profile;
use parking_lot::Mutex;

use crate::pass;

pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum From {
    Alice,
    Bob,
}

/// A message: from its sending on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story {
    pub(crate) sent: Duration,
    pub(crate) accepted: Option<Duration>,
    pub(crate) had: Option<Duration>,
}

impl Story {
    /// From the sending to its answer.
    pub(crate) fn accepted_after(&self) -> Duration {
        self.accepted.expect("it was accepted") - self.sent
    }

    /// From the sending to the other one's having it.
    pub(crate) fn had_after(&self) -> Duration {
        self.had.expect("the other one has it") - self.sent
    }
}

type Stories = Arc<Mutex<BTreeMap<(From, usize), Story>>>;

/// See the module.
pub(crate) struct Talk {
    pub(crate) world: World,
    pub(crate) alice: Arc<Device>,
    pub(crate) bob: Arc<Device>,
    stories: Stories,
}

impl Talk {
    /// Both are online, and have written once.
    pub(crate) async fn begin(seed: u64, profile: &Profile) -> Self {
        let world = World::new(seed);
        world.start_server().await;
        let stories = Stories::default();
        let device = |name: &str, number, other| {
            let (in_world, stories) = (world.clone(), Arc::clone(&stories));
            let watcher = move |event: &Event| {
                let Event::Entry(entry) = event else { return };
                let Some(Content::Message(message)) = &entry.content else { return };
                let body = String::from_utf8(message.body.to_vec()).unwrap();
                let (author, number) = body.split_once(' ').unwrap();
                if author != format!("{other:?}") {
                    return;
                }
                let number: usize = number.parse().unwrap();
                let mut stories = stories.lock();
                let later = stories
                    .range((other, number)..)
                    .any(|((from, _), story)| *from == other && story.had.is_some());
                assert!(!later, "{body} came twice, or out of order");
                stories.get_mut(&(other, number)).unwrap().had = Some(in_world.now());
            };
            let user = UserId::parse(name).unwrap();
            Arc::new(Device::new(&world, user, number, profile, Arc::new(watcher)))
        };
        let (alice, bob) = (device("alice", 1, From::Bob), device("bob", 2, From::Alice));
        alice.start();
        bob.start();
        let talk = Self { world, alice, bob, stories };
        pass(Duration::from_secs(5)).await;
        for from in [From::Alice, From::Bob] {
            talk.send(from).await;
        }
        pass(Duration::from_secs(10)).await;
        talk
    }

    /// Enqueues a message. Answers its number.
    pub(crate) async fn send(&self, from: From) -> usize {
        let (device, to) = match from {
            From::Alice => (&self.alice, "bob"),
            From::Bob => (&self.bob, "alice"),
        };
        let number = self.stories.lock().keys().filter(|(author, _)| *author == from).count();
        let story = Story { sent: self.world.now(), accepted: None, had: None };
        self.stories.lock().insert((from, number), story);
        let conversation = device.client().unwrap().direct(&UserId::parse(to).unwrap()).unwrap();
        let message = OutgoingMessage::text(format!("{from:?} {number}"));
        let sending = conversation.enqueue(message).await.unwrap();
        let (world, stories) = (self.world.clone(), Arc::clone(&self.stories));
        tokio::spawn(async move {
            sending.await.unwrap();
            stories.lock().get_mut(&(from, number)).unwrap().accepted = Some(world.now());
        });
        number
    }

    /// Both write this often, so many times.
    pub(crate) async fn chat(&self, times: usize, every: Duration) {
        for _ in 0..times {
            self.send(From::Alice).await;
            pass(every / 2).await;
            self.send(From::Bob).await;
            pass(every / 2).await;
        }
    }

    /// What is known of a message.
    pub(crate) fn story(&self, from: From, number: usize) -> Story {
        self.stories.lock()[&(from, number)]
    }

    /// The longest that any message took that was sent since: to its answer, and to the other one. All must have.
    pub(crate) fn slowest_since(&self, since: Duration) -> [Duration; 2] {
        let stories = self.stories.lock();
        let recent = || stories.values().filter(|story| story.sent >= since);
        [recent().map(Story::accepted_after).max(), recent().map(Story::had_after).max()]
            .map(|slowest| slowest.expect("messages"))
    }

    /// One of the server's metrics.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        metric(&self.world, name)
    }
}

/// One of a server's metrics, all labels together.
pub(crate) fn metric(world: &World, name: &str) -> f64 {
    let text = world.metrics().unwrap().render();
    let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    text.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
