//! What holds for every frame, datagram and content: it survives its encoding, its length is exact, and no
//! bytes make the decoder panic or keep more than came.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use fulmar_protocol::{
    Content, Datagram, Entry, Frame, FrameDecoder, FrameError, FrameType, IGNORABLE_FROM, decode_entry_frame,
    encode_entry, encode_grease_datagram, encode_grease_frame, limits,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::values;

/// About 64 of each frame.
fn config() -> Config {
    Config { cases: 2_112, failure_persistence: None, ..Config::default() }
}

/// Decodes a whole stream that comes in pieces.
fn decode_stream(pieces: impl IntoIterator<Item = Bytes>) -> Result<Vec<Frame>, FrameError> {
    let mut decoder = FrameDecoder::new();
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
    }
    decoder.finish()?;
    Ok(frames)
}

/// Cuts bytes at some places.
fn pieces(bytes: &Bytes, cuts: &[Index]) -> Vec<Bytes> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| bytes.slice(pair[0]..pair[1])).collect()
}

/// A frame's header: type and length, with the bytes that they claim.
fn frame_with(frame_type: FrameType, payload: &[u8]) -> Bytes {
    let number = u8::try_from(frame_type.number()).unwrap();
    let length = u16::try_from(payload.len()).unwrap() | 0x4000;
    [&[number][..], &length.to_be_bytes(), payload].concat().into()
}

#[test]
fn the_strategies_make_every_frame() {
    let mut runner = TestRunner::deterministic();
    let types = (0..2_000).map(|_| values::frame().new_tree(&mut runner).unwrap().current().frame_type());
    assert_eq!(types.collect::<HashSet<_>>().len(), FrameType::ALL.len());
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_frame_survives_its_encoding_in_any_pieces(
        frame in values::frame(),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let bytes = frame.to_bytes();
        prop_assert_eq!(decode_stream(pieces(&bytes, &cuts)), Ok(vec![frame]));
    }

    #[test]
    fn the_length_of_a_frame_is_exact(frame in values::frame(), cut in any::<Index>()) {
        let bytes = frame.to_bytes();
        let cut = cut.index(bytes.len());
        let expected = if cut == 0 { Ok(vec![]) } else { Err(FrameError::Truncated) };
        prop_assert_eq!(decode_stream([bytes.slice(..cut)]), expected);

        let mut twice = BytesMut::new();
        frame.encode(&mut twice);
        frame.encode(&mut twice);
        prop_assert_eq!(decode_stream([twice.freeze()]), Ok(vec![frame.clone(), frame]));
    }

    #[test]
    fn no_payload_makes_the_decoder_panic(
        number in 0..FrameType::ALL.len(),
        payload in vec(any::<u8>(), 0..300),
    ) {
        let frame_type = FrameType::ALL[number];
        if let Ok(frames) = decode_stream([frame_with(frame_type, &payload)]) {
            prop_assert_eq!(frames[0].frame_type(), frame_type);
        }
    }

    #[test]
    fn no_damage_to_a_frame_makes_the_decoder_panic(
        frame in values::frame(),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = frame.to_bytes().to_vec();
        damage.iter().for_each(|(place, byte)| bytes[place.index(frame.to_bytes().len())] = *byte);
        if let Ok(frames) = decode_stream([Bytes::from(bytes)]) {
            // Whatever it now says can be said again.
            let again: BytesMut = frames.iter().flat_map(|frame| frame.to_bytes()).collect();
            prop_assert_eq!(decode_stream([again.freeze()]), Ok(frames));
        }
    }

    #[test]
    fn no_stream_makes_the_decoder_panic_or_keep_more_than_came(
        stream in vec(vec(any::<u8>(), 0..40), 0..8),
    ) {
        let mut decoder = FrameDecoder::new();
        let mut came = 0;
        for piece in stream {
            came += piece.len();
            decoder.push(piece.into());
            while let Ok(Some(_)) = decoder.next_frame() {}
            prop_assert!(decoder.buffered_bytes() <= came);
        }
        let _ = decoder.finish();
    }

    #[test]
    fn frames_that_may_be_ignored_are_passed_over(
        frame in values::frame(),
        n: u32,
        payload in vec(any::<u8>(), 0..100),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let mut stream = BytesMut::new();
        encode_grease_frame(n, &payload, &mut stream);
        frame.encode(&mut stream);
        encode_grease_frame(n, &payload, &mut stream);
        prop_assert_eq!(decode_stream(pieces(&stream.freeze(), &cuts)), Ok(vec![frame]));
    }

    #[test]
    fn an_entry_survives_the_frame_that_the_store_keeps(
        entry in values::entry(),
        extra in vec(any::<u8>(), 1..4),
    ) {
        let frame = encode_entry(&entry);
        prop_assert_eq!(&frame, &Frame::Entry(entry.clone()).to_bytes());
        prop_assert_eq!(decode_entry_frame(&frame), Ok(entry));
        prop_assert_eq!(decode_entry_frame(&frame.slice(..frame.len() - 1)), Err(FrameError::Truncated));
        let trailing: Bytes = [&frame[..], &extra[..]].concat().into();
        prop_assert_eq!(decode_entry_frame(&trailing), Err(FrameError::Trailing { bytes: extra.len() }));
    }

    #[test]
    fn a_datagram_survives_its_encoding(datagram in values::datagram()) {
        let bytes = datagram.encode();
        prop_assert!(bytes.len() <= limits::DATAGRAM_BYTES_MAX);
        prop_assert_eq!(Datagram::decode(&bytes), Ok(Some(datagram)));
    }

    #[test]
    fn no_datagram_makes_the_decoder_panic(bytes in vec(any::<u8>(), 0..80), number in 1_u8..5) {
        let _ = Datagram::decode(&bytes);
        let _ = Datagram::decode(&[&[number][..], &bytes].concat());
    }

    #[test]
    fn datagrams_that_may_be_ignored_are(n: u32, payload in vec(any::<u8>(), 0..100)) {
        prop_assert_eq!(Datagram::decode(&encode_grease_datagram(n, &payload)), Ok(None));
    }

    #[test]
    fn a_content_survives_its_encoding(content in values::content()) {
        prop_assert_eq!(Content::decode(&content.encode()), Ok(content.clone()));
        prop_assert_eq!(content.check(), Ok(()));
    }

    #[test]
    fn no_content_makes_the_decoder_panic(
        bytes in vec(any::<u8>(), 0..200),
        content in values::content(),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let _ = Content::decode(&Bytes::from(bytes));
        let mut damaged = content.encode().to_vec();
        let length = damaged.len();
        damage.iter().for_each(|(place, byte)| damaged[place.index(length)] = *byte);
        let _ = Content::decode(&Bytes::from(damaged));
    }
}

