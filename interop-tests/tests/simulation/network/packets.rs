//! What a whole network does with raw packets: its sockets, its bounds and its digest.

use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use fulmar_interop_tests::simulation::{Cause, Direction, InboxOptions, Network};
use fulmar_network_model::{LinkOptions, Profile};
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::{Bound, ip, ms};

#[tokio::test(start_paused = true)]
async fn a_packet_takes_the_way_of_both_links() {
    let network = Network::new(1);
    let phone = Bound::on(&network.host(ip(1), &Profile::CLEAN), 0);
    let other = Bound::on(&network.host(ip(2), &Profile::CLEAN), 0);
    let server = Bound::on(&network.host(ip(9), &Profile::SERVER), 4433);
    assert_eq!(server.address, SocketAddr::new(ip(9), 4433));
    let begun = Instant::now();
    phone.send(server.address, b"hello");
    assert_eq!(server.receive().await, (phone.address, b"hello".to_vec()));
    assert_eq!(begun.elapsed(), ms(25));
    phone.send(other.address, b"hello");
    assert_eq!(other.receive().await.0, phone.address);
    assert_eq!(begun.elapsed(), ms(75), "up one link and down another");
}

#[tokio::test(start_paused = true)]
async fn ports_are_given_out_one_after_another_and_only_once() {
    let host = Network::new(1).host(ip(1), &Profile::CLEAN);
    let first = Bound::on(&host, 0);
    let second = Bound::on(&host, 0);
    assert_eq!((first.address.port(), second.address.port()), (49_152, 49_153));
    let taken = host.bind(49_153).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    drop(second);
    assert!(host.bind(49_153).is_ok());
}

