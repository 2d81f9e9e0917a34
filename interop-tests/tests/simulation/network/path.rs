//! The knobs of one host: blackouts, NAT, moving, crashing, taps and captures.

use std::net::SocketAddr;
use std::time::Duration;

use fulmar_interop_tests::simulation::{Cause, Direction, Host, NAT_TIMEOUT_DEFAULT, Network, Verdict};
use fulmar_network_model::{DropCause, Profile};

use super::{Bound, ip, ms};

struct Pair {
    network: Network,
    phone: Host,
    device: Bound,
    server: Bound,
}

/// A device 25 ms from a server.
fn pair() -> Pair {
    let network = Network::new(1);
    let phone = network.host(ip(1), &Profile::CLEAN);
    let device = Bound::on(&phone, 5000);
    let server = Bound::on(&network.host(ip(9), &Profile::SERVER), 4433);
    Pair { network, phone, device, server }
}

impl Pair {
    /// Sends up; what the server takes the sender to be, if it arrives.
    async fn up(&self) -> Option<SocketAddr> {
        self.device.send(self.server.address, b"up");
        self.server.receive_soon().await.map(|(from, _)| from)
    }

    /// Sends down to an address; whether it arrives.
    async fn down(&self, to: SocketAddr) -> bool {
        self.server.send(to, b"down");
        self.device.receive_soon().await.is_some()
    }
}

