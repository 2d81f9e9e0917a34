//! Hex as the vectors write it: a long run of one byte is `(hh*n)`.

use data_encoding::HEXLOWER;
use serde_json::Value;

const RUN_BYTES_MIN: usize = 64;

pub(super) fn write(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|one, next| one == next);
    let written = runs.map(|run| match run.len() {
        length if length >= RUN_BYTES_MIN => format!("({:02x}*{length})", run[0]),
        _ => HEXLOWER.encode(run),
    });
    written.collect()
}

pub(super) fn read(mut text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((plain, rest)) = text.split_once('(') {
        bytes.extend(HEXLOWER.decode(plain.as_bytes()).unwrap());
        let (run, rest) = rest.split_once(')').unwrap();
        let (byte, times) = run.split_once('*').unwrap();
        bytes.extend(HEXLOWER.decode(byte.as_bytes()).unwrap().repeat(times.parse().unwrap()));
        text = rest;
    }
    bytes.extend(HEXLOWER.decode(text.as_bytes()).unwrap());
    bytes
}

/// Shortens runs in all hex of a JSON value.
pub(super) fn shorten_all(value: Value) -> Value {
    change_all(value, &|text| {
        HEXLOWER.decode(text.as_bytes()).map_or_else(|_| text.to_owned(), |bytes| write(&bytes))
    })
}

/// Writes runs in full.
pub(super) fn expand_all(value: Value) -> Value {
    change_all(value, &|text| if text.contains("*") { HEXLOWER.encode(&read(text)) } else { text.to_owned() })
}

fn change_all(value: Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(&text)),
        Value::Array(list) => list.into_iter().map(|item| change_all(item, change)).collect(),
        Value::Object(object) => {
            object.into_iter().map(|(key, item)| (key, change_all(item, change))).collect()
        }
        other => other,
    }
}
