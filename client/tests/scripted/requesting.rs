//! Requests: their answers, pages and refusals.

use fulmar_client::{HistoryQuery, Seq};
use fulmar_protocol::{Frame, InboxEnd, InboxItem, Ordinal};

use crate::server::{Server, soon, user, with_bob};

#[tokio::test]
async fn all_pages_of_the_inbox_are_fetched() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let item = |n: u8| InboxItem {
        conversation_id: fulmar_client::ConversationId::new([1, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            .unwrap(),
        peer: Some(user("bob")),
        title: fulmar_protocol::Title::default(),
        head_seq: Seq::new(9),
        head_ordinal: Ordinal::new(9),
        read_seq: Seq::new(4),
        read_ordinal: Ordinal::new(4),
        last_at: fulmar_protocol::TimestampMs::new(1),
        role: None,
        cursor_seq: Seq::ZERO,
    };
    let (items, ()) = tokio::join!(client.inbox(), async {
        for page in 0..2 {
            let (Frame::InboxRequest(request), mut answers, _frames) = peer.next_stream().await else {
                panic!("no inbox request")
            };
            assert_eq!(request.after_conversation_id.is_some(), page == 1);
            for n in page * 2..page * 2 + 2 {
                answers.write_all(&Frame::InboxItem(item(n)).to_bytes()).await.unwrap();
            }
            let next = (page == 0).then(|| item(1).conversation_id);
            let end = Frame::InboxEnd(InboxEnd { next_conversation_id: next });
            answers.write_all(&end.to_bytes()).await.unwrap();
            answers.finish().unwrap();
        }
    });
    let items = items.unwrap();
    assert_eq!(items.len(), 4);
    assert_eq!(items[0].unread, 5);
}

#[tokio::test]
async fn a_request_that_is_refused_tells_the_code() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let conversation = client.conversation(with_bob());
    let (page, ()) = tokio::join!(conversation.history(HistoryQuery::newest()), async {
        let (_, mut answers, _frames) = peer.next_stream().await;
        let problem = fulmar_protocol::Problem {
            code: fulmar_client::ErrorCode::NotAMember,
            message: "no".into(),
            conversation_id: None,
            batch: None,
            retry_after: None,
        };
        answers.write_all(&Frame::Problem(problem).to_bytes()).await.unwrap();
        answers.finish().unwrap();
    });
    assert_eq!(page.unwrap_err().code(), Some(fulmar_client::ErrorCode::NotAMember));
    soon("a ping's frame", async { tokio::join!(client.ping(), async { drop(peer) }) }).await.0.unwrap_err();
}
