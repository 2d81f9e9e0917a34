//! A session, as a client holds it.

use std::collections::VecDeque;

use fulmar_protocol::{
    BatchNumber, Confirm, ConversationId, CursorUpdate, Datagram, DeviceId, ErrorCode, Frame, Generation,
    Ping, Presence, PresenceState, PresenceUpdate, Problem, ReadMark, SendOpen, Seq, SeqRange, Typing,
    TypingUpdate, UserId, Watch, Welcome,
};

use super::ends::varint;
use super::{
    ConnectionEnd, Delivered, Dialled, LogLane, SendLane, StreamEnd, WireStream, direct, user, within,
};

/// See the module.
pub struct WireClient {
    /// Who it is.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// What the server said first.
    pub welcome: Welcome,
    /// The control stream.
    pub control: WireStream,
    lanes: VecDeque<LogLane>,
    next_batch: BatchNumber,
    generation: u64,
    dialled: Dialled,
}

/// What became of a `Confirm`.
#[derive(Debug)]
pub struct Confirmation {
    /// Whether `Confirmed` came; not when the whole batch was refused.
    pub confirmed: bool,
    /// What was refused.
    pub problems: Vec<Problem>,
}

impl Confirmation {
    /// The codes of what was refused.
    pub fn codes(&self) -> Vec<ErrorCode> {
        self.problems.iter().map(|problem| problem.code).collect()
    }
}

impl WireClient {
    pub(super) fn new(dialled: Dialled, control: WireStream, welcome: Welcome, device: DeviceId) -> Self {
        Self {
            user: welcome.user_id.clone(),
            device,
            welcome,
            control,
            lanes: VecDeque::new(),
            next_batch: BatchNumber::FIRST,
            generation: 0,
            dialled,
        }
    }

    /// The connection below.
    pub fn connection(&self) -> &Dialled {
        &self.dialled
    }

    /// How the connection ends, which it has to do now.
    pub async fn closed(&self) -> ConnectionEnd {
        self.dialled.closed().await
    }

    /// The code with which the server closes the connection, which it has to do now.
    pub async fn closed_with(&self) -> ErrorCode {
        match self.closed().await {
            ConnectionEnd::Code(code) => code,
            other => panic!("closed without a code: {other:?}"),
        }
    }

    /// Leaves on purpose. The server hears of it a moment later.
    pub fn goodbye(self) {
        self.dialled.close(ErrorCode::NoError);
    }

    /// Closes the connection with any code. The server hears of it a moment later.
    pub fn close(self, code: ErrorCode) {
        self.dialled.close(code);
    }

    /// Pulls the cable: neither end hears of the other again.
    pub fn vanish(&self) {
        self.dialled.cable.pull();
    }

    /// Opens a send lane.
    pub async fn send_lane(&self, conversation_id: ConversationId, peer: Option<&str>) -> SendLane {
        let mut stream = self.dialled.open_stream().await;
        let peer = peer.map(user);
        stream.write(&Frame::SendOpen(SendOpen { conversation_id, peer })).await;
        SendLane::new(stream)
    }

    /// Opens a send lane of the direct conversation with somebody.
    pub async fn direct(&self, peer: &str) -> SendLane {
        self.send_lane(direct(self.user.as_str(), peer), Some(peer)).await
    }

    /// Opens a send lane of a group.
    pub async fn group(&self, conversation_id: ConversationId) -> SendLane {
        self.send_lane(conversation_id, None).await
    }

    /// Opens a raw stream.
    pub async fn open_stream(&self) -> WireStream {
        self.dialled.open_stream().await
    }

    /// The next log lane that the server opens. Cancel safe but for the reading of `LaneOpen`.
    pub async fn next_lane(&mut self) -> LogLane {
        if let Some(lane) = self.lanes.pop_front() {
            return lane;
        }
        self.accept_lane().await
    }

    /// The next log lane of a conversation. Lanes of others are kept for later.
    pub async fn lane(&mut self, conversation: ConversationId) -> LogLane {
        if let Some(at) = self.lanes.iter().position(|lane| lane.conversation() == conversation) {
            return self.lanes.remove(at).unwrap();
        }
        loop {
            let lane = self.accept_lane().await;
            if lane.conversation() == conversation {
                return lane;
            }
            self.lanes.push_back(lane);
        }
    }

    async fn accept_lane(&self) -> LogLane {
        let accepted = within("a log lane", self.dialled.connection.accept_uni()).await;
        let stream = accepted.unwrap_or_else(|error| panic!("a log lane was awaited: {error}"));
        LogLane::begin(self.user.clone(), WireStream::receiving(stream)).await
    }

    /// Everything of a conversation from where lanes begin up to `seq`, over as many lanes as it takes, each
    /// of which has to begin where the former ended. Gives the lane that it ended on too.
    pub async fn log(&mut self, conversation: ConversationId, seq: u64) -> (Vec<Delivered>, LogLane) {
        let mut lane = self.lane(conversation).await;
        let mut all = Vec::new();
        loop {
            within("the log", async { while lane.next.get() <= seq && lane.step().await.is_ok() {} }).await;
            all.append(&mut lane.delivered.clone());
            if lane.next.get() > seq {
                return (all, lane);
            }
            let expected = lane.next;
            lane = self.lane(conversation).await;
            assert_eq!(lane.next, expected, "the next lane begins where the former ended");
        }
    }

    /// Sends a frame on the control stream.
    pub async fn control(&mut self, frame: &Frame) {
        self.control.write(frame).await;
    }

