//! The two kinds of lane, as a client sees them.

use std::collections::BTreeMap;

use bytes::Bytes;
use fulmar_protocol::{
    Accepted, ClientSeq, Content, ConversationId, Entry, ErrorCode, Frame, Hole, HoleReason, LaneOpen,
    Ordinal, OwnEntry, Refused, Send, Seq, UserId, UserMarks,
};

use super::contents::body_of;
use super::{StreamEnd, WireStream, within};

/// A send lane: sends up, answers down.
#[derive(Debug)]
pub struct SendLane {
    /// The stream itself.
    pub stream: WireStream,
    /// The number that the next send gets.
    pub next: u64,
}

impl SendLane {
    pub(super) fn new(stream: WireStream) -> Self {
        Self { stream, next: 1 }
    }

    /// Goes on with this number.
    pub fn continue_at(mut self, next: u64) -> Self {
        self.next = next;
        self
    }

    /// Asks which number the server expects, by a send whose number cannot be right yet.
    pub async fn expected(&mut self) -> u64 {
        self.put(u64::MAX, &super::contents::text("?")).await;
        match self.answer().await {
            Err(refused) if refused.code == ErrorCode::ClientSeqAhead => {
                refused.expected_client_seq.expect("the number expected").get()
            }
            // There is no conversation yet.
            Err(refused) if refused.code == ErrorCode::ConversationNotFound => 1,
            other => panic!("client_seq_ahead was awaited, not {other:?}"),
        }
    }

    /// Sends under a number of one's own choosing, and does not wait.
    pub async fn put(&mut self, client_seq: u64, content: &Content) {
        self.put_bytes(client_seq, content.encode()).await;
    }

    /// Sends any bytes as content, and does not wait.
    pub async fn put_bytes(&mut self, client_seq: u64, content: Bytes) {
        self.stream.write(&Frame::Send(Send { client_seq: ClientSeq::new(client_seq), content })).await;
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Result<Accepted, Refused> {
        match self.stream.frame().await {
            Frame::Accepted(accepted) => Ok(accepted),
            Frame::Refused(refused) => Err(refused),
            other => panic!("not an answer: {other:?}"),
        }
    }

    /// Sends with the next number and gives the answer.
    pub async fn ask(&mut self, content: &Content) -> Result<Accepted, Refused> {
        let client_seq = self.next;
        self.next += 1;
        self.put(client_seq, content).await;
        let answer = self.answer().await;
        let answered = match &answer {
            Ok(accepted) => accepted.client_seq,
            Err(refused) => refused.client_seq,
        };
        assert_eq!(answered, ClientSeq::new(client_seq), "the answer is to another send: {answer:?}");
        answer
    }

    /// Sends with the next number, which has to be accepted, and gives the entry's seq.
    pub async fn send(&mut self, content: &Content) -> u64 {
        match self.ask(content).await {
            Ok(accepted) => accepted.seq.get(),
            Err(refused) => panic!("refused: {refused:?} for {content:?}"),
        }
    }

    /// Sends with the next number, which has to be refused, and gives the code.
    pub async fn refused(&mut self, content: &Content) -> ErrorCode {
        match self.ask(content).await {
            Ok(accepted) => panic!("accepted: {accepted:?} for {content:?}"),
            Err(refused) => refused.code,
        }
    }

    /// Ends the lane politely, and waits for the server's end.
    pub async fn close(mut self) {
        self.stream.finish();
        assert_eq!(self.stream.end().await, StreamEnd::Finished);
    }
}

/// What a lane hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// Somebody's entry.
    Entry(Entry),
    /// One of this device.
    Own(OwnEntry),
    /// A range that is not handed over.
    Hole(Hole),
}

impl Delivered {
    /// The seqs it accounts for.
    pub fn range(&self) -> (u64, u64) {
        match self {
            Self::Entry(entry) => (entry.seq.get(), entry.seq.get()),
            Self::Own(own) => (own.seq.get(), own.seq.get()),
            Self::Hole(hole) => (hole.range.first().get(), hole.range.last().get()),
        }
    }

    /// What a message or edit says, for comparing: `own` and the hole's reason where there is no text.
    pub fn says(&self) -> String {
        match self {
            Self::Entry(entry) => body_of(&entry.content).unwrap_or_else(|| "-".to_owned()),
            Self::Own(_) => "own".to_owned(),
            Self::Hole(hole) => match hole.reason {
                HoleReason::Skipped => "skipped".to_owned(),
                HoleReason::Hidden => "hidden".to_owned(),
                HoleReason::Expired => "expired".to_owned(),
            },
        }
    }
}

