//! One device's user, acting at random.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Client, ClientError, Conversation, OutgoingMessage, SimulatedDisk};
use fulmar_protocol::{ConversationId, ErrorCode, HistoryPolicy, UserId};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;

use super::super::device::Device;
use super::super::network::Direction;
use super::Scene;

/// How often a user does something.
const MEAN: Duration = Duration::from_secs(15);
/// How long an administrative change is waited for.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Groups in a world.
const GROUPS_MAX: usize = 4;

/// A time until the next event, when events come at random with this mean. At most eight times the mean.
pub(super) fn exponential(random: &mut StdRng, mean: Duration) -> Duration {
    let uniform: f64 = random.random_range(0.000_335..1.0);
    mean.mul_f64(-uniform.ln())
}

pub(super) struct Actor {
    scene: Arc<Scene>,
    device: Arc<Device>,
    random: StdRng,
    backup: Option<SimulatedDisk>,
    /// What is under way; it ends with the app.
    under_way: JoinSet<()>,
    roams: u8,
}

impl Actor {
    pub(super) fn new(scene: Arc<Scene>, device: Arc<Device>, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { scene, device, random, backup: None, under_way: JoinSet::new(), roams: 0 }
    }

    /// Acts until the time is up; what is under way then goes on.
    pub(super) async fn run(mut self, length: Duration) {
        self.pause(1..20_000).await;
        self.device.start();
        while self.scene.world.now() < length {
            let wait = exponential(&mut self.random, MEAN);
            tokio::time::sleep(wait).await;
            while self.under_way.try_join_next().is_some() {}
            match self.random.random_range(0..1_000) {
                0..560 => self.send(1),
                560..600 => {
                    let burst = self.random.random_range(2..20);
                    self.send(burst);
                }
                600..700 => self.mark_read(),
                700..740 => self.type_something(),
                740..800 => self.roam().await,
                800..830 => self.device.host.rebind_nat(),
                830..870 => self.go_dark().await,
                870..900 => self.sleep().await,
                900..930 => self.crash().await,
                930..950 => self.back_up(),
                950..956 => self.restore().await,
                956..970 => self.make_group(),
                _ => self.change_group(),
            }
        }
        self.under_way.detach_all();
    }

    fn number(&self) -> usize {
        self.device.number
    }