    /// Names the conversations on screen.
    pub async fn watch(&mut self, conversations: &[ConversationId]) {
        self.control(&Frame::Watch(Watch { conversation_ids: conversations.to_vec() })).await;
        self.ping().await;
    }

    /// Sends a `Ping` and waits for its `Pong`: everything sent on control before it was dealt with.
    pub async fn ping(&mut self) {
        let nonce = u64::from_be_bytes(*b"fulmar!!");
        self.control(&Frame::Ping(Ping { nonce })).await;
        match self.control.frame().await {
            Frame::Pong(pong) => assert_eq!(pong.nonce, nonce),
            other => panic!("Pong was awaited, not {other:?}"),
        }
    }

    /// Confirms cursors (with what is skipped) and read marks.
    pub async fn confirm(&mut self, cursors: &[Cursor<'_>], reads: &[(ConversationId, u64)]) -> Confirmation {
        let batch = self.next_batch;
        self.next_batch = batch.next();
        let range = |(first, last): &(u64, u64)| SeqRange::new(Seq::new(*first)..=Seq::new(*last)).unwrap();
        let cursors = cursors.iter().map(|(conversation_id, seq, skipped)| CursorUpdate {
            conversation_id: *conversation_id,
            seq: Seq::new(*seq),
            skipped: skipped.iter().map(range).collect(),
        });
        let reads = reads.iter().map(|(conversation_id, seq)| ReadMark {
            conversation_id: *conversation_id,
            seq: Seq::new(*seq),
        });
        self.control(&Frame::Confirm(Confirm { batch, cursors: cursors.collect(), reads: reads.collect() }))
            .await;
        self.confirmation(batch).await
    }

    /// Waits for what became of a `Confirm`.
    pub async fn confirmation(&mut self, batch: BatchNumber) -> Confirmation {
        let mut problems = Vec::new();
        loop {
            match self.control.frame().await {
                Frame::Confirmed(confirmed) => {
                    assert_eq!(confirmed.batch, batch);
                    return Confirmation { confirmed: true, problems };
                }
                Frame::Problem(problem) => {
                    assert_eq!(problem.batch, Some(batch), "{problem:?}");
                    let whole = problem.conversation_id.is_none();
                    problems.push(problem);
                    if whole {
                        return Confirmation { confirmed: false, problems };
                    }
                }
                other => panic!("Confirmed was awaited, not {other:?}"),
            }
        }
    }

    /// Confirms that this device has everything up to `seq`.
    pub async fn have(&mut self, conversation: ConversationId, seq: u64) {
        let confirmation = self.confirm(&[(conversation, seq, &[])], &[]).await;
        assert_eq!(confirmation.codes(), []);
    }

    /// Says that the user has read up to `seq`.
    pub async fn read(&mut self, conversation: ConversationId, seq: u64) {
        let confirmation = self.confirm(&[], &[(conversation, seq)]).await;
        assert_eq!(confirmation.codes(), []);
    }

    /// Sends a datagram.
    pub fn datagram(&self, datagram: &Datagram) {
        self.dialled.send_datagram(datagram.encode().to_vec());
    }

    /// Says what the device's state is.
    pub fn presence(&mut self, state: PresenceState) {
        self.generation += 1;
        let generation = Generation::new(self.generation);
        self.datagram(&Datagram::PresenceUpdate(PresenceUpdate { generation, state }));
    }

    /// Says that the user types, or stopped.
    pub fn typing(&mut self, conversation_id: ConversationId, typing: bool) {
        self.generation += 1;
        let generation = Generation::new(self.generation);
        self.datagram(&Datagram::TypingUpdate(TypingUpdate { conversation_id, generation, typing }));
    }

    /// The next datagram of the server, grease left out.
    pub async fn next_datagram(&self) -> Datagram {
        loop {
            let bytes = self.dialled.connection.read_datagram().await.expect("the connection is open");
            if let Some(datagram) = Datagram::decode(&bytes).expect("a datagram") {
                return datagram;
            }
        }
    }

    /// The next `Presence` for which `wanted` holds; others are passed over.
    pub async fn next_presence(&self, awaited: &str, wanted: impl Fn(&Presence) -> bool) -> Presence {
        within(awaited, async {
            loop {
                if let Datagram::Presence(presence) = self.next_datagram().await
                    && wanted(&presence)
                {
                    return presence;
                }
            }
        })
        .await
    }

    /// The next `Typing`; others are passed over.
    pub async fn next_typing(&self) -> Typing {
        within("Typing", async {
            loop {
                if let Datagram::Typing(typing) = self.next_datagram().await {
                    return typing;
                }
            }
        })
        .await
    }

    /// How the control stream ends, past whatever else comes on it.
    pub async fn control_end(&mut self) -> StreamEnd {
        within("the end of control", async {
            loop {
                if let Err(end) = self.control.next().await {
                    return end;
                }
            }
        })
        .await
    }
}

/// A cursor: conversation, seq, and what is missing below.
pub type Cursor<'a> = (ConversationId, u64, &'a [(u64, u64)]);

impl std::fmt::Debug for WireClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WireClient").field("welcome", &self.welcome).finish_non_exhaustive()
    }
}

impl Drop for WireClient {
    fn drop(&mut self) {
        // A test that is done with a client has no use for a server that waits for it.
        fulmar_transport::close(&self.dialled.connection, varint(ErrorCode::NoError), b"");
    }
}
