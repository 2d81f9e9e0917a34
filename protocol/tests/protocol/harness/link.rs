//! The link: streams that keep their own order but not each other's, in connections that are cut.
//!
//! As with QUIC, nothing is lost or doubled within a stream while its connection lives. When it is cut, what
//! is on its way down is lost, and of what is on its way up an arbitrary first part still arrives. Datagrams
//! are lost, come twice, and come when their streams are long gone.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fulmar_protocol::{Datagram, Frame};

use super::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    ControlUp,
    ControlDown,
    /// A send lane, from its device.
    Sends(u32),
    /// The same, from the server.
    Answers(u32),
    Log(u32),
}

#[derive(Clone, Debug)]
pub(super) enum Item {
    Bytes(Bytes),
    /// The stream was finished or reset.
    End,
}

/// One device's connections, by number.
#[derive(Default)]
pub(super) struct Link {
    streams: BTreeMap<(u32, Stream), VecDeque<(Duration, Item)>>,
    datagrams: Vec<(Duration, u32, Bytes)>,
}

impl Stream {
    fn is_up(self) -> bool {
        matches!(self, Self::ControlUp | Self::Sends(_))
    }
}

impl Link {
    /// Sends a frame, in one piece or several.
    pub(super) fn send(&mut self, to: (u32, Stream), frame: &Frame, now: Duration, random: &mut Random) {
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes);
        if random.chance(5) {
            fulmar_protocol::encode_grease_frame(now.subsec_nanos(), b"grease", &mut bytes);
        }
        let mut rest = bytes.freeze();
        while !rest.is_empty() {
            let whole = random.chance(70);
            let piece = rest.split_to(if whole { rest.len() } else { 1 + random.below(rest.len()) });
            self.put(to, Item::Bytes(piece), now, random);
        }
    }

    /// Ends a stream. Of what is on its way an arbitrary first part still arrives.
    pub(super) fn reset(&mut self, stream: (u32, Stream), now: Duration, random: &mut Random) {
        let queue = self.streams.entry(stream).or_default();
        let kept = random.below(queue.len() + 1);
        queue.truncate(kept);
        self.put(stream, Item::End, now, random);
    }

    pub(super) fn finish(&mut self, stream: (u32, Stream), now: Duration, random: &mut Random) {
        self.put(stream, Item::End, now, random);
    }

    fn put(&mut self, to: (u32, Stream), item: Item, now: Duration, random: &mut Random) {
        let queue = self.streams.entry(to).or_default();
        let behind = queue.back().map_or(now, |(due, _)| *due);
        let delay = if random.chance(10) { random.millis(900) } else { random.millis(60) };
        queue.push_back((behind.max(now + delay), item));
    }

    /// Sends a datagram: it may be lost, or come twice, or late.
    pub(super) fn datagram(
        &mut self,
        connection: u32,
        datagram: &Datagram,
        now: Duration,
        random: &mut Random,
    ) {
        for _ in 0..random.below(3) {
            let delay = if random.chance(25) { random.millis(3_000) } else { random.millis(80) };
            self.datagrams.push((now + delay, connection, datagram.encode()));
        }
    }

    /// A datagram that has arrived.
    pub(super) fn receive_datagram(&mut self, now: Duration) -> Option<(u32, Datagram)> {
        let at = self.datagrams.iter().position(|(due, ..)| *due <= now)?;
        let (_, connection, bytes) = self.datagrams.swap_remove(at);
        Some((connection, Datagram::decode(&bytes).unwrap().unwrap()))
    }

    /// Something that has arrived.
    pub(super) fn receive(&mut self, now: Duration, random: &mut Random) -> Option<((u32, Stream), Item)> {
        let is_due = |queue: &VecDeque<(Duration, Item)>| queue.front().is_some_and(|(due, _)| *due <= now);
        let due: Vec<_> =
            self.streams.iter().filter(|(_, queue)| is_due(queue)).map(|(stream, _)| *stream).collect();
        let stream = *due.get(random.below(due.len().max(1)))?;
        let queue = self.streams.get_mut(&stream)?;
        let (_, item) = queue.pop_front()?;
        if queue.is_empty() {
            self.streams.remove(&stream);
        }
        Some((stream, item))
    }

    pub(super) fn cut(&mut self, connection: u32, random: &mut Random) {
        self.streams.retain(|(number, stream), _| *number != connection || stream.is_up());
        for ((number, _), queue) in &mut self.streams {
            if *number == connection {
                let kept = random.below(queue.len() + 1);
                queue.truncate(kept);
            }
        }
        self.streams.retain(|_, queue| !queue.is_empty());
    }

    pub(super) fn is_idle(&self) -> bool {
        self.streams.is_empty() && self.datagrams.is_empty()
    }
}
