//! Frames, streams and datagrams that no client should send: each ends exactly what it has to, with its own
//! code, and nobody else notices.

use std::time::Duration;

use fulmar_interop_tests::{
    ConnectionEnd, LogLane, SendLane, Setup, TestServer, WireClient, contents::text, device, direct, user,
    within, within_time,
};
use fulmar_protocol::{ErrorCode, Extensions, Frame, Hello, Ping, SoftwareName, Token};

use crate::fast_clock;

/// Two users who go on talking while somebody else misbehaves.
pub(crate) struct Neighbours {
    carol: WireClient,
    dave: WireClient,
    from_carol: SendLane,
    to_dave: LogLane,
    said: u64,
}

impl Neighbours {
    pub(crate) async fn of(server: &TestServer) -> Self {
        let carol = server.connect("carol", 1).await;
        let mut dave = server.connect("dave", 1).await;
        let mut from_carol = carol.direct("dave").await;
        from_carol.send(&text("are you well?")).await;
        let to_dave = dave.lane(direct("carol", "dave")).await;
        Self { carol, dave, from_carol, to_dave, said: 1 }
    }

    /// They send, receive and are answered, on the connections that they have had from the start.
    pub(crate) async fn are_well(&mut self) {
        self.said += 1;
        assert_eq!(self.from_carol.send(&text("are you well?")).await, self.said);
        self.to_dave.up_to(self.said).await;
        self.dave.have(direct("carol", "dave"), self.said).await;
        self.carol.ping().await;
    }
}

/// `alice` does something bad, for which her connection, and nothing else, ends with `code`.
async fn ends_connection(
    server: &TestServer,
    neighbours: &mut Neighbours,
    code: ErrorCode,
    what: &str,
    bad: impl AsyncFnOnce(&mut WireClient),
) {
    let mut alice = server.connect("alice", 1).await;
    neighbours.are_well().await;
    bad(&mut alice).await;
    neighbours.are_well().await;
    let end = within(&format!("the end, for {what}"), alice.connection().closed_at_last()).await;
    assert_eq!(end, ConnectionEnd::Code(code), "{what}");
    neighbours.are_well().await;
}

/// A field of bytes in protobuf.
pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap());
    field.extend_from_slice(bytes);
    field
}

