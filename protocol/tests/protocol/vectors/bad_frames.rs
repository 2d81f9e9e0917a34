//! The cases of frames that are refused, each for one reason.

use fulmar_protocol::{ErrorCode, Frame, FrameType};

use super::bad_fields;
use super::cases::{Case, Head, snake_case};
use crate::schema::Schema;

/// What is refused; for each frame at least one that is cut and one that is rubbish.
pub(super) fn cases(schema: &Schema, valid: &[(&str, Frame)]) -> Vec<Case> {
    let mut cases: Vec<Case> =
        FrameType::ALL.iter().flat_map(|frame_type| rubbish(*frame_type, valid)).collect();
    cases.extend(bad_headers());
    cases.extend(bad_fields::cases(schema));
    cases
}

/// What is no payload of any message, and a frame that ends early.
fn rubbish(frame_type: FrameType, valid: &[(&str, Frame)]) -> [Case; 2] {
    let name = snake_case(frame_type.name());
    let (_, frame) = valid.iter().find(|(_, frame)| frame.frame_type() == frame_type).unwrap();
    let bytes = frame.to_bytes();
    let cut = match bytes.len() {
        2 => vec![bytes[0]], // no payload: the length is missing
        length => bytes[..length - 1].to_vec(),
    };
    let number = u8::try_from(frame_type.number()).unwrap();
    [
        Case::of(&format!("{name}_cut"), cut, Head::TypeAndLength)
            .invalid(ErrorCode::FrameTruncated, "the stream ends inside the frame"),
        Case::of(&format!("{name}_rubbish"), vec![number, 2, 0x0f, 0xff], Head::TypeAndLength)
            .invalid(ErrorCode::FrameMalformed, "a field key with wire type 7, which protobuf does not have"),
    ]
}

fn bad_headers() -> Vec<Case> {
    let case = |code, name, bytes: &[u8], doc| {
        Case::of(name, bytes.to_vec(), Head::TypeAndLength).invalid(code, doc)
    };
    vec![
        case(
            ErrorCode::UnknownCriticalFrame,
            "unknown_critical_frame",
            &[0x3f, 0x00],
            "a type below 0x1000 that the receiver does not know",
        ),
        case(
            ErrorCode::UnknownCriticalFrame,
            "unknown_critical_frame_at_the_border",
            &[0x4f, 0xff, 0x00],
            "0xfff is the last critical type",
        ),
        case(
            ErrorCode::FrameTooLong,
            "frame_over_the_limit",
            &[0x21, 0x80, 0x01, 0x40, 0x01],
            "81,921 bytes: refused at the header, before any of the payload comes",
        ),
        case(
            ErrorCode::FrameTooLong,
            "hello_over_its_limit",
            &[0x01, 0x60, 0x01],
            "8,193 bytes, one more than a Hello may have",
        ),
        case(
            ErrorCode::FrameTooLong,
            "ignorable_frame_over_the_limit",
            &[0x50, 0x21, 0x80, 0x01, 0x40, 0x01],
            "what is skipped has the same limit",
        ),
        case(
            ErrorCode::FrameTooLong,
            "largest_length",
            &[0x21, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            "2^62 - 1 bytes",
        ),
    ]
}