#[tokio::test(start_paused = true)]
async fn segments_become_packets_and_marks_arrive() {
    let network = Network::new(1);
    let phone = Bound::on(&network.host(ip(1), &Profile::CLEAN), 0);
    let server = Bound::on(&network.host(ip(9), &Profile::SERVER), 4433);
    let contents = [7; 2_500];
    let transmit = Transmit {
        destination: server.address,
        ecn: Some(EcnCodepoint::Ect0),
        contents: &contents,
        segment_size: Some(1_000),
        src_ip: None,
    };
    phone.socket.try_send(&transmit).unwrap();
    let mut buffers = [[0; 1_472]; 4];
    let mut metas = [RecvMeta::default(); 4];
    let [a, b, c, d] = &mut buffers;
    let mut slices = [IoSliceMut::new(a), IoSliceMut::new(b), IoSliceMut::new(c), IoSliceMut::new(d)];
    let count =
        std::future::poll_fn(|cx| server.socket.poll_recv(cx, &mut slices, &mut metas)).await.unwrap();
    assert_eq!(count, 3, "all at once");
    assert_eq!(metas.map(|meta| meta.len), [1_000, 1_000, 500, 0]);
    for meta in &metas[..3] {
        assert_eq!((meta.addr, meta.stride), (phone.address, meta.len));
        assert_eq!(meta.ecn.map(|mark| mark as u8), Some(EcnCodepoint::Ect0 as u8));
        assert_eq!(meta.dst_ip, Some(ip(9)));
    }
    assert!(!phone.socket.may_fragment());
    assert_eq!((phone.socket.max_transmit_segments(), phone.socket.max_receive_segments()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_counted() {
    let network = Network::new(1);
    let (phone, server) = (network.host(ip(1), &Profile::CLEAN), network.host(ip(9), &Profile::SERVER));
    let socket = Bound::on(&phone, 0);
    socket.send(SocketAddr::new(ip(77), 1), b"nobody");
    socket.send(SocketAddr::new(ip(9), 1), b"closed");
    tokio::time::advance(ms(100)).await;
    assert_eq!(phone.counters().dropped(Direction::Up, Cause::NoHost).bytes, 6);
    assert_eq!(server.counters().dropped(Direction::Down, Cause::PortClosed).packets, 1);
    assert_eq!(phone.counters().sent.packets, 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_drops_what_comes_last() {
    let network = Network::new(1);
    let server = network.host(ip(9), &Profile::SERVER);
    server.set_inbox(InboxOptions { bytes_max: 1_000, packets_max: 5, packets_per_second: None });
    let (phone, socket) = (Bound::on(&network.host(ip(1), &Profile::CLEAN), 0), Bound::on(&server, 4433));
    server.pause();
    for number in 0..8 {
        phone.send(socket.address, &[number; 100]);
    }
    tokio::time::advance(ms(100)).await;
    server.resume();
    for number in 0..5 {
        assert_eq!(socket.receive().await.1, [number; 100]);
    }
    for number in 0..8 {
        phone.send(socket.address, &[number; 400]);
    }
    assert_eq!(socket.receive_soon().await.unwrap().1, [0; 400]);
    assert_eq!(socket.receive_soon().await.unwrap().1, [1; 400]);
    assert_eq!(socket.receive_soon().await, None);
    assert_eq!(server.counters().dropped(Direction::Down, Cause::InboxFull).packets, 3 + 6);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_flooded_does_what_it_can_and_drops_the_rest() {
    let network = Network::new(1);
    let server = network.host(ip(9), &Profile::SERVER);
    let packets_per_second = NonZeroU32::new(1_000);
    server.set_inbox(InboxOptions { packets_max: 64, packets_per_second, ..InboxOptions::default() });
    let (phone, socket) = (Bound::on(&network.host(ip(1), &Profile::CLEAN), 0), Bound::on(&server, 4433));
    let flood = async {
        for _ in 0..1_000 {
            (0..10).for_each(|_| phone.send(socket.address, &[0; 50]));
            tokio::time::advance(ms(1)).await;
        }
    };
    let read = async {
        loop {
            socket.receive().await;
        }
    };
    tokio::select! {
        biased;
        () = async { tokio::join!(flood).0 } => {}
        () = read => {}
    }
    let counters = server.counters();
    // A second's work, less the 25 ms of the way, within the milliseconds of the clock.
    assert!((950..=1_000).contains(&counters.received.packets), "{counters:?}");
    let dropped = counters.dropped(Direction::Down, Cause::InboxFull).packets;
    assert!((8_500..=8_900).contains(&dropped), "{counters:?}");
}

/// Four devices send to each other at random for a minute.
async fn random_traffic(seed: u64) -> u64 {
    let network = Network::new(seed);
    let profiles = [&Profile::UBER_P95, &Profile::TRAIN, &Profile::LTE, &Profile::EDGE];
    let hosts: Vec<_> =
        (0..).zip(profiles).map(|(number, profile)| network.host(ip(number), profile)).collect();
    hosts[1].nat(true);
    let devices: Vec<_> = hosts.iter().map(|host| Bound::on(host, 0)).collect();
    // The same traffic whatever the seed of the network.
    let mut random = SmallRng::seed_from_u64(5);
    let deadline = Instant::now() + Duration::from_secs(60);
    let talk = async {
        while Instant::now() < deadline {
            let (from, to) = (random.random_range(0..4), random.random_range(0..4));
            devices[from].send(devices[to].address, &vec![0; random.random_range(1..1_500)]);
            tokio::time::sleep_until(Instant::now() + ms(random.random_range(0..40))).await;
        }
    };
    let listen = async |device: &Bound| {
        while tokio::time::timeout_at(deadline, device.receive()).await.is_ok() {}
    };
    tokio::join!(talk, listen(&devices[0]), listen(&devices[1]), listen(&devices[2]), listen(&devices[3]));
    assert!(hosts.iter().any(|host| host.counters().received.packets > 100));
    network.digest()
}

#[tokio::test(start_paused = true)]
async fn one_seed_has_one_digest_and_another_seed_another() {
    let digest = random_traffic(1).await;
    assert_eq!(random_traffic(1).await, digest);
    assert_ne!(random_traffic(2).await, digest);
}

#[tokio::test(start_paused = true)]
async fn what_a_host_draws_does_not_depend_on_the_others() {
    let arrivals = async |others: u8| {
        let network = Network::new(1);
        for number in 0..others {
            let _ = network.host(ip(100 + number), &Profile::UBER_P50);
        }
        let host = network.host(ip(1), &Profile::UBER_P50);
        let (phone, server) = (Bound::on(&host, 0), Bound::on(&network.host(ip(9), &Profile::SERVER), 4433));
        (0..100).for_each(|number| phone.send(server.address, &[number; 10]));
        let mut arrived = Vec::new();
        while let Some((_, payload)) = server.receive_soon().await {
            arrived.push((network.now(), payload[0]));
        }
        arrived
    };
    let alone = arrivals(0).await;
    assert!((80..100).contains(&alone.len()), "{} arrived", alone.len());
    assert_eq!(alone, arrivals(5).await);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_hosts_are_no_trouble() {
    let network = Network::new(1);
    let server = Bound::on(&network.host(ip(9), &Profile::SERVER), 4433);
    let hosts = (0..10_000u32).map(|number| {
        let address = std::net::Ipv4Addr::from_bits(0x0b00_0000 + number);
        network.host(address.into(), &Profile { up: LinkOptions::with_delay(ms(25)), ..Profile::SERVER })
    });
    let phones: Vec<_> = hosts.map(|host| Bound::on(&host, 0)).collect();
    // No more at a time than an inbox holds.
    for some in phones.chunks(1_000) {
        some.iter().for_each(|phone| phone.send(server.address, b"hello"));
        for _ in some {
            server.receive().await;
        }
    }
    assert_eq!(network.now(), ms(250));
}