/// A frame of any type below 64 and any payload, whose length is written in four bytes.
fn frame(frame_type: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![frame_type];
    frame.extend_from_slice(&(u32::try_from(payload.len()).unwrap() | 0x8000_0000).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A `SendOpen` for the conversation of alice and bob.
fn send_open(peer: &[u8]) -> Vec<u8> {
    let id = direct("alice", "bob");
    frame(0x20, &[field(1, id.as_bytes()), field(2, peer)].concat())
}

// FUL-FRAME-3, FUL-VER-3, FUL-LIM-3, FUL-ERR-2
#[tokio::test]
async fn an_unknown_critical_frame_ends_the_connection_wherever_it_comes() {
    let server = TestServer::start().await;
    let mut others = Neighbours::of(&server).await;
    let code = ErrorCode::UnknownCriticalFrame;
    for unknown in [0x00, 0x06, 0x3f] {
        let bytes = [unknown, 0];
        let on_control = async |alice: &mut WireClient| alice.control.write_bytes(bytes).await;
        ends_connection(&server, &mut others, code, "on control", on_control).await;
        let as_request = async |alice: &mut WireClient| alice.open_stream().await.write_bytes(bytes).await;
        ends_connection(&server, &mut others, code, "as a request", as_request).await;
        let on_a_lane = async |alice: &mut WireClient| {
            let mut lane = alice.direct("bob").await;
            lane.stream.write_bytes(bytes).await;
        };
        ends_connection(&server, &mut others, code, "on a send lane", on_a_lane).await;
    }
    let highest = async |alice: &mut WireClient| alice.control.write_bytes([0x4f, 0xff, 0]).await;
    ends_connection(&server, &mut others, code, "0xfff", highest).await;
}

// FUL-FRAME-2, FUL-LIM-2
#[tokio::test]
async fn a_length_over_the_limit_ends_the_connection_before_anything_is_read() {
    let server = TestServer::start().await;
    let mut others = Neighbours::of(&server).await;
    let code = ErrorCode::FrameTooLong;
    let announcements: [(&str, &[u8]); 4] = [
        ("one byte too many", &[0x05, 0x80, 0x01, 0x40, 0x01]),
        ("as many as can be said", &[0x05, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ("of a type to skip", &[0x50, 0x40, 0x80, 0x01, 0x40, 0x01]),
        ("a token of 8 KiB and a byte", &[0x02, 0x60, 0x01]),
    ];
    for (what, bytes) in announcements {
        let announce = async |alice: &mut WireClient| alice.control.write_bytes(bytes).await;
        ends_connection(&server, &mut others, code, what, announce).await;
    }
    // Before Hello the limit is Hello's, whatever the type.
    for bytes in [&[0x01, 0x60, 0x01][..], &[0x50, 0x40, 0x60, 0x01], &[0x21, 0x80, 0x01, 0x00, 0x00]] {
        let stranger = server.dial().await;
        stranger.open_stream().await.write_bytes(bytes).await;
        assert_eq!(stranger.closed().await, ConnectionEnd::Code(code), "{bytes:02x?}");
    }
    others.are_well().await;
}

// FUL-FRAME-5
#[tokio::test]
async fn a_stream_that_ends_inside_a_frame_ends_the_connection_but_one_that_is_reset_does_not() {
    let server = TestServer::start().await;
    let mut others = Neighbours::of(&server).await;
    let code = ErrorCode::FrameTruncated;
    for bytes in [&[0x21][..], &[0x21, 0x40], &[0x30, 0x05, 0x0a]] {
        let cut = async |alice: &mut WireClient| {
            let mut stream = alice.open_stream().await;
            stream.write_bytes(bytes).await;
            stream.finish();
        };
        ends_connection(&server, &mut others, code, "a request", cut).await;
        let cut = async |alice: &mut WireClient| {
            let mut lane = alice.direct("bob").await;
            lane.stream.write_bytes(bytes).await;
            lane.stream.finish();
        };
        ends_connection(&server, &mut others, code, "a send lane", cut).await;
    }
    let cut = async |alice: &mut WireClient| {
        alice.control.write_bytes([0x05, 0x02]).await;
        alice.control.finish();
    };
    ends_connection(&server, &mut others, code, "control", cut).await;
    let mut alice = server.connect("alice", 1).await;
    let mut stream = alice.open_stream().await;
    stream.write_bytes([0x30, 0x05, 0x0a]).await;
    alice.ping().await;
    stream.reset(ErrorCode::NoError);
    alice.ping().await;
    others.are_well().await;
}

// FUL-FRAME-10, FUL-FRAME-9, FUL-LIM-3
#[tokio::test]
async fn a_payload_that_does_not_decode_ends_the_connection() {
    let server = TestServer::start().await;
    let mut others = Neighbours::of(&server).await;
    let code = ErrorCode::FrameMalformed;
    let on_control = [
        ("rubbish", frame(0x05, &[0xff; 40])),
        ("a field cut short", frame(0x05, &[0x08])),
        ("another wire type", frame(0x05, &field(1, b"seven"))),
        ("batch 0", frame(0x03, &[])),
        ("an id of 15 bytes", frame(0x04, &field(1, &[1; 15]))),
        ("an id of no known kind", frame(0x04, &field(1, &[3; 16]))),
        ("a range the wrong way round", {
            let id = direct("alice", "bob");
            let cursor = [field(1, id.as_bytes()), vec![0x10, 9], field(3, &[8, 5, 16, 4])].concat();
            frame(0x03, &[vec![8, 1], field(2, &cursor)].concat())
        }),
    ];
    for (what, bytes) in on_control {
        let write = async |alice: &mut WireClient| alice.control.write_bytes(bytes).await;
        ends_connection(&server, &mut others, code, what, write).await;
    }
    let id = direct("alice", "bob");
    let first_frames = [
        ("a lane without a conversation", frame(0x20, &field(2, b"bob"))),
        ("history of nothing", frame(0x30, &[])),
        ("a direction that does not exist", frame(0x30, &[field(1, id.as_bytes()), vec![0x18, 7]].concat())),
        ("a roster of rubbish", frame(0x35, &[0xff; 9])),
    ];
    for (what, bytes) in first_frames {
        let write = async |alice: &mut WireClient| alice.open_stream().await.write_bytes(bytes).await;
        ends_connection(&server, &mut others, code, what, write).await;
    }
    let number_0 = async |alice: &mut WireClient| {
        let mut lane = alice.direct("bob").await;
        lane.stream.write_bytes(frame(0x21, &field(2, b"x"))).await;
    };
    ends_connection(&server, &mut others, code, "client seq 0", number_0).await;
}

// FUL-FRAME-7, FUL-FRAME-8
#[tokio::test]
async fn fields_that_are_absent_or_unknown_are_no_fault() {
    let server = TestServer::start().await;
    let mut alice = server.connect("alice", 1).await;
    let unknown = [vec![0x08, 0x03], field(15, b"of a later edition"), vec![0x70, 0x01]].concat();
    alice.control.write_bytes(frame(0x05, &[])).await;
    alice.control.write_bytes(frame(0x05, &unknown)).await;
    assert!(matches!(alice.control.frame().await, Frame::Pong(pong) if pong.nonce == 0));
    assert!(matches!(alice.control.frame().await, Frame::Pong(pong) if pong.nonce == 3));
}

// FUL-SESS-7, FUL-SESS-35
#[tokio::test]
async fn a_hello_with_the_state_of_another_user_is_refused_before_anything_is_done() {
    let server = TestServer::start().await;
    let dialled = server.dial().await;
    let mut control = dialled.open_stream().await;
    let Frame::Hello(mut hello) = dialled.hello(&server.token("alice"), device("bob", 1)) else { panic!() };
    hello.user_id = Some(user("bob"));
    control.write(&Frame::Hello(hello)).await;
    assert_eq!(dialled.closed().await, ConnectionEnd::Code(ErrorCode::UserMismatch));
    // The device is still nobody's.
    server.connect("bob", 1).await.ping().await;
}

// FUL-FRAME-6, FUL-TRANS-7, FUL-SESS-5
#[tokio::test]
async fn a_known_frame_where_it_does_not_belong_ends_the_connection() {
    let server = TestServer::start().await;
    let mut others = Neighbours::of(&server).await;
    let code = ErrorCode::FrameUnexpected;
    let id = direct("alice", "bob");
    let hello = Frame::Hello(Hello {
        token: Token::new(server.token("alice")),
        device_id: device("alice", 1),
        backlog_entries_max: 1,
        client: SoftwareName::new("twice/1"),
        extensions: Extensions::NONE,
        user_id: None,
    });
    let send = frame(0x21, &[vec![0x08, 1], field(2, &text("x").encode())].concat());
    let history = frame(0x30, &[field(1, id.as_bytes()), vec![0x20, 1]].concat());
    let on_control = [
        ("a second Hello", hello.to_bytes().to_vec()),
        ("a Send", send.clone()),
        ("a SendOpen", send_open(b"bob")),
        ("a request", history.clone()),
        ("a frame of the server's", frame(0x15, &[])),
    ];
    for (what, bytes) in on_control {
        let write = async |alice: &mut WireClient| alice.control.write_bytes(bytes).await;
        ends_connection(&server, &mut others, code, what, write).await;
    }
    for (what, bytes) in [("a Ping", frame(0x05, &[])), ("a Send", send), ("an answer", frame(0x3a, &[]))] {
        let write = async |alice: &mut WireClient| alice.open_stream().await.write_bytes(bytes).await;
        ends_connection(&server, &mut others, code, what, write).await;
    }
    for (what, bytes) in [("a second SendOpen", send_open(b"bob")), ("a request", history)] {
        let write = async |alice: &mut WireClient| {
            let mut lane = alice.direct("bob").await;
            lane.stream.write_bytes(bytes).await;
        };
        ends_connection(&server, &mut others, code, what, write).await;
    }
}

// FUL-SESS-3, FUL-SESS-4, FUL-SEC-6
#[tokio::test]
async fn who_opens_streams_but_says_no_hello_is_not_authenticated_and_who_is_silent_times_out() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock, ..Setup::default() }).await;
    let mut others = Neighbours::of(&server).await;
    let silent = server.dial().await;
    let halfway = server.dial().await;
    let mut half = halfway.open_stream().await;
    half.write_bytes([0x01, 0x40]).await;
    let eager = server.dial().await;
    let _control = eager.open_stream().await;
    let mut early = eager.open_stream().await;
    early.write_bytes(send_open(b"bob")).await;
    others.are_well().await;
    for (stranger, code) in [
        (silent, ErrorCode::HelloTimeout),
        (halfway, ErrorCode::HelloTimeout),
        (eager, ErrorCode::NotAuthenticated),
    ] {
        let end = within_time(Duration::from_secs(8), "the end", stranger.closed_at_last()).await;
        assert_eq!(end, ConnectionEnd::Code(code));
    }
    for first in [Frame::Ping(Ping { nonce: 1 }).to_bytes().to_vec(), send_open(b"bob")] {
        let stranger = server.dial().await;
        stranger.open_stream().await.write_bytes(first).await;
        assert_eq!(stranger.closed().await, ConnectionEnd::Code(ErrorCode::FrameUnexpected));
    }
    others.are_well().await;
}

// FUL-FRAME-11, FUL-CONV-1
#[tokio::test]
async fn a_user_id_of_three_hundred_bytes_in_a_frame_ends_the_connection() {
    let server = TestServer::start().await;
    let mut others = Neighbours::of(&server).await;
    let code = ErrorCode::UserIdInvalid;
    let control_character = "line\nbreak".as_bytes();
    for name in [&[b'x'; 300][..], &[b'x'; 129], &[0xff, 0xfe], control_character] {
        let open = async |alice: &mut WireClient| {
            alice.open_stream().await.write_bytes(send_open(name)).await;
        };
        let expected = if name == [0xff, 0xfe] { ErrorCode::FrameMalformed } else { code };
        ends_connection(&server, &mut others, expected, "a peer", open).await;
    }
    let block = async |alice: &mut WireClient| {
        alice.open_stream().await.write_bytes(frame(0x38, &field(1, &[b'x'; 300]))).await;
    };
    ends_connection(&server, &mut others, code, "a user to block", block).await;
    let mut alice = server.connect("alice", 1).await;
    let longest = "x".repeat(128);
    alice.direct(&longest).await.send(&text("128 bytes are fine")).await;
    alice.ping().await;
}

// FUL-DGRAM-1, FUL-DGRAM-2, FUL-DGRAM-8
#[tokio::test]
async fn a_datagram_that_does_not_decode_ends_the_connection() {
    let server = TestServer::start().await;
    let mut others = Neighbours::of(&server).await;
    let code = ErrorCode::DatagramMalformed;
    let mut too_long = vec![0x50, 0x40];
    too_long.resize(1_001, 0);
    for (what, bytes) in [
        ("nothing", vec![]),
        ("an unknown critical type", vec![0x07, 1, 2, 3]),
        ("rubbish", vec![0x01, 0xff, 0xff]),
        ("of the server's", vec![0x03, 0x0a, 0x03, b'b', b'o', b'b', 0x10, 1, 0x18, 1]),
        ("offline", vec![0x01, 0x08, 1, 0x10, 3]),
        ("too long", too_long),
    ] {
        let send = async |alice: &mut WireClient| alice.connection().send_datagram(bytes);
        ends_connection(&server, &mut others, code, what, send).await;
    }
}
