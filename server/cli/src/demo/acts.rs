//! The acts of the demonstration, one after another. Each does something that happens to people who talk by
//! phone, waits until everybody has seen what they must see, and says so with figures that were measured.
//!
//! An act fails when what must be seen is not seen in time. Whether anything was lost, repeated or reordered
//! is not judged here but at the end, from what every device wrote down.

use std::time::Duration;

use fulmar_client::{ConversationId, HistoryPolicy, PresenceState, Seq};
use tokio::time::Instant;

use super::account::Account;
use super::device::PATIENCE;
use super::latencies::{Latencies, in_words};
use super::sending::{Sender, send_all};
use super::world::World;
use crate::failure::Failure;

/// How long the network stays dark.
const DARKNESS: Duration = Duration::from_millis(600);
/// Messages in the outbox of a phone that is killed: what an outbox takes at once.
const KILLED_OUTBOX_MAX: u64 = 1_000;
/// Datagrams may be lost: typing is said again so often until it is seen.
const TYPING_REPEAT: Duration = Duration::from_millis(300);

/// What was measured on the way.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) received: Latencies,
    pub(super) accepted: Latencies,
    /// Messages that bob was handed when he came back.
    pub(super) caught_up_offline: u64,
}

/// Everybody connects.
pub(super) async fn connect(world: &mut World, account: &Account) -> Result<(), Failure> {
    account.now("connecting");
    account.done(format_args!("a server on {}, its store in a temporary folder", world.server.address()))?;
    let started = Instant::now();
    for device in [&mut world.phone, &mut world.laptop, &mut world.bob, &mut world.carol] {
        device.start().await?;
    }
    let time = in_words(started.elapsed());
    account.done(format_args!("alice's phone and laptop, bob and carol are connected, in {time}"))
}

/// Alice and bob talk by turns; every message is waited for, and measured.
pub(super) async fn talk(
    world: &mut World,
    account: &Account,
    count: u64,
    measured: &mut Measured,
) -> Result<(), Failure> {
    account.now("alice and bob talk");
    let (alice, bob) = (world.users.alice.clone(), world.users.bob.clone());
    let mut by_alice = Sender::new(world.phone.direct(&bob)?, "alice to bob");
    let mut by_bob = Sender::new(world.bob.direct(&alice)?, "bob to alice");
    for number in 0..count {
        let is_alices = number % 2 == 0;
        let (sender, receiver) =
            if is_alices { (&mut by_alice, &world.bob) } else { (&mut by_bob, &world.phone) };
        let started = Instant::now();
        let (body, _) = sender.send(&mut world.ledger, account).await?;
        measured.accepted.add(started.elapsed());
        receiver.until("receives a message", |seen| seen.arrivals.contains_key(&body)).await?;
        let arrived = receiver.look(|seen| seen.arrivals.get(&body).copied());
        measured.received.add(arrived.map_or(PATIENCE, |arrived| arrived.duration_since(started)));
    }
    let percentile = |latencies: &Latencies, percent| in_words(latencies.percentile(percent));
    account.done(format_args!(
        "alice and bob wrote {count} messages by turns: from send to receive p50 {}, p99 {}",
        percentile(&measured.received, 50),
        percentile(&measured.received, 99),
    ))?;
    account.done(format_args!(
        "each was on disk before it was accepted: from send to accepted p50 {}, p99 {}",
        percentile(&measured.accepted, 50),
        percentile(&measured.accepted, 99),
    ))
}

