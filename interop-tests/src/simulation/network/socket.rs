//! A UDP socket as quinn wants it.
//!
//! It is bound to all of its host's addresses, as a client's should be: it stays valid when the host moves, and
//! `Transmit::src_ip` is not looked at. Packets are never fragmented (what is too large for a link is dropped),
//! and a `Transmit` of several segments becomes several packets. A socket of a host that crashed sends into
//! nothing and receives nothing.

use std::future::{Future, poll_fn};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::time::{Instant, Sleep, sleep_until};

use super::backbone::{Backbone, HostCell};
use super::limits::TURNS_MAX;
use super::packet::{Direction, Packet};

/// See the module.
#[derive(Debug)]
pub(super) struct Socket {
    backbone: Arc<Backbone>,
    host: HostCell,
    port: u16,
    binding: u64,
    alarm: Mutex<Option<Pin<Box<Sleep>>>>,
    pollers: AtomicU64,
}

impl Socket {
    pub(super) fn new(backbone: Arc<Backbone>, host: HostCell, port: u16, binding: u64) -> Self {
        Self { backbone, host, port, binding, alarm: Mutex::new(None), pollers: AtomicU64::new(0) }
    }

    /// Reads what there is, as far as the buffers go.
    fn read(&self, now: Duration, bufs: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        let mut host = self.host.lock();
        host.advance(now);
        let mut count = 0;
        for (buffer, meta) in bufs.iter_mut().zip(metas.iter_mut()) {
            let Some(packet) = host.read(now, self.port, self.binding) else { break };
            let bytes = packet.payload.len().min(buffer.len());
            // What does not fit is cut off, as by the system.
            if let (Some(place), Some(payload)) = (buffer.get_mut(..bytes), packet.payload.get(..bytes)) {
                place.copy_from_slice(payload);
            }
            *meta = RecvMeta {
                addr: packet.from,
                len: bytes,
                stride: bytes,
                ecn: packet.ecn,
                dst_ip: Some(packet.to.ip()),
            };
            self.backbone.note_read(now, packet.from, packet.to, packet.payload.len());
            count += 1;
        }
        count
    }

    /// When to look again; until then the task is woken if something changes.
    fn next_event(&self, cx: &Context<'_>) -> Option<Duration> {
        let mut host = self.host.lock();
        host.inbox_of(self.port, self.binding)?.set_reader(cx.waker());
        host.next_event(self.port, self.binding)
    }

    fn is_due(&self, at: Instant, cx: &mut Context<'_>) -> bool {
        let mut alarm = self.alarm.lock();
        let sleep = alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Dropped only when the host is unlocked again: its wakers may drop what locks the host.
        let inbox = self.host.lock().unbind(self.port, self.binding);
        drop(inbox);
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        let number = self.pollers.fetch_add(1, Ordering::Relaxed);
        Box::pin(Poller { socket: self, number })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let from = {
            let host = self.host.lock();
            if !host.is_bound(self.port, self.binding) {
                return Ok(());
            }
            if host.paused {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            SocketAddr::new(host.own_address(), self.port)
        };
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let send = |payload: &[u8]| {
            let packet = Packet {
                direction: Direction::Up,
                from,
                to: transmit.destination,
                ecn: transmit.ecn,
                payload: Bytes::copy_from_slice(payload),
            };
            self.backbone.send(&self.host, packet);
        };
        if transmit.contents.is_empty() {
            send(&[]);
        }
        transmit.contents.chunks(segment).for_each(send);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        for _ in 0..TURNS_MAX {
            let count = self.read(self.backbone.now(), bufs, meta);
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            let Some(at) = self.next_event(cx) else { return Poll::Pending };
            if !self.is_due(self.backbone.instant(at), cx) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::new(self.host.lock().own_address(), self.port))
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// Writable unless the host stands still.
#[derive(Debug)]
struct Poller {
    socket: Arc<Socket>,
    number: u64,
}

impl UdpPoller for Poller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut host = self.socket.host.lock();
        let paused = host.paused;
        match host.inbox_of(self.socket.port, self.socket.binding) {
            Some(inbox) if paused => {
                inbox.set_writer(self.number, cx.waker());
                Poll::Pending
            }
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let mut host = self.socket.host.lock();
        if let Some(inbox) = host.inbox_of(self.socket.port, self.socket.binding) {
            inbox.forget_writer(self.number);
        }
    }
}

/// Waits for the next packet of a socket: whom it is from, and its payload. For tests without quinn.
///
/// # Errors
///
/// Those of the socket; those of this module have none.
pub async fn receive(socket: &dyn AsyncUdpSocket) -> io::Result<(SocketAddr, Bytes)> {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let mut meta = [RecvMeta::default()];
    poll_fn(|cx| socket.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta)).await?;
    let [meta] = meta;
    buffer.truncate(meta.len);
    Ok((meta.addr, Bytes::from(buffer)))
}
