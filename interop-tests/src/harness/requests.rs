//! Requests: one frame up, the answer down, the end.

use fulmar_protocol::{
    BlockRequest, ConversationId, Direction, Entry, ErrorCode, Frame, HistoryRequest, InboxItem,
    InboxRequest, Roster, RosterMember, RosterRequest, Seq, SettingsRequest,
};

use super::{Delivered, StreamEnd, WireClient, user, within};

/// The frames of an answer, or the code with which the request was refused.
pub type Answer = Result<Vec<Frame>, ErrorCode>;

/// A page of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What it accounts for, in the order of the page.
    pub items: Vec<Delivered>,
    /// Where the next one starts: 0 for nowhere.
    pub next: u64,
    /// The newest seq that the user may read.
    pub head: u64,
}

impl Page {
    /// What it says, in short.
    pub fn says(&self) -> Vec<String> {
        self.items.iter().map(Delivered::says).collect()
    }

    /// The seqs that it accounts for, range by range.
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        self.items.iter().map(Delivered::range).collect()
    }

    /// Its entries.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.items.iter().filter_map(|item| match item {
            Delivered::Entry(entry) => Some(entry),
            _ => None,
        })
    }
}

impl WireClient {
    /// Asks, and gives everything up to the end of the answer.
    pub async fn request(&self, frame: &Frame) -> Answer {
        let mut stream = self.open_stream().await;
        stream.write(frame).await;
        stream.finish();
        let mut frames = Vec::new();
        loop {
            match within("an answer", stream.next()).await {
                Ok(Frame::Problem(problem)) => {
                    assert_eq!(stream.end().await, StreamEnd::Finished);
                    return Err(problem.code);
                }
                Ok(frame) => frames.push(frame),
                Err(StreamEnd::Finished) => return Ok(frames),
                Err(end) => panic!("the request ended: {end:?}"),
            }
        }
    }

    /// A page of history.
    pub async fn history(
        &self,
        conversation_id: ConversationId,
        from: u64,
        direction: Direction,
        limit: u32,
    ) -> Result<Page, ErrorCode> {
        let from_seq = Seq::new(from);
        let request = HistoryRequest { conversation_id, from_seq, direction, limit };
        let mut frames = self.request(&Frame::HistoryRequest(request)).await?;
        let Some(Frame::HistoryEnd(end)) = frames.pop() else { panic!("no HistoryEnd") };
        let items = frames.into_iter().map(|frame| match frame {
            Frame::Entry(entry) => Delivered::Entry(entry),
            Frame::Hole(hole) => Delivered::Hole(hole),
            other => panic!("not a frame of history: {other:?}"),
        });
        Ok(Page { items: items.collect(), next: end.next_seq.map_or(0, Seq::get), head: end.head_seq.get() })
    }

    /// All that the user may read of a conversation, from its beginning, page by page. Every seq of it is
    /// accounted for once, in order.
    pub async fn whole_log(&self, conversation: ConversationId) -> Vec<Delivered> {
        let mut all: Vec<Delivered> = Vec::new();
        let mut from = 1;
        while from > 0 {
            let page = self.history(conversation, from, Direction::Forward, 256).await.unwrap();
            for item in page.items {
                let due = all.last().map_or(1, |last| last.range().1 + 1);
                assert_eq!(item.range().0, due, "a gap or a repetition in the history");
                all.push(item);
            }
            from = page.next;
        }
        all
    }

    /// A page of the inbox, and where the next one starts.
    pub async fn inbox_page(
        &self,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Result<(Vec<InboxItem>, Option<ConversationId>), ErrorCode> {
        let request = InboxRequest { after_conversation_id: after, limit };
        let mut frames = self.request(&Frame::InboxRequest(request)).await?;
        let Some(Frame::InboxEnd(end)) = frames.pop() else { panic!("no InboxEnd") };
        let items = frames.into_iter().map(|frame| match frame {
            Frame::InboxItem(item) => item,
            other => panic!("not a frame of an inbox: {other:?}"),
        });
        Ok((items.collect(), end.next_conversation_id))
    }

    /// What the inbox says of one conversation.
    pub async fn inbox_item(&self, conversation: ConversationId) -> Option<InboxItem> {
        let (items, _) = self.inbox_page(None, 256).await.unwrap();
        items.into_iter().find(|item| item.conversation_id == conversation)
    }

    /// Who is in a conversation.
    pub async fn roster(
        &self,
        conversation_id: ConversationId,
    ) -> Result<(Roster, Vec<RosterMember>), ErrorCode> {
        let mut frames =
            self.request(&Frame::RosterRequest(RosterRequest { conversation_id })).await?.into_iter();
        let Some(Frame::Roster(roster)) = frames.next() else { panic!("no Roster") };
        let members = frames.flat_map(|frame| match frame {
            Frame::RosterMembers(members) => members.members,
            other => panic!("not a frame of a roster: {other:?}"),
        });
        Ok((roster, members.collect()))
    }

    /// Blocks somebody, or takes the block away.
    pub async fn block(&self, name: &str, blocked: bool) -> Result<(), ErrorCode> {
        let request = Frame::BlockRequest(BlockRequest { user: user(name), blocked });
        let frames = self.request(&request).await?;
        assert!(matches!(frames.as_slice(), [Frame::Done(_)]), "{frames:?}");
        Ok(())
    }

    /// Whether strangers may write.
    pub async fn refuse_new_direct_messages(&self, refuse: bool) -> Result<(), ErrorCode> {
        let request = SettingsRequest { refuse_new_direct_messages: refuse };
        let frames = self.request(&Frame::SettingsRequest(request)).await?;
        assert!(matches!(frames.as_slice(), [Frame::Done(_)]), "{frames:?}");
        Ok(())
    }
}