/// Both look at the conversation: receipts, presence and typing.
pub(super) async fn look(world: &mut World, account: &Account) -> Result<(), Failure> {
    account.now("receipts, presence, typing");
    let (bob, direct) = (world.users.bob.clone(), world.direct());
    for device in [&world.phone, &world.bob] {
        device.client()?.watch(&[direct]).await?;
        device.client()?.set_presence(PresenceState::Online).await?;
    }
    let bobs = world.bob.conversation(direct)?;
    let head = head_of(world, direct);
    read(world, head).await?;
    let what = format!("sees that bob has read up to #{head}");
    let seen_marks = (direct, bob.clone());
    world.phone.until(&what, |seen| seen.marks.get(&seen_marks) == Some(&(head, head))).await?;
    account.done(format_args!(
        "receipts: alice sees that bob has received and read everything, up to #{head}"
    ))?;
    let is_online = |state: Option<&PresenceState>| state == Some(&PresenceState::Online);
    world.phone.until("sees that bob is online", |seen| is_online(seen.presence.get(&bob))).await?;
    let typing = (direct, bob.clone());
    let started = Instant::now();
    while !world.phone.look(|seen| seen.typing.contains(&typing)) {
        bobs.typing(true).await?;
        let seen = world.phone.until("sees that bob types", |seen| seen.typing.contains(&typing));
        if let Ok(seen) = tokio::time::timeout(TYPING_REPEAT, seen).await {
            seen?;
        } else if started.elapsed() > PATIENCE {
            return Err(Failure::failed("alice's phone: never saw that bob types"));
        }
    }
    bobs.typing(false).await?;
    account.done("presence and typing: alice sees bob online, and sees him type; none of it is stored")
}

/// A group, in which three write at once.
pub(super) async fn group(
    world: &mut World,
    account: &Account,
    count: u64,
) -> Result<ConversationId, Failure> {
    account.now("a group");
    let members = [world.users.bob.clone(), world.users.carol.clone()];
    let creation =
        Box::pin(world.laptop.client()?.create_group("Night watch", &members, HistoryPolicy::FromJoining));
    let (group, created) = creation.await?;
    let group = group.id();
    world.ledger.head(group, created.seq);
    let mut senders = [
        Sender::new(world.phone.conversation(group)?, "alice to the group"),
        Sender::new(world.bob.conversation(group)?, "bob to the group"),
        Sender::new(world.carol.conversation(group)?, "carol to the group"),
    ];
    let started = Instant::now();
    send_all(&mut senders, count, &mut world.ledger, account, |_| {}).await?;
    let rate = rate(count, started.elapsed());
    world.settle().await?;
    account
        .done(format_args!("a group of three: {count} messages, all at once, {rate} accepted a second"))?;
    Ok(group)
}

/// Bob goes away, the others go on, and he comes back.
pub(super) async fn away(
    world: &mut World,
    account: &Account,
    group: ConversationId,
    count: u64,
    measured: &mut Measured,
) -> Result<(), Failure> {
    account.now("bob is away");
    let (bob, direct) = (world.users.bob.clone(), world.direct());
    read(world, head_of(world, direct)).await?;
    world.bob.stop().await;
    let is_offline = |state: Option<&PresenceState>| state == Some(&PresenceState::Offline);
    world.phone.until("sees that bob is offline", |seen| is_offline(seen.presence.get(&bob))).await?;
    let before = world.bob.look(|seen| seen.log.messages());
    let mut senders = [
        Sender::new(world.phone.direct(&bob)?, "alice to bob who is away"),
        Sender::new(world.carol.conversation(group)?, "carol to the group without bob"),
    ];
    send_all(&mut senders, count, &mut world.ledger, account, |_| {}).await?;
    let started = Instant::now();
    world.bob.start().await?;
    world.settle().await?;
    let time = in_words(started.elapsed());
    let caught_up = world.bob.look(|seen| seen.log.messages()).saturating_sub(before);
    measured.caught_up_offline = caught_up;
    account.done(format_args!("bob went away; alice saw it at once. {count} messages later he came back"))?;
    account.done(format_args!("bob has caught up with {caught_up} of them, in {time}"))?;
    // By turns, beginning with alice.
    let unread = count.div_ceil(2);
    let what = format!("has {unread} unread messages of alice's");
    world.bob.until(&what, |seen| seen.unread.get(&direct) == Some(&unread)).await?;
    account.done(format_args!("unread: bob's phone says {unread} from alice, which is right"))?;
    let head = head_of(world, direct);
    read(world, head).await?;
    let marks = (direct, bob);
    let what = format!("sees that bob has read up to #{head}");
    world.phone.until(&what, |seen| seen.marks.get(&marks) == Some(&(head, head))).await
}

