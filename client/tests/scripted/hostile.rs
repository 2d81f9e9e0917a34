//! A server that breaks the protocol loses the connection with the fitting code, and is tried again; nothing
//! panics, and the client works on.

use bytes::{Bytes, BytesMut};
use fulmar_client::ErrorCode::{
    DatagramMalformed, FrameMalformed, FrameTooLong, FrameTruncated, FrameUnexpected, UnknownCriticalFrame,
};
use fulmar_client::{ErrorCode, HistoryQuery};
use fulmar_protocol::{
    CaughtUp, ClientSeq, Confirmed, Done, Frame, Hole, HoleReason, LaneOpen, Ordinal, Pong, ReadState, Seq,
    SeqRange,
};

use crate::server::{
    Peer, Server, accepted, entry, lane_open, own_entry, soon, text, user, welcome, with_bob,
};

/// On which stream a hostile server writes.
#[derive(Debug, Clone, Copy)]
enum On {
    Control,
    Uni,
    LaneAfterOpen,
    SendLane,
    Datagram,
}

fn frames(frames: impl IntoIterator<Item = Frame>) -> Bytes {
    let mut bytes = BytesMut::new();
    frames.into_iter().for_each(|frame| frame.encode(&mut bytes));
    bytes.freeze()
}

fn hole(first: u64, last: u64) -> Frame {
    let range = SeqRange::new(Seq::new(first)..=Seq::new(last)).unwrap();
    Frame::Hole(Hole { range, reason: HoleReason::Hidden })
}

/// What it writes, where, and the code it is answered with.
type Case = (&'static str, On, Bytes, ErrorCode);

fn cut(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len() - 1)
}

fn lane(open: LaneOpen) -> Bytes {
    frames([Frame::LaneOpen(open)])
}

const fn raw(bytes: &'static [u8]) -> Bytes {
    Bytes::from_static(bytes)
}

fn on_control() -> Vec<Case> {
    vec![
        ("a second Welcome", On::Control, frames([welcome(1, 1)]), FrameUnexpected),
        ("an Entry on control", On::Control, frames([Frame::Entry(entry(1))]), FrameUnexpected),
        (
            "a client's frame",
            On::Control,
            frames([Frame::Ping(fulmar_protocol::Ping { nonce: 1 })]),
            FrameUnexpected,
        ),
        ("a Pong without a Ping", On::Control, frames([Frame::Pong(Pong { nonce: 9 })]), FrameUnexpected),
        (
            "a Confirmed without a Confirm",
            On::Control,
            frames([Frame::Confirmed(Confirmed { batch: fulmar_protocol::BatchNumber::new(9) })]),
            FrameUnexpected,
        ),
        ("an unknown critical frame", On::Control, raw(&[0x3f, 0]), UnknownCriticalFrame),
        ("an over-long frame", On::Control, raw(&[0x15, 0x80, 0xff, 0xff, 0xff]), FrameTooLong),
        ("protobuf rubbish", On::Control, raw(&[0x14, 3, 0xff, 0xff, 0xff]), FrameMalformed),
    ]
}

fn on_new_lanes() -> Vec<Case> {
    vec![
        ("a lane without LaneOpen", On::Uni, frames([Frame::Entry(entry(1))]), FrameUnexpected),
        ("an empty lane", On::Uni, Bytes::new(), FrameUnexpected),
        ("a request's answer on a lane", On::Uni, frames([Frame::Done(Done)]), FrameUnexpected),
        ("a lane cut in a frame", On::Uni, cut(&lane(lane_open(0, 1))), FrameTruncated),
        (
            "a lane of another pair",
            On::Uni,
            lane(LaneOpen { peer: Some(user("carol")), ..lane_open(0, 1) }),
            FrameMalformed,
        ),
    ]
}

