//! What is computed with SHA-256: the ids of conversations, device tags, hashes of contents.

use data_encoding::HEXLOWER;
use fulmar_protocol::{BodyHash, ConversationId, DeviceId, DeviceTag, GroupNonce};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::frames::user;

pub(super) fn vectors() -> Vec<Value> {
    let mut vectors = Vec::new();
    for (name, one, other) in [
        ("direct_conversation", "alice", "bob"),
        ("direct_conversation_the_other_way_round", "bob", "alice"),
        ("direct_conversation_with_oneself", "alice", "alice"),
        ("direct_conversation_in_byte_order", "Zoë", "anna"),
        ("direct_conversation_prefix", "a", "ab"),
    ] {
        let (low, high) = if one.as_bytes() <= other.as_bytes() { (one, other) } else { (other, one) };
        let hashed = with_lengths(&[b"fulmar/1 direct conversation", low.as_bytes(), high.as_bytes()]);
        let result = ConversationId::direct(&user(one), &user(other));
        let doc = "01, then the first 15 bytes of the hash over the domain and both user ids in byte order";
        vectors.push(vector(name, doc, json!({"users": [one, other]}), &hashed, &[1], 15, result.as_bytes()));
    }
    let nonce = *b"0123456789abcdef";
    for (name, creator) in [("group_conversation", "alice"), ("group_conversation_of_another", "bob")] {
        let hashed = with_lengths(&[b"fulmar/1 group conversation", creator.as_bytes(), &nonce]);
        let result = ConversationId::group(&user(creator), &GroupNonce::new(nonce));
        let doc = "02, then the first 15 bytes of the hash over the domain, the creator and the nonce";
        let inputs = json!({"creator": creator, "nonce": HEXLOWER.encode(&nonce)});
        vectors.push(vector(name, doc, inputs, &hashed, &[2], 15, result.as_bytes()));
    }
    let device = [0xd1; 16];
    let hashed = [&with_lengths(&[b"fulmar/1 device tag"])[..], &device].concat();
    let result = DeviceTag::of(&DeviceId::new(device));
    let doc =
        "the first 8 bytes of the hash over the domain and the device id, which has no length before it";
    let inputs = json!({"device_id": HEXLOWER.encode(&device)});
    vectors.push(vector("device_tag", doc, inputs, &hashed, &[], 8, result.as_bytes()));

    let content = b"\x62\x00";
    let doc = "the first 8 bytes of the hash over the encoded content alone";
    let inputs = json!({"content": HEXLOWER.encode(content)});
    vectors.push(vector("body_hash", doc, inputs, content, &[], 8, BodyHash::of(content).as_bytes()));
    vectors
}

/// Parts, each with its length (u16, big-endian) before it.
fn with_lengths(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&(part.len() as u16).to_be_bytes()[..], part].concat()).collect()
}

/// A vector, for which the hash was computed here without the code under test.
fn vector(
    name: &str,
    doc: &str,
    inputs: Value,
    hashed: &[u8],
    start: &[u8],
    taken: usize,
    result: &[u8],
) -> Value {
    let expected = [start, &Sha256::digest(hashed)[..taken]].concat();
    assert_eq!(result, expected, "{name}");
    json!({
        "name": name,
        "doc": doc,
        "inputs": inputs,
        "hashed": HEXLOWER.encode(hashed),
        "result": HEXLOWER.encode(result),
    })
}