#[test]
fn a_length_over_the_limit_is_refused_before_anything_is_kept() {
    for frame_type in FrameType::ALL {
        let bytes_max = frame_type.payload_bytes_max();
        let mut decoder = FrameDecoder::new();
        let number = u8::try_from(frame_type.number()).unwrap();
        let length = (u32::try_from(bytes_max).unwrap() + 1) | 0x8000_0000;
        decoder.push([&[number][..], &length.to_be_bytes(), b"more"].concat().into());
        let too_long = FrameError::TooLong { number: number.into(), bytes: bytes_max as u64 + 1, bytes_max };
        assert_eq!(decoder.next_frame(), Err(too_long.clone()));
        decoder.push(Bytes::from_static(b"and more"));
        assert_eq!(decoder.buffered_bytes(), 0);
        assert_eq!((decoder.next_frame(), decoder.finish()), (Err(too_long.clone()), Err(too_long)));
    }
}

#[test]
fn the_largest_length_that_can_be_claimed_costs_nothing() {
    let mut decoder = FrameDecoder::new();
    decoder.push(Bytes::from_static(&[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    assert!(matches!(decoder.next_frame(), Err(FrameError::TooLong { bytes, .. }) if bytes == (1 << 62) - 1));
}

#[test]
fn an_unknown_critical_type_is_refused_at_its_last_byte() {
    let mut decoder = FrameDecoder::new();
    decoder.push(Bytes::from_static(&[0x4f]));
    assert_eq!(decoder.next_frame(), Ok(None));
    decoder.push(Bytes::from_static(&[0xff]));
    assert_eq!(decoder.next_frame(), Err(FrameError::UnknownCritical { number: IGNORABLE_FROM - 1 }));
}

#[test]
fn before_authentication_no_frame_is_longer_than_a_hello() {
    let mut decoder = FrameDecoder::before_authentication();
    decoder.push(Bytes::from_static(&[0x21, 0x80, 0x00, 0x20, 0x01]));
    assert!(matches!(decoder.next_frame(), Err(FrameError::TooLong { bytes: 8_193, bytes_max: 8_192, .. })));
}

#[test]
fn a_payload_within_one_chunk_is_sliced_and_not_copied() {
    let entry = Entry {
        content: Bytes::from(vec![7; 1_000]),
        ..values::entry().new_tree(&mut TestRunner::deterministic()).unwrap().current()
    };
    let chunk = encode_entry(&entry);
    let mut decoder = FrameDecoder::new();
    decoder.push(chunk.clone());
    let Ok(Some(Frame::Entry(decoded))) = decoder.next_frame() else { panic!("an entry was encoded") };
    assert_eq!(decoded.content, entry.content);
    assert!(chunk.as_ptr_range().contains(&decoded.content.as_ptr()));
}

#[test]
fn after_a_malformed_payload_the_decoder_stands_behind_the_frame() {
    let mut decoder = FrameDecoder::new();
    decoder.push(frame_with(FrameType::Hello, &[0x07]));
    decoder.push(frame_with(FrameType::Done, &[]));
    assert!(matches!(decoder.next_frame(), Err(FrameError::Malformed { frame: FrameType::Hello, .. })));
    assert_eq!(
        decoder.next_frame().map(|frame| frame.map(|frame| frame.frame_type())),
        Ok(Some(FrameType::Done))
    );
}