fn on_open_lanes() -> Vec<Case> {
    vec![
        ("a second LaneOpen", On::LaneAfterOpen, lane(lane_open(0, 1)), FrameUnexpected),
        ("a seq that jumps", On::LaneAfterOpen, frames([Frame::Entry(entry(2))]), FrameUnexpected),
        (
            "a seq that comes twice",
            On::LaneAfterOpen,
            frames([Frame::Entry(entry(1)), Frame::Entry(entry(1))]),
            FrameUnexpected,
        ),
        (
            "an own entry that jumps",
            On::LaneAfterOpen,
            frames([own_entry(5, ClientSeq::FIRST)]),
            FrameUnexpected,
        ),
        ("a hole that jumps", On::LaneAfterOpen, frames([hole(2, 9)]), FrameUnexpected),
        (
            "an entry after the last seq there is",
            On::LaneAfterOpen,
            frames([hole(1, u64::MAX), Frame::Entry(entry(1))]),
            FrameUnexpected,
        ),
        (
            "caught up before the end",
            On::LaneAfterOpen,
            frames([Frame::CaughtUp(CaughtUp { seq: Seq::new(7) })]),
            FrameUnexpected,
        ),
        (
            "a send lane's frame on a log lane",
            On::LaneAfterOpen,
            frames([accepted(ClientSeq::FIRST, 1)]),
            FrameUnexpected,
        ),
    ]
}

fn elsewhere() -> Vec<Case> {
    let read_state = ReadState { read_seq: Seq::new(1), read_ordinal: Ordinal::new(1) };
    vec![
        (
            "an answer to what was never sent",
            On::SendLane,
            frames([accepted(ClientSeq::new(99), 1)]),
            FrameUnexpected,
        ),
        (
            "a log lane's frame on a send lane",
            On::SendLane,
            frames([Frame::ReadState(read_state)]),
            FrameUnexpected,
        ),
        (
            "a send lane cut in a frame",
            On::SendLane,
            cut(&frames([accepted(ClientSeq::FIRST, 1)])),
            FrameTruncated,
        ),
        ("a datagram of rubbish", On::Datagram, raw(&[3, 0xff, 0xff]), DatagramMalformed),
        ("an unknown critical datagram", On::Datagram, raw(&[0x3f]), DatagramMalformed),
        ("a client's datagram", On::Datagram, raw(&[1, 8, 1, 16, 1]), DatagramMalformed),
    ]
}

async fn attack(peer: &mut Peer, client: &fulmar_client::Client, on: On, bytes: &Bytes) {
    match on {
        On::Control => peer.control.write_all(bytes).await.unwrap(),
        On::Uni => {
            let mut stream = peer.connection.open_uni().await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream.finish().unwrap();
            let _ = stream.stopped().await;
        }
        On::LaneAfterOpen => {
            let mut lane = peer.lane(lane_open(0, 10)).await;
            lane.stream.write_all(bytes).await.unwrap();
            let _ = lane.stream.stopped().await;
        }
        On::SendLane => {
            let bob = client.direct(&user("bob")).unwrap();
            drop(bob.enqueue(text("hello")).await.unwrap());
            let mut lane = peer.send_lane().await;
            lane.next().await;
            lane.answers.write_all(bytes).await.unwrap();
            lane.answers.finish().unwrap();
            let _ = lane.answers.stopped().await;
        }
        On::Datagram => peer.connection.send_datagram(bytes.clone()).unwrap(),
    }
}

#[tokio::test]
async fn every_breach_is_answered_with_its_code_and_tried_again() {
    for (what, on, bytes, code) in [on_control(), on_new_lanes(), on_open_lanes(), elsewhere()].concat() {
        let server = Server::start();
        let (client, _events, mut peer) = server.connected().await;
        soon(what, attack(&mut peer, &client, on, &bytes)).await;
        assert_eq!(ErrorCode::from(peer.closed_with().await), code, "{what}");
        let again = soon(what, server.session()).await;
        assert!(!client.status().borrow().is_ended(), "{what}");
        drop(again);
    }
}

#[tokio::test]
async fn a_breach_before_welcome_is_answered_with_its_code() {
    for (what, bytes, code) in [
        ("no Welcome", frames([Frame::Pong(Pong { nonce: 1 })]), FrameUnexpected),
        ("rubbish", Bytes::from_static(&[0x10, 2, 0xff, 0xff]), FrameMalformed),
    ] {
        let server = Server::start();
        let (_client, _events) = server.client().start().unwrap();
        let mut peer = server.greeted().await;
        peer.control.write_all(&bytes).await.unwrap();
        assert_eq!(ErrorCode::from(peer.closed_with().await), code, "{what}");
        server.session().await;
    }
}

