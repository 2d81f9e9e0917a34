//! A case: a value, or bytes that are none, and what the vector says about it.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use fulmar_protocol::{
    Content, Datagram, DatagramType, ErrorCode, Frame, FrameDecoder, FrameType, IGNORABLE_FROM,
};
use serde_json::{Value, json};

use super::hex;
use crate::schema::{Part, Schema};

/// What some bytes are decoded to: their encoding by the code under test, the name of the message, and its
/// payload; `None` where they are to be ignored.
pub(super) type Answer = Result<Option<(Vec<u8>, String, Vec<u8>)>, ErrorCode>;

pub(super) type Check = fn(&[u8]) -> Answer;

pub(super) struct Case {
    name: String,
    doc: String,
    bytes: Vec<u8>,
    head: Head,
    check: Check,
    canonical: bool,
    expect: Expect,
}

/// What a receiver makes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Valid,
    Ignored,
    Invalid(ErrorCode),
}

/// What stands before the payload.
#[derive(Clone, Copy)]
pub(super) enum Head {
    TypeAndLength,
    Type,
    Nothing,
}

pub(super) fn check_frame(bytes: &[u8]) -> Answer {
    let mut decoder = FrameDecoder::new();
    decoder.push(Bytes::copy_from_slice(bytes));
    let frame = decoder.next_frame().and_then(|frame| decoder.finish().map(|()| frame));
    let Some(frame) = frame.map_err(|error| error.code())? else { return Ok(None) };
    let again = frame.to_bytes().to_vec();
    let (_, payload) = split(Head::TypeAndLength, &again);
    let payload = payload.to_vec();
    Ok(Some((again, frame.frame_type().name().to_owned(), payload)))
}

pub(super) fn check_datagram(bytes: &[u8]) -> Answer {
    let Some(datagram) = Datagram::decode(bytes).map_err(|error| error.code())? else { return Ok(None) };
    let again = datagram.encode().to_vec();
    let (_, payload) = split(Head::Type, &again);
    let payload = payload.to_vec();
    Ok(Some((again, datagram.datagram_type().name().to_owned(), payload)))
}

pub(super) fn check_content(bytes: &[u8]) -> Answer {
    let content = Content::decode(&Bytes::copy_from_slice(bytes)).map_err(|error| error.code())?;
    let again = content.encode().to_vec();
    Ok(Some((again.clone(), "Content".to_owned(), again)))
}

impl Case {
    pub(super) fn frame(name: &str, frame: &Frame) -> Self {
        Self::of(name, frame.to_bytes().to_vec(), Head::TypeAndLength)
    }

    pub(super) fn datagram(name: &str, datagram: &Datagram) -> Self {
        Self::of(name, datagram.encode().to_vec(), Head::Type)
    }

    pub(super) fn content(name: &str, content: &Content) -> Self {
        Self::of(name, content.encode().to_vec(), Head::Nothing)
    }

    /// Bytes as they are.
    pub(super) fn of(name: &str, bytes: Vec<u8>, head: Head) -> Self {
        let check = match head {
            Head::TypeAndLength => check_frame,
            Head::Type => check_datagram,
            Head::Nothing => check_content,
        };
        Self {
            name: name.to_owned(),
            doc: String::new(),
            bytes,
            head,
            check,
            canonical: true,
            expect: Expect::Valid,
        }
    }

    /// The payload that a JSON object stands for, whether it is valid or not.
    pub(super) fn of_fields(schema: &Schema, message: &str, name: &str, fields: &Value, head: Head) -> Self {
        Self::of(name, with_head(head, message, &schema.to_bytes(message, fields)), head)
    }

    pub(super) fn because(mut self, doc: &str) -> Self {
        doc.clone_into(&mut self.doc);
        self
    }

    pub(super) fn ignored(mut self, doc: &str) -> Self {
        self.expect = Expect::Ignored;
        self.because(doc)
    }

    pub(super) fn invalid(mut self, code: ErrorCode, doc: &str) -> Self {
        self.expect = Expect::Invalid(code);
        self.because(doc)
    }

    pub(super) fn not_canonical(mut self) -> Self {
        self.canonical = false;
        self
    }