/// The network goes dark in the middle of sending, and comes back by another way.
pub(super) async fn darkness(world: &mut World, account: &Account, count: u64) -> Result<(), Failure> {
    account.now("the network is cut");
    let bob = world.users.bob.clone();
    let before = world.phone.look(|seen| seen.sessions);
    let mut senders = [Sender::new(world.phone.direct(&bob)?, "alice through a bad network")];
    let network = &world.network;
    let cut_after = count.div_ceil(3);
    let (cut, mut is_cut) = tokio::sync::watch::channel(false);
    let say_accepted = |accepted: u64| {
        if accepted == cut_after {
            network.cut();
            cut.send_replace(true);
        }
    };
    let sending = send_all(&mut senders, count, &mut world.ledger, account, say_accepted);
    let mending = async {
        if is_cut.wait_for(|is_cut| *is_cut).await.is_ok() {
            tokio::time::sleep(DARKNESS).await;
            network.mend();
        }
    };
    let (sent, ()) = tokio::join!(sending, mending);
    sent?;
    world.settle().await?;
    let sessions = world.phone.look(|seen| seen.sessions).saturating_sub(before);
    let how = match sessions {
        0 => "the same connection went on".to_owned(),
        1 => "a new connection went on".to_owned(),
        sessions => format!("{sessions} new connections went on"),
    };
    let dark = DARKNESS.as_millis();
    account.done(format_args!(
        "{count} messages; after {cut_after} the network was cut for {dark} ms, then another port: {how}"
    ))
}

/// The phone dies with messages in its outbox, is started again, and sends them.
pub(super) async fn death(world: &mut World, account: &Account, count: u64) -> Result<(), Failure> {
    account.now("alice's phone dies");
    let count = count.min(KILLED_OUTBOX_MAX);
    let bob = world.users.bob.clone();
    // In the dark, so that all are in the outbox and none is accepted when it begins.
    world.network.cut();
    let mut sender = Sender::new(world.phone.direct(&bob)?, "alice before her phone died");
    let mut entered = sender.enqueue(count, &mut world.ledger).await?.into_iter();
    world.network.mend();
    if let Some((body, sending)) = entered.next() {
        let accepted = tokio::time::timeout(PATIENCE, sending).await;
        let accepted =
            accepted.map_err(|_| Failure::failed("alice's phone: nothing was accepted in time"))??;
        world.ledger.accepted(&body, accepted.seq);
    }
    world.phone.kill().await;
    let mut answered = 1_u64;
    for (body, sending) in entered {
        if let Ok(accepted) = sending.await {
            world.ledger.accepted(&body, accepted.seq);
            answered += 1;
        }
    }
    let direct = world.direct();
    drop(sender);
    world.phone.start().await?;
    for body in world.ledger.unanswered() {
        let what = "sends what was in its outbox";
        world.phone.until(what, |seen| seen.log.has(&body)).await?;
        world.laptop.until("receives it", |seen| seen.log.has(&body)).await?;
        account.accepted();
    }
    let head = world.laptop.look(|seen| seen.log.reached(direct));
    world.ledger.head(direct, head);
    let left = count.saturating_sub(answered);
    account.done(format_args!(
        "alice's phone was killed with {left} of {count} messages unanswered; started again, it sent them"
    ))
}

/// Bob says that he has read up to there, and the server has it.
async fn read(world: &World, head: Seq) -> Result<(), Failure> {
    let what = format!("has everything up to #{head}");
    let direct = world.direct();
    world.bob.until(&what, |seen| seen.log.reached(direct) >= head).await?;
    let marking = world.bob.conversation(direct)?.mark_read(head);
    let stored = tokio::time::timeout(PATIENCE, marking).await;
    stored.map_err(|_| Failure::failed("bob's phone: the read mark was not stored in time"))??;
    Ok(())
}

fn head_of(world: &World, conversation: ConversationId) -> Seq {
    world.ledger.heads().get(&conversation).copied().unwrap_or(Seq::ZERO)
}

fn rate(count: u64, time: Duration) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1_000_000) / micros
}
