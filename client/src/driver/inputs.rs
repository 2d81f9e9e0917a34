//! What reader tasks tell the driver, and the tasks themselves: one for each stream that the server writes
//! on, owned by the session's task set and ended with it.
//!
//! A log lane's task takes room for a frame's events before it hands the frame over; that is where an app
//! that does not read is felt. A task whose driver has gone ends at its next frame.

use std::sync::Arc;

use bytes::Bytes;
use fulmar_protocol::{ConversationId, Datagram, ErrorCode, Frame, LaneOpen, Sender, Seq, StreamKind, Token};
use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use tokio::sync::{mpsc, watch};

use crate::driver::sending::Breach;
use crate::error::ClientError;
use crate::event::{EventRoom, Room};
use crate::history::HistoryItem;
use crate::transport::{FrameReader, ReadError, close_for};

/// Which log lane of the session: numbers rise in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LaneNumber(pub(super) u64);

/// Which send lane of the session: numbers rise in the order of opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SendLaneNumber(pub(super) u64);

/// What reader tasks tell the driver.
pub(super) enum Input {
    /// A frame on the control stream.
    Control(Frame),
    /// The server opened a stream.
    LaneStream(RecvStream),
    LaneOpened {
        lane: LaneNumber,
        open: Box<LaneOpen>,
        room: Room,
    },
    LaneFrame {
        lane: LaneNumber,
        frame: Frame,
        room: Room,
    },
    LaneEnded {
        lane: LaneNumber,
    },
    /// History for entries of this device whose content is not known any more.
    OwnFetched {
        lane: LaneNumber,
        wanted: Seq,
        items: Result<Vec<HistoryItem>, ClientError>,
    },
    /// An answer on a send lane.
    Answer {
        conversation: ConversationId,
        lane: SendLaneNumber,
        frame: Frame,
    },
    /// A send lane has ended; with a code where the server cut it off.
    SendLaneEnded {
        conversation: ConversationId,
        lane: SendLaneNumber,
        code: Option<ErrorCode>,
    },
    Datagram(Datagram),
    /// What the token source said.
    Token(Result<Token, ClientError>),
    /// The server broke the protocol.
    Breach {
        code: ErrorCode,
        cause: String,
    },
    /// The connection is gone.
    Lost(ConnectionError),
}

/// The driver's end of the readers.
pub(super) type Inputs = mpsc::Sender<Input>;

/// The driver has gone: there is nobody to read for.
struct Gone;

async fn tell(inputs: &Inputs, input: Input) -> Result<(), Gone> {
    inputs.send(input).await.map_err(|_| Gone)
}

/// Why a stream's reader stops.
enum Stop {
    /// The server broke the protocol.
    Breach(Breach),
    /// The stream was in early data that the server did not take: what it carried is written again.
    Refused,
}

/// A frame that the server may send on such a stream; its end; or the code that it was reset with, if it was.
fn checked(
    read: Result<Option<Frame>, ReadError>,
    stream: StreamKind,
) -> Result<Result<Option<Frame>, Option<ErrorCode>>, Stop> {
    match read {
        Ok(Some(frame)) if !frame.frame_type().belongs(Sender::Server, stream) => {
            let cause = format!("{} does not belong on this stream", frame.frame_type());
            Err(Stop::Breach((ErrorCode::FrameUnexpected, cause)))
        }
        Ok(frame) => Ok(Ok(frame)),
        Err(ReadError::Reset(code)) => Ok(Err(Some(code))),
        Err(ReadError::Lost(_)) => Ok(Err(None)),
        Err(ReadError::EarlyRefused) => Err(Stop::Refused),
        Err(ReadError::Breach(error)) => Err(Stop::Breach((error.code(), error.to_string()))),
    }
}

/// Reads the next frame that the server may send on such a stream; tells the driver of a breach.
async fn next_frame(
    frames: &mut FrameReader,
    stream: StreamKind,
    inputs: &Inputs,
) -> Result<Result<Option<Frame>, Option<ErrorCode>>, Gone> {
    match checked(frames.next().await, stream) {
        Ok(read) => Ok(read),
        Err(Stop::Breach((code, cause))) => {
            tell(inputs, Input::Breach { code, cause }).await?;
            Err(Gone)
        }
        Err(Stop::Refused) => Err(Gone),
    }
}