/// A log lane. It holds the server to FUL-LANE-8: from `next_seq` on each seq comes once, in order.
#[derive(Debug)]
pub struct LogLane {
    /// How it began.
    pub open: LaneOpen,
    /// What it handed over so far.
    pub delivered: Vec<Delivered>,
    /// The next seq that is due.
    pub next: Seq,
    /// The last `CaughtUp`.
    pub caught_up: Option<Seq>,
    /// The marks of the others, as told.
    pub marks: BTreeMap<UserId, UserMarks>,
    /// This user's read mark.
    pub read: (Seq, Ordinal),
    /// The newest ordinal.
    pub ordinal: Ordinal,
    /// How often `Marks` and `ReadState` came.
    pub mark_frames: usize,
    user: UserId,
    stream: WireStream,
}

impl LogLane {
    pub(super) async fn begin(user: UserId, mut stream: WireStream) -> Self {
        let open = match stream.frame().await {
            Frame::LaneOpen(open) => open,
            other => panic!("a log lane begins with LaneOpen, not {other:?}"),
        };
        Self {
            next: open.next_seq,
            marks: open.marks.iter().map(|marks| (marks.user.clone(), marks.clone())).collect(),
            read: (open.read_seq, open.read_ordinal),
            ordinal: open.head_ordinal,
            open,
            delivered: Vec::new(),
            caught_up: None,
            mark_frames: 0,
            user,
            stream,
        }
    }

    /// Whose log it is.
    pub fn conversation(&self) -> ConversationId {
        self.open.conversation_id
    }

    /// Takes in one frame. Cancel safe.
    pub async fn step(&mut self) -> Result<(), StreamEnd> {
        let frame = self.stream.next().await?;
        match frame {
            Frame::Entry(entry) => {
                self.take_ordinal(entry.ordinal);
                if entry.sender == self.user {
                    self.read = self.read.max((entry.seq, entry.ordinal));
                }
                self.account(Delivered::Entry(entry));
            }
            Frame::OwnEntry(own) => {
                self.take_ordinal(own.ordinal);
                self.read = self.read.max((own.seq, own.ordinal));
                self.account(Delivered::Own(own));
            }
            Frame::Hole(hole) => self.account(Delivered::Hole(hole)),
            Frame::CaughtUp(caught_up) => {
                assert_eq!(self.caught_up, None, "CaughtUp comes once");
                assert_eq!(caught_up.seq.next(), self.next, "caught up with what was accounted for");
                self.caught_up = Some(caught_up.seq);
            }
            Frame::Marks(marks) => {
                self.mark_frames += 1;
                self.marks.extend(marks.marks.into_iter().map(|marks| (marks.user.clone(), marks)));
            }
            Frame::ReadState(state) => {
                self.mark_frames += 1;
                self.read = self.read.max((state.read_seq, state.read_ordinal));
            }
            other => panic!("not a frame of a log lane: {other:?}"),
        }
        Ok(())
    }

    fn take_ordinal(&mut self, ordinal: Ordinal) {
        self.ordinal = self.ordinal.max(ordinal);
    }

    fn account(&mut self, delivered: Delivered) {
        let (first, last) = delivered.range();
        assert_eq!(first, self.next.get(), "out of order: {delivered:?}");
        self.next = Seq::new(last + 1);
        self.delivered.push(delivered);
    }

    /// Takes in frames until `done` is true.
    pub async fn until(&mut self, awaited: &str, mut done: impl FnMut(&Self) -> bool) -> &mut Self {
        let id = self.conversation();
        within(awaited, async {
            while !done(self) {
                if let Err(end) = self.step().await {
                    panic!("the lane of {id} ended ({end:?}) before {awaited}");
                }
            }
        })
        .await;
        self
    }

    /// Takes in frames until this seq was accounted for.
    pub async fn up_to(&mut self, seq: u64) -> &mut Self {
        self.until(&format!("seq {seq}"), |lane| lane.next.get() > seq).await
    }

    /// Takes in frames until the lane says that it has caught up.
    pub async fn catch_up(&mut self) -> &mut Self {
        self.until("CaughtUp", |lane| lane.caught_up.is_some()).await
    }

    /// Takes in frames until the lane ends, and says how.
    pub async fn end(&mut self) -> StreamEnd {
        within("the end of a lane", self.end_at_last()).await
    }

    /// As `end`, however long it takes.
    pub async fn end_at_last(&mut self) -> StreamEnd {
        loop {
            if let Err(end) = self.step().await {
                return end;
            }
        }
    }

    /// Wants no more of it.
    pub fn stop(&mut self) {
        self.stream.stop(ErrorCode::NoError);
    }

    /// What was handed over, in short.
    pub fn says(&self) -> Vec<String> {
        self.delivered.iter().map(Delivered::says).collect()
    }

    /// What is unread, by FUL-MARK-22.
    pub fn unread(&self) -> u64 {
        self.ordinal.get() - self.read.1.get()
    }

    /// Delivered and read mark of somebody else: 0 where none was told.
    pub fn marks_of(&self, name: &str) -> (u64, u64) {
        let marks = self.marks.get(&super::user(name));
        marks.map_or((0, 0), |marks| (marks.delivered_seq.get(), marks.read_seq.get()))
    }
}