#[tokio::test(start_paused = true)]
async fn a_blackout_may_be_one_way() {
    let pair = pair();
    pair.phone.blackout(&[Direction::Down]);
    assert_eq!(pair.up().await, Some(pair.device.address));
    assert!(!pair.down(pair.device.address).await);
    pair.phone.restore();
    assert!(pair.down(pair.device.address).await);
    pair.phone.blackout(&Direction::BOTH);
    assert_eq!(pair.up().await, None);
    let blackout = Cause::Link(DropCause::Blackout);
    assert_eq!(pair.phone.counters().dropped(Direction::Up, blackout).packets, 1);
    assert_eq!(pair.phone.counters().dropped(Direction::Down, blackout).packets, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_past_the_link_when_a_blackout_begins_arrives() {
    let pair = pair();
    pair.device.send(pair.server.address, b"up");
    pair.server.send(pair.device.address, b"down");
    tokio::time::advance(ms(1)).await;
    pair.phone.blackout(&Direction::BOTH);
    assert!(pair.server.receive_soon().await.is_some());
    assert!(pair.device.receive_soon().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn blocked_udp_passes_neither_way() {
    let pair = pair();
    pair.phone.block_udp(true);
    assert_eq!(pair.up().await, None);
    assert!(!pair.down(pair.device.address).await);
    pair.phone.block_udp(false);
    assert!(pair.up().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_nat_shows_its_own_port_until_it_is_rebound() {
    let pair = pair();
    pair.phone.nat(true);
    let first = pair.up().await.unwrap();
    assert_eq!(first.ip(), ip(1));
    assert_ne!(first.port(), 5000);
    assert_eq!(pair.device.socket.local_addr().unwrap().to_string(), "192.168.1.2:5000");
    assert!(pair.down(first).await);
    assert!(!pair.down(pair.device.address).await, "nobody asked for that port");
    pair.phone.rebind_nat();
    assert!(!pair.down(first).await, "the old mapping is gone");
    let second = pair.up().await.unwrap();
    assert_ne!(first, second);
    assert!(pair.down(second).await);
    assert_eq!(pair.phone.counters().dropped(Direction::Down, Cause::NatUnmapped).packets, 2);
}

#[tokio::test(start_paused = true)]
async fn an_idle_mapping_dies_and_traffic_keeps_one_alive() {
    let pair = pair();
    pair.phone.nat(true);
    let first = pair.up().await.unwrap();
    for _ in 0..4 {
        tokio::time::advance(NAT_TIMEOUT_DEFAULT / 2).await;
        assert!(pair.down(first).await);
    }
    tokio::time::advance(NAT_TIMEOUT_DEFAULT).await;
    assert!(!pair.down(first).await);
    assert_ne!(pair.up().await.unwrap(), first);
    pair.phone.set_nat_timeout(Duration::from_secs(300));
    let second = pair.up().await.unwrap();
    tokio::time::advance(Duration::from_secs(290)).await;
    assert!(pair.down(second).await);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_get_past_the_link_keeps_no_mapping_alive() {
    let pair = pair();
    pair.phone.nat(true);
    let first = pair.up().await.unwrap();
    tokio::time::advance(Duration::from_secs(20)).await;
    pair.phone.blackout(&[Direction::Up]);
    assert_eq!(pair.up().await, None);
    tokio::time::advance(Duration::from_secs(15)).await;
    assert!(!pair.down(first).await);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_moves_leaves_what_was_on_its_way_behind() {
    for behind_nat in [false, true] {
        let pair = pair();
        pair.phone.nat(behind_nat);
        let old = pair.up().await.unwrap();
        pair.server.send(old, b"late");
        tokio::time::advance(ms(1)).await;
        pair.server.send(old, b"later");
        pair.phone.move_to(ip(2)).unwrap();
        assert_eq!(pair.device.receive_soon().await, None);
        assert!(!pair.down(old).await, "nobody has that address");
        let new = pair.up().await.unwrap();
        assert_eq!(new.ip(), ip(2));
        assert!(pair.down(new).await);
        assert_eq!(pair.phone.move_to(ip(9)).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
        assert_eq!(pair.phone.address(), ip(2));
        assert_eq!(pair.phone.counters().dropped(Direction::Down, Cause::Moved).packets, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_crashed_host_is_silent_for_ever_and_may_bind_again() {
    let pair = pair();
    pair.phone.crash();
    assert_eq!(pair.up().await, None);
    assert!(!pair.down(pair.device.address).await);
    let again = Bound::on(&pair.phone, 5000);
    pair.server.send(again.address, b"down");
    assert!(again.receive_soon().await.is_some());
    assert_eq!(pair.up().await, None, "the old socket stays dead");
    drop(pair.device);
    pair.server.send(again.address, b"down");
    assert!(again.receive_soon().await.is_some(), "and takes nothing with it");
}

#[tokio::test(start_paused = true)]
async fn a_paused_host_goes_on_where_it_stopped() {
    let pair = pair();
    pair.phone.pause();
    assert!(!pair.down(pair.device.address).await);
    let transmit = quinn::udp::Transmit {
        destination: pair.server.address,
        ecn: None,
        contents: b"up",
        segment_size: None,
        src_ip: None,
    };
    let refused = pair.device.socket.try_send(&transmit).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
    let mut poller = std::sync::Arc::clone(&pair.device.socket).create_io_poller();
    let writable = tokio::spawn(std::future::poll_fn(move |cx| poller.as_mut().poll_writable(cx)));
    tokio::task::yield_now().await;
    assert!(!writable.is_finished());
    pair.phone.resume();
    writable.await.unwrap().unwrap();
    assert!(pair.device.receive_soon().await.is_some());
    assert!(pair.up().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_tap_drops_exactly_the_third_packet_and_delays_the_fourth() {
    let pair = pair();
    let mut seen = 0;
    pair.phone.tap(Box::new(move |packet| {
        if packet.direction == Direction::Down {
            return Verdict::Pass;
        }
        seen += 1;
        match seen {
            3 => Verdict::Drop,
            4 => Verdict::Delay(ms(100)),
            _ => Verdict::Pass,
        }
    }));
    (1..=5).for_each(|number| pair.device.send(pair.server.address, &[number]));
    let mut arrived = Vec::new();
    while let Some((_, payload)) = pair.server.receive_soon().await {
        arrived.push(payload[0]);
    }
    assert_eq!(arrived, [1, 2, 5, 4]);
    assert_eq!(pair.phone.counters().dropped(Direction::Up, Cause::Tap).packets, 1);
    pair.phone.untap();
    assert!(pair.up().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_was_captured_is_replayed_from_another_address() {
    let pair = pair();
    pair.phone.capture();
    pair.device.send(pair.server.address, b"first flight");
    let captured = pair.phone.captured();
    assert_eq!(captured.len(), 1);
    assert_eq!(pair.server.receive().await.0, pair.device.address);
    let attacker = pair.network.host(ip(66), &Profile::CLEAN);
    attacker.inject(captured[0].clone());
    let (from, payload) = pair.server.receive().await;
    assert_eq!((from, payload.as_slice()), (SocketAddr::new(ip(66), 5000), b"first flight".as_slice()));
    // Or from where nobody is.
    assert!(pair.network.inject(captured[0].clone()));
    assert_eq!(pair.server.receive().await.0, pair.device.address);
    pair.device.send(pair.server.address, b"second");
    assert!(pair.phone.captured().is_empty(), "the capture ended");
}
