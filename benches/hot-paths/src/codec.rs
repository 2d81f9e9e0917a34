//! The codec: what a message passes on its way from one client to another, both directions of each.

use std::hint::black_box;

use bytes::BytesMut;
use fulmar_protocol::{
    Accepted, BatchNumber, ClientSeq, Confirm, ConversationId, CursorUpdate, Datagram, DeviceId, DeviceTag,
    Entry, Frame, FrameDecoder, HedgedEntry, Ordinal, Send, Seq, TimestampMs, UserId, decode_entry_frame,
    encode_entry,
};
use fulmar_server::NodeHint;

use super::{BODY_BYTES, Case, Run, content};

/// Times that a thing is encoded or decoded in a run.
const OPERATIONS: u32 = 1_000;
/// Conversations of one `Confirm`.
const CONFIRMED: u64 = 4;

/// See the module.
pub(super) const CASES: [Case; 12] = [
    case("codec/encode_send", || encode(send())),
    case("codec/decode_send", || decode(&send())),
    case("codec/encode_accepted", || encode(accepted())),
    case("codec/decode_accepted", || decode(&accepted())),
    case("codec/encode_entry", || {
        let entry = entry();
        repeat(move || drop(black_box(encode_entry(black_box(&entry)))))
    }),
    // As the server reads its own rows, and as a client reads a lane.
    case("codec/decode_stored_entry", || {
        let frame = encode_entry(&entry());
        repeat(move || drop(black_box(decode_entry_frame(black_box(&frame)))))
    }),
    case("codec/decode_entry", || decode(&Frame::Entry(entry()))),
    case("codec/encode_confirm", || encode(confirm())),
    case("codec/decode_confirm", || decode(&confirm())),
    case("codec/encode_hedged_entry", || {
        let datagram = hedged_entry();
        repeat(move || drop(black_box(black_box(&datagram).encode())))
    }),
    case("codec/decode_hedged_entry", || {
        let encoded = hedged_entry().encode();
        repeat(move || drop(black_box(Datagram::decode(black_box(&encoded)))))
    }),
    // There and back: a node encodes a hint once for each node that is to know.
    case("codec/node_hint", || {
        let hint = NodeHint::new(content(BODY_BYTES)).expect("a hint");
        repeat(move || {
            let encoded = black_box(&hint).clone().encode().expect("a short hint");
            drop(black_box(NodeHint::decode(encoded).expect("the same hint")));
        })
    }),
];

const fn case(name: &'static str, prepare: fn() -> Run) -> Case {
    Case { name, operations: OPERATIONS, prepare, within: None }
}

fn repeat(mut once: impl FnMut() + 'static) -> Run {
    Box::new(move || (0..OPERATIONS).for_each(|_| once()))
}

/// Into a buffer that is written to a stream, as lanes do it.
fn encode(frame: Frame) -> Run {
    repeat(move || {
        let mut buffer = BytesMut::new();
        black_box(&frame).encode(&mut buffer);
        drop(black_box(buffer.freeze()));
    })
}

/// From a stream whose chunk holds the whole frame.
fn decode(frame: &Frame) -> Run {
    let chunk = frame.to_bytes();
    let mut decoder = FrameDecoder::new();
    repeat(move || {
        decoder.push(black_box(&chunk).clone());
        let frame = decoder.next_frame().expect("a good frame");
        drop(black_box(frame.expect("a whole frame")));
    })
}

fn send() -> Frame {
    Frame::Send(Send { client_seq: ClientSeq::new(1_000), content: content(BODY_BYTES) })
}

fn accepted() -> Frame {
    Frame::Accepted(Accepted { client_seq: ClientSeq::new(1_000), seq: Seq::new(2_000), at: at() })
}

fn confirm() -> Frame {
    let conversations = (0..CONFIRMED).map(|number| {
        let peer = UserId::parse(&format!("user-{number}")).expect("a user");
        let conversation_id = ConversationId::direct(&sender(), &peer);
        CursorUpdate { conversation_id, seq: Seq::new(2_000 + number), skipped: Vec::new() }
    });
    let cursors = conversations.collect();
    Frame::Confirm(Confirm { batch: BatchNumber::new(100), cursors, reads: Vec::new() })
}

fn entry() -> Entry {
    Entry {
        seq: Seq::new(2_000),
        ordinal: Ordinal::new(1_900),
        at: at(),
        sender: sender(),
        device_tag: DeviceTag::of(&DeviceId::new([1; 16])),
        client_seq: ClientSeq::new(1_000),
        content: content(BODY_BYTES),
    }
}

fn hedged_entry() -> Datagram {
    let conversation_id = ConversationId::direct(&sender(), &UserId::parse("user-0").expect("a user"));
    Datagram::HedgedEntry(HedgedEntry { conversation_id, entry: entry() })
}

fn sender() -> UserId {
    UserId::parse("somebody").expect("a user")
}

fn at() -> TimestampMs {
    TimestampMs::new(1_767_225_600_000)
}