/// The control stream, after Welcome.
pub(super) async fn read_control(mut frames: FrameReader, inputs: Inputs) {
    let _: Result<(), Gone> = async {
        loop {
            match next_frame(&mut frames, StreamKind::Control, &inputs).await? {
                Ok(Some(frame)) => tell(&inputs, Input::Control(frame)).await?,
                // The connection is gone, which is told elsewhere.
                Err(None) => return Ok(()),
                Ok(None) | Err(Some(_)) => break,
            }
        }
        // The control stream lasts as long as the session.
        let cause = "the control stream ended".to_owned();
        tell(&inputs, Input::Breach { code: ErrorCode::FrameUnexpected, cause }).await
    }
    .await;
}

/// Tells when the connection is gone.
pub(super) async fn watch_connection(connection: Connection, inputs: Inputs) {
    let error = connection.closed().await;
    let _: Result<(), Gone> = tell(&inputs, Input::Lost(error)).await;
}

/// Takes datagrams. One that does not decode is a breach; ones of unknown types are passed over.
pub(super) async fn read_datagrams(connection: Connection, inputs: Inputs) {
    let _: Result<(), Gone> = async {
        while let Ok(bytes) = connection.read_datagram().await {
            match Datagram::decode(&bytes) {
                Ok(Some(datagram)) if datagram.datagram_type().sender() == Sender::Server => {
                    tell(&inputs, Input::Datagram(datagram)).await?;
                }
                Ok(None) => {}
                Ok(Some(datagram)) => {
                    let cause = format!("the datagram {} is a client's", datagram.datagram_type().name());
                    return tell(&inputs, Input::Breach { code: ErrorCode::DatagramMalformed, cause }).await;
                }
                Err(error) => {
                    let (code, cause) = (error.code(), error.to_string());
                    return tell(&inputs, Input::Breach { code, cause }).await;
                }
            }
        }
        Ok(())
    }
    .await;
}

/// Takes the streams that the server opens. QUIC bounds how many there are at once.
pub(super) async fn accept_lanes(connection: Connection, inputs: Inputs) {
    while let Ok(stream) = connection.accept_uni().await {
        if tell(&inputs, Input::LaneStream(stream)).await.is_err() {
            return;
        }
    }
}

/// Reads one log lane from LaneOpen to its end. Pauses after LaneOpen, and whenever the gate is shut, so that
/// what the driver cannot take yet stays with the server.
pub(super) async fn read_lane(
    lane: LaneNumber,
    stream: RecvStream,
    mut gate: watch::Receiver<Gate>,
    room: EventRoom,
    inputs: Inputs,
) {
    let mut frames = FrameReader::new(stream);
    let _: Result<(), Gone> = async {
        match next_frame(&mut frames, StreamKind::LogLane, &inputs).await? {
            Ok(Some(Frame::LaneOpen(open))) => {
                let room = room.take(room_for_open(&open)).await.ok_or(Gone)?;
                tell(&inputs, Input::LaneOpened { lane, open: Box::new(open), room }).await?;
            }
            Ok(_) => {
                let cause = "a log lane does not begin with LaneOpen".to_owned();
                return tell(&inputs, Input::Breach { code: ErrorCode::FrameUnexpected, cause }).await;
            }
            Err(_) => return tell(&inputs, Input::LaneEnded { lane }).await,
        }
        loop {
            gate.wait_for(|gate| *gate == Gate::Open).await.map_err(|_| Gone)?;
            let Ok(Some(frame)) = next_frame(&mut frames, StreamKind::LogLane, &inputs).await? else { break };
            let room = room.take(payload_bytes(&frame)).await.ok_or(Gone)?;
            tell(&inputs, Input::LaneFrame { lane, frame, room }).await?;
        }
        tell(&inputs, Input::LaneEnded { lane }).await
    }
    .await;
}