#[tokio::test]
async fn unknown_frames_that_may_be_skipped_are_skipped() {
    let server = Server::start();
    let (client, _events, mut peer) = server.connected().await;
    let mut grease = BytesMut::new();
    fulmar_protocol::encode_grease_frame(3, b"anything", &mut grease);
    peer.control.write_all(&grease).await.unwrap();
    peer.connection.send_datagram(fulmar_protocol::encode_grease_datagram(3, b"anything")).unwrap();
    let (answer, ()) = tokio::join!(client.ping(), async {
        let Frame::Ping(ping) = peer.next_control().await else { panic!("no ping") };
        peer.control(&Frame::Pong(Pong { nonce: ping.nonce })).await;
    });
    answer.unwrap();
}

#[tokio::test]
async fn a_third_lane_of_one_conversation_is_a_breach() {
    let server = Server::start();
    let (_client, _events, peer) = server.connected().await;
    let _lanes = [
        peer.lane(lane_open(0, 1)).await,
        peer.lane(lane_open(0, 1)).await,
        peer.lane(lane_open(0, 1)).await,
    ];
    assert_eq!(ErrorCode::from(peer.closed_with().await), FrameUnexpected);
}

#[tokio::test]
async fn streams_that_the_server_may_not_open_are_refused() {
    let server = Server::start();
    let (_client, _events, peer) = server.connected().await;
    let opened = tokio::time::timeout(std::time::Duration::from_millis(200), peer.connection.open_bi()).await;
    assert!(opened.is_err(), "the client permits bidirectional streams");
}

#[tokio::test]
async fn endless_lanes_cost_no_more_than_they_may() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    // One after another, each of another conversation, each ended at once.
    for n in 0..3_000_u32 {
        let bytes = n.to_be_bytes();
        let mut id = [2; 16];
        id[1..5].copy_from_slice(&bytes);
        let conversation_id = fulmar_client::ConversationId::new(id).unwrap();
        let open = LaneOpen { conversation_id, peer: None, ..lane_open(0, 0) };
        let mut stream = soon("a stream", peer.connection.open_uni()).await.unwrap();
        stream.write_all(&Frame::LaneOpen(open).to_bytes()).await.unwrap();
        stream.finish().unwrap();
        if n > 900 {
            break;
        }
    }
    let bob = client.direct(&user("bob")).unwrap();
    let (outcome, _) =
        tokio::join!(bob.send(text("still here")), async { peer.send_lane().await.accept(1).await });
    outcome.unwrap();
}

#[tokio::test]
async fn a_history_page_out_of_order_is_a_breach() {
    for answer in [
        frames([Frame::Entry(entry(2)), Frame::Entry(entry(1))]),
        frames([Frame::Entry(entry(2)), Frame::Entry(entry(2))]),
        frames([Frame::Done(Done)]),
        frames([Frame::Entry(entry(1))]),
    ] {
        let server = Server::start();
        let (client, _events, peer) = server.connected().await;
        let conversation = client.conversation(with_bob());
        let (page, ()) = tokio::join!(conversation.history(HistoryQuery::forward(Seq::FIRST)), async {
            let (_, mut answers, _frames) = peer.next_stream().await;
            answers.write_all(&answer).await.unwrap();
            answers.finish().unwrap();
        });
        page.unwrap_err();
        assert_ne!(peer.closed_with().await, ErrorCode::NoError.code());
        server.session().await;
    }
}

#[tokio::test]
async fn a_server_that_reuses_numbers_for_ever_is_left() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let sending = bob.enqueue(text("hello")).await.unwrap();
    let mut peer = Some(peer);
    for _ in 0..4 {
        let now = match peer.take() {
            Some(peer) => peer,
            None => server.session().await,
        };
        let mut lane = now.send_lane().await;
        let send = lane.next().await;
        lane.refuse(crate::server::refused(send.client_seq, ErrorCode::ClientSeqReused)).await;
        now.closed_with().await;
    }
    let error = soon("the end", sending).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ClientSeqReused));
}