    /// The vector. The code under test must agree with what the case expects.
    pub(super) fn to_vector(&self, schema: &Schema) -> Value {
        let runs = self.explain(schema).into_iter().map(|(run, says)| format!("{run}  {says}"));
        let mut vector = json!({
            "name": self.name,
            "hex": hex::write(&self.bytes),
            "bytes": runs.collect::<Vec<_>>(),
        });
        if !self.doc.is_empty() {
            vector["doc"] = json!(self.doc);
        }
        let found = match (self.check)(&self.bytes) {
            Ok(Some((_, message, payload))) => {
                vector["expect"] = json!("valid");
                vector["type"] = json!(message);
                vector["fields"] = hex::shorten_all(schema.to_json(&message, &payload));
                vector["canonical"] = json!(self.canonical);
                Expect::Valid
            }
            Ok(None) => {
                vector["expect"] = json!("ignored");
                Expect::Ignored
            }
            Err(code) => {
                vector["expect"] = json!("invalid");
                vector["error"] = json!(code.name());
                Expect::Invalid(code)
            }
        };
        assert_eq!(found, self.expect, "{}", self.name);
        vector
    }

    fn explain(&self, schema: &Schema) -> Vec<Part> {
        let (head, payload) = split(self.head, &self.bytes);
        let mut parts: Vec<Part> =
            head.iter().map(|(bytes, says)| (HEXLOWER.encode(bytes), says.clone())).collect();
        let message = match self.head {
            Head::Nothing => Some("Content"),
            Head::Type => {
                known(&DatagramType::ALL.iter().map(|t| (t.number(), t.name())).collect::<Vec<_>>(), &head)
            }
            Head::TypeAndLength => {
                known(&FrameType::ALL.iter().map(|t| (t.number(), t.name())).collect::<Vec<_>>(), &head)
            }
        };
        let mut fields = Vec::new();
        match message.filter(|message| schema.try_explain(message, payload, &mut fields)) {
            Some(_) => parts.append(&mut fields),
            None if payload.is_empty() => {}
            None => parts.push((HEXLOWER.encode(payload), "the rest".to_owned())),
        }
        parts
            .into_iter()
            .map(|(run, says)| (hex::write(&HEXLOWER.decode(run.as_bytes()).unwrap()), says))
            .collect()
    }
}

type HeadRuns<'bytes> = Vec<(&'bytes [u8], String)>;

/// The name of the type that a head begins with.
fn known(types: &[(u64, &'static str)], head: &HeadRuns<'_>) -> Option<&'static str> {
    let number = read_varint(head.first()?.0)?.0;
    types.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// Splits what stands before the payload into runs.
fn split(head: Head, bytes: &[u8]) -> (HeadRuns<'_>, &[u8]) {
    let mut runs = Vec::new();
    let mut rest = bytes;
    let names: &[&str] = match head {
        Head::TypeAndLength => &["type", "length"],
        Head::Type => &["type"],
        Head::Nothing => &[],
    };
    for name in names {
        let Some((number, length)) = read_varint(rest) else { break };
        let (run, after) = rest.split_at(length);
        runs.push((
            run,
            if *name == "type" {
                format!("type {number:#04x}{}", range(number))
            } else {
                format!("length {number}")
            },
        ));
        rest = after;
    }
    (runs, rest)
}

fn range(number: u64) -> &'static str {
    if number >= IGNORABLE_FROM { ", which may be ignored" } else { "" }
}

fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let length = 1 << (bytes.first()? >> 6);
    let number = bytes.get(..length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let bits = 8 * length as u32 - 2;
    Some((number & ((1 << bits) - 1), length))
}

/// A number as the shortest varint.
pub(super) fn varint(number: u64) -> Vec<u8> {
    match number {
        0..64 => vec![number as u8],
        64..16_384 => (number as u16 | 0x4000).to_be_bytes().to_vec(),
        _ => (number as u32 | 0x8000_0000).to_be_bytes().to_vec(),
    }
}

/// A payload with the head that its message has.
pub(super) fn with_head(head: Head, message: &str, payload: &[u8]) -> Vec<u8> {
    let frames = FrameType::ALL.iter().map(|t| (t.number(), t.name()));
    let datagrams = DatagramType::ALL.iter().map(|t| (t.number(), t.name()));
    let numbered = |(number, name): (u64, &str)| (name == message).then(|| varint(number));
    match head {
        Head::Nothing => payload.to_vec(),
        Head::Type => [&*datagrams.into_iter().find_map(numbered).unwrap(), payload].concat(),
        Head::TypeAndLength => {
            let number = frames.into_iter().find_map(numbered).unwrap();
            [&*number, &varint(payload.len() as u64), payload].concat()
        }
    }
}

/// `HistoryEnd` as `history_end`.
pub(super) fn snake_case(name: &str) -> String {
    let words = name.chars().flat_map(|character| {
        let gap = character.is_ascii_uppercase().then_some('_');
        gap.into_iter().chain([character.to_ascii_lowercase()])
    });
    words.skip(1).collect()
}
