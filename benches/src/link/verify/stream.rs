//! Packets through a link, one way: when each was sent and when it came.
//!
//! Sender and receiver are threads of this process in the two namespaces, so both read one clock. They use ordinary UDP
//! sockets, and a packet is stamped just before it is handed to the kernel and just after it is got: what a program
//! would see.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use fulmar_network_model::{HEADER_BYTES, LinkOptions};

use crate::link::{
    Link, LinkError, clock,
    emulator::{Direction, PACKET_BYTES_MAX},
    urgent::become_urgent,
};

/// A receiver looks so often whether it is to end.
const PATIENCE: Duration = Duration::from_millis(100);
/// Nothing is sent so short before or after a link turns dark or light.
const EDGE: Duration = Duration::from_millis(10);
/// Of the packets' contents: their number.
const NUMBER_BYTES: usize = 8;

/// What is sent: packets of one size, one after each interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    /// Of each packet, headers included.
    pub(super) packet_bytes: usize,
    pub(super) interval: Duration,
    pub(super) packets: usize,
    /// Of the link that they take.
    pub(super) options: LinkOptions,
}

impl Stream {
    /// As many as fit into a time.
    pub(super) fn lasting(
        time: Duration,
        interval: Duration,
        packet_bytes: usize,
        options: LinkOptions,
    ) -> Self {
        let packets = time.as_nanos() / interval.as_nanos().max(1);
        Self { packet_bytes, interval, packets: packets.try_into().unwrap_or(usize::MAX), options }
    }

    /// Whether the link turns dark or light about now. A packet there may have either fate, and those after it would
    /// then have other random numbers than by the model.
    fn is_at_an_edge(&self, age: Duration) -> bool {
        self.options.is_dark(age.saturating_sub(EDGE)) != self.options.is_dark(age + EDGE)
    }

    /// Bytes of UDP payload of each packet.
    pub(super) fn payload_bytes(&self) -> usize {
        self.packet_bytes
            .saturating_sub(usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX))
            .max(NUMBER_BYTES)
    }
}

/// One packet, by the age of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) sent: Duration,
    pub(super) arrived: Option<Duration>,
}

/// Sends a stream and waits for what comes of it: until nothing can come any more.
pub(super) fn pass(
    link: &Link,
    direction: Direction,
    stream: Stream,
    slowest: Duration,
    sent: &AtomicUsize,
) -> Result<Vec<Passage>, LinkError> {
    let (from, to) = match direction {
        Direction::Up => (link.client(), link.server()),
        Direction::Down => (link.server(), link.client()),
    };
    let receiver = to.run(socket)?;
    let address = match direction {
        Direction::Up => link.server_address(),
        Direction::Down => link.public_address(),
    };
    let target = SocketAddr::from((address, receiver.local_addr()?.port()));
    let sender = from.run(socket)?;
    let (began, is_over) = (link.began(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&receiver, began, stream.packets, &is_over));
        let times = send(&sender, target, began, stream, sent);
        if times.is_ok() {
            std::thread::sleep(slowest);
        }
        is_over.store(true, Ordering::Relaxed);
        let arrivals =
            receiving.join().unwrap_or_else(|_| Err(LinkError::Ended("a receiver panicked".into())))?;
        Ok(times?.into_iter().zip(arrivals).map(|(sent, arrived)| Passage { sent, arrived }).collect())
    })
}

fn socket() -> Result<UdpSocket, LinkError> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn send(
    socket: &UdpSocket,
    target: SocketAddr,
    began: Duration,
    stream: Stream,
    count: &AtomicUsize,
) -> Result<Vec<Duration>, LinkError> {
    become_urgent();
    let mut payload = vec![0; stream.payload_bytes()];
    let mut times = Vec::with_capacity(stream.packets);
    let mut due = clock::now();
    for number in 0..stream.packets {
        due += stream.interval;
        std::thread::sleep(due.saturating_sub(clock::now()));
        if stream.is_at_an_edge(clock::now().saturating_sub(began)) {
            due += EDGE * 2;
            std::thread::sleep(due.saturating_sub(clock::now()));
        }
        if let Some(start) = payload.first_chunk_mut() {
            *start = u64::try_from(number).unwrap_or(u64::MAX).to_be_bytes();
        }
        times.push(clock::now().saturating_sub(began));
        socket.send_to(&payload, target)?;
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(times)
}

fn receive(
    socket: &UdpSocket,
    began: Duration,
    packets: usize,
    is_over: &AtomicBool,
) -> Result<Vec<Option<Duration>>, LinkError> {
    become_urgent();
    let mut arrivals = vec![None; packets];
    let mut buffer = [0; PACKET_BYTES_MAX];
    while !is_over.load(Ordering::Relaxed) {
        match socket.recv(&mut buffer) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        }
        let now = clock::now().saturating_sub(began);
        let number = buffer.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let slot = number.and_then(|number| arrivals.get_mut(usize::try_from(number).ok()?));
        // The first of two copies counts.
        if let Some(slot @ None) = slot {
            *slot = Some(now);
        }
    }
    Ok(arrivals)
}