/// Whether a lane's task reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Shut,
    Open,
}

/// About what a frame's events take.
fn payload_bytes(frame: &Frame) -> usize {
    match frame {
        Frame::Entry(entry) => entry.content.len(),
        Frame::Marks(marks) => marks.marks.len().saturating_mul(128),
        _ => 0,
    }
}

fn room_for_open(open: &LaneOpen) -> usize {
    open.marks.len().saturating_mul(128)
}

/// What is to be done with the stream of a send lane.
pub(super) enum LaneWrite {
    /// Write these.
    Frames(Bytes),
    /// Take back what was not read yet.
    Reset,
}

/// What is to be written on a lane. Shared, as another task takes over when a first flight is written again.
pub(super) type Outgoing = Arc<tokio::sync::Mutex<mpsc::Receiver<LaneWrite>>>;

/// A send lane to be run.
#[derive(Clone)]
pub(super) struct SendLaneTask {
    pub(super) conversation: ConversationId,
    pub(super) number: SendLaneNumber,
    /// Written before all else.
    pub(super) first: Bytes,
    pub(super) outgoing: Outgoing,
}

/// Runs a send lane: opens its stream, writes what comes, many frames a write, and reads the answers. Ends
/// when the server has closed its side.
pub(super) async fn run_send_lane(connection: Connection, lane: SendLaneTask, inputs: Inputs) {
    let SendLaneTask { conversation, number: lane, first, outgoing } = lane;
    let Ok((mut stream, answers)) = connection.open_bi().await else { return };
    let mut frames = FrameReader::new(answers);
    let write = async {
        let mut outgoing = outgoing.lock().await;
        if !first.is_empty() && stream.write_chunk(first).await.is_err() {
            return;
        }
        let mut writes = Vec::new();
        while outgoing.recv_many(&mut writes, WRITES_GATHERED_MAX).await > 0 {
            let mut chunks = Vec::with_capacity(writes.len());
            for write in writes.drain(..) {
                match write {
                    LaneWrite::Frames(bytes) => chunks.push(bytes),
                    LaneWrite::Reset => {
                        let _ = stream.reset(quinn::VarInt::from_u32(ErrorCode::NoError.code()));
                        return;
                    }
                }
            }
            if stream.write_all_chunks(&mut chunks).await.is_err() {
                // Why is told by the answers' side.
                return;
            }
        }
        let _ = stream.finish();
    };
    let read = async {
        loop {
            match checked(frames.next().await, StreamKind::SendLane) {
                Ok(Ok(Some(frame))) => tell(&inputs, Input::Answer { conversation, lane, frame }).await?,
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(code)) => return Ok(code),
                Err(Stop::Breach((code, cause))) => {
                    // Before Welcome the driver has no hold of the connection.
                    close_for(&connection, code, &cause);
                    tell(&inputs, Input::Breach { code, cause }).await?;
                    return Err(Gone);
                }
                Err(Stop::Refused) => return Err(Gone),
            }
        }
    };
    let read = async {
        let ended: Result<Option<ErrorCode>, Gone> = read.await;
        ended
    };
    // The lane lasts as long as its answers do; what cannot be written any more is sent again on the next.
    tokio::pin!(read);
    let ended = tokio::select! {
        biased;
        ended = &mut read => ended,
        () = write => read.await,
    };
    if let Ok(code) = ended {
        let _: Result<(), Gone> = tell(&inputs, Input::SendLaneEnded { conversation, lane, code }).await;
    }
}

/// Buffers given to QUIC at once.
const WRITES_GATHERED_MAX: usize = 64;

/// Writes the control stream. Ends when the driver drops its side, after what it was given.
pub(super) async fn write_control(mut stream: SendStream, mut outgoing: mpsc::Receiver<Bytes>) {
    let mut chunks = Vec::new();
    while outgoing.recv_many(&mut chunks, WRITES_GATHERED_MAX).await > 0 {
        if stream.write_all_chunks(&mut chunks).await.is_err() {
            return;
        }
        chunks.clear();
    }
}