    async fn pause(&mut self, millis: std::ops::Range<u64>) {
        let millis = self.random.random_range(millis);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    fn some_user(&mut self) -> UserId {
        self.scene.users[self.random.random_range(0..self.scene.users.len())].clone()
    }

    fn some_group(&mut self) -> Option<ConversationId> {
        let groups = self.scene.groups.lock();
        if groups.is_empty() { None } else { Some(groups[self.random.random_range(0..groups.len())]) }
    }

    fn some_conversation(&mut self, client: &Client) -> Option<Conversation> {
        let group = if self.random.random_bool(0.5) { self.some_group() } else { None };
        match group {
            Some(group) => Some(client.conversation(group)),
            // Before the first session the client does not know whose it is.
            None => client.direct(&self.some_user()).ok(),
        }
    }

    fn send(&mut self, messages: usize) {
        let Some(client) = self.device.client() else { return };
        let Some(conversation) = self.some_conversation(&client) else { return };
        let bodies: Vec<usize> = (0..messages)
            .map(|_| match self.random.random_range(0..20) {
                0 => self.random.random_range(1_000..20_000),
                _ => self.random.random_range(10..400),
            })
            .collect();
        let (recorder, number) = (self.scene.recorder.clone(), self.number());
        self.under_way.spawn(async move {
            let mut sendings = Vec::new();
            for bytes in bodies {
                let message = recorder.new_message(number, conversation.id());
                match conversation.enqueue(OutgoingMessage::text(message.body(bytes))).await {
                    Ok(sending) => {
                        recorder.enqueued(message);
                        sendings.push((message, sending));
                    }
                    Err(error) => recorder.note(format!("device {number}: not enqueued: {error}")),
                }
            }
            for (message, sending) in sendings {
                match sending.await {
                    Ok(accepted) => recorder.accepted(message, accepted.seq),
                    Err(ClientError::Refused { code, .. }) => recorder.refused(message, code),
                    Err(error) => recorder.note(format!("device {number}: no answer: {error}")),
                }
            }
        });
    }

    fn mark_read(&mut self) {
        let Some(client) = self.device.client() else { return };
        let Some(conversation) = self.some_conversation(&client) else { return };
        let recorder = self.scene.recorder.clone();
        let Some(seq) = recorder.last_handed(self.number(), conversation.id()) else { return };
        recorder.marked_read(self.number(), conversation.id(), seq);
        self.under_way.spawn(async move {
            // Refused where the user is no member any more.
            let _ = conversation.mark_read(seq).await;
        });
    }

    fn type_something(&mut self) {
        let Some(client) = self.device.client() else { return };
        let Some(conversation) = self.some_conversation(&client) else { return };
        let watch = [conversation.id()];
        self.under_way.spawn(async move {
            // Errors mean that the client has ended.
            let _ = client.watch(&watch).await;
            let _ = conversation.typing(true).await;
        });
    }

    /// Another network, with or without the app being told.
    async fn roam(&mut self) {
        self.roams = (self.roams + 1) % 16;
        let address = Device::address(self.number(), self.roams);
        self.device.host.move_to(address).expect("an address of its own");
        self.scene.recorder.note(format!("device {}: moves to {address}", self.number()));
        if self.random.random_bool(0.7) {
            self.pause(0..2_000).await;
            if let Some(client) = self.device.client() {
                let _ = client.network_changed().await;
            }
        }
    }

    async fn go_dark(&mut self) {
        let directions: &[Direction] = match self.random.random_range(0..4) {
            0 => &[Direction::Up],
            1 => &[Direction::Down],
            _ => &Direction::BOTH,
        };
        self.scene.recorder.note(format!("device {}: dark, {directions:?}", self.number()));
        self.device.host.blackout(directions);
        self.pause(1_000..45_000).await;
        self.device.host.restore();
        self.scene.recorder.note(format!("device {}: light", self.number()));
    }

    async fn sleep(&mut self) {
        self.device.close().await;
        self.under_way.shutdown().await;
        self.scene.recorder.app_died(self.number());
        self.pause(1_000..120_000).await;
        self.device.start();
    }

    async fn crash(&mut self) {
        self.under_way.shutdown().await;
        self.device.crash();
        self.scene.recorder.app_died(self.number());
        self.pause(100..30_000).await;
        self.device.start();
    }

    fn back_up(&mut self) {
        self.backup = Some(self.device.backup());
        self.scene.recorder.backed_up(self.number());
    }

    async fn restore(&mut self) {
        let Some(backup) = self.backup.clone() else { return };
        self.under_way.shutdown().await;
        self.device.crash();
        self.device.restore(&backup);
        self.scene.recorder.restored(self.number());
        self.pause(100..30_000).await;
        self.device.start();
    }

    fn make_group(&mut self) {
        let Some(client) = self.device.client() else { return };
        if self.scene.groups.lock().len() >= GROUPS_MAX {
            return;
        }
        let members: Vec<UserId> =
            self.scene.users.iter().filter(|user| **user != self.device.user).cloned().collect();
        let some = self.random.random_range(1..=members.len());
        let policy =
            if self.random.random_bool(0.5) { HistoryPolicy::All } else { HistoryPolicy::FromJoining };
        let scene = Arc::clone(&self.scene);
        self.under_way.spawn(async move {
            let making = client.create_group("a group", &members[..some], policy);
            if let Ok(Ok((group, _))) = tokio::time::timeout(CHANGE_TIMEOUT, making).await {
                scene.groups.lock().push(group.id());
            }
        });
    }

    fn change_group(&mut self) {
        let Some(client) = self.device.client() else { return };
        let Some(group) = self.some_group() else { return };
        let (user, what) = (self.some_user(), self.random.random_range(0..8));
        let (recorder, number) = (self.scene.recorder.clone(), self.number());
        let group = client.conversation(group);
        self.under_way.spawn(async move {
            let change = async {
                match what {
                    0..4 => group.add(std::slice::from_ref(&user)).await,
                    4..7 => group.remove(std::slice::from_ref(&user)).await,
                    _ => group.leave().await,
                }
            };
            match tokio::time::timeout(CHANGE_TIMEOUT, change).await {
                Ok(Ok(done)) => {
                    recorder.note(format!("device {number}: change {what} of {user} is {}", done.seq))
                }
                // Most users may not.
                Ok(Err(ClientError::Refused { code: ErrorCode::NotPermitted, .. })) | Err(_) => {}
                Ok(Err(error)) => recorder.note(format!("device {number}: change {what} of {user}: {error}")),
            }
        });
    }
}
