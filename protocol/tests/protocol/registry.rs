//! `spec/registry.toml` and the code say the same, in both directions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fulmar_protocol::{
    ALPN, ConversationId, DatagramType, DeviceId, DeviceTag, ErrorCode, ErrorScope, Extensions, FrameType,
    GREASE_BASE, GREASE_STEP, GroupNonce, IGNORABLE_FROM, Retry, Sender, StreamKind, UserId, grease_type,
    limits,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::schema::Schema;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    alpn: String,
    schema: String,
    ranges: Ranges,
    domains: BTreeMap<String, String>,
    limits: BTreeMap<String, u64>,
    frame: Vec<FrameRow>,
    datagram: Vec<DatagramRow>,
    extension: Vec<ExtensionRow>,
    error: Vec<ErrorRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ranges {
    ignorable_from: u64,
    grease_base: u64,
    grease_step: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameRow {
    r#type: u64,
    name: String,
    sender: String,
    stream: Vec<String>,
    replay_safe: bool,
    #[serde(rename = "doc")]
    _doc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DatagramRow {
    r#type: u64,
    name: String,
    sender: String,
    replay_safe: bool,
    #[serde(rename = "doc")]
    _doc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtensionRow {
    number: u32,
    name: String,
    #[serde(rename = "doc")]
    _doc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorRow {
    code: u32,
    name: String,
    scope: Vec<String>,
    retry: String,
    #[serde(rename = "doc")]
    _doc: String,
}

fn registry() -> Registry {
    toml::from_str(include_str!("../../../spec/registry.toml")).unwrap()
}

fn sender(sender: Sender) -> &'static str {
    match sender {
        Sender::Client => "client",
        Sender::Server => "server",
    }
}

#[test]
fn every_frame_of_the_registry_is_in_the_code_and_the_other_way_round() {
    let rows = registry().frame;
    assert_eq!(rows.len(), FrameType::ALL.len());
    for (row, frame) in rows.iter().zip(FrameType::ALL) {
        assert_eq!(row.name, frame.name());
        assert_eq!(row.r#type, frame.number(), "{frame}");
        assert_eq!(FrameType::from_number(row.r#type), Some(*frame));
        assert_eq!(row.sender, sender(frame.sender()), "{frame}");
        assert_eq!(row.replay_safe, frame.replay_safe(), "{frame}");
        let streams: Vec<&str> = frame.streams().iter().map(|stream| stream_name(*stream)).collect();
        assert_eq!(row.stream, streams, "{frame}");
        assert!(row.r#type < IGNORABLE_FROM, "{frame} is critical");
    }
}

fn stream_name(stream: StreamKind) -> &'static str {
    match stream {
        StreamKind::Control => "control",
        StreamKind::SendLane => "send lane",
        StreamKind::LogLane => "log lane",
        StreamKind::Request => "request",
    }
}

#[test]
fn every_datagram_of_the_registry_is_in_the_code_and_the_other_way_round() {
    let rows = registry().datagram;
    assert_eq!(rows.len(), DatagramType::ALL.len());
    for (row, datagram) in rows.iter().zip(DatagramType::ALL) {
        assert_eq!((row.name.as_str(), row.r#type), (datagram.name(), datagram.number()));
        assert_eq!(row.sender, sender(datagram.sender()));
        assert_eq!(row.replay_safe, datagram.replay_safe());
    }
}

#[test]
fn every_extension_of_the_registry_is_in_the_code_and_the_other_way_round() {
    let rows = registry().extension;
    assert_eq!(rows.len(), Extensions::ALL.len());
    for (row, (extension, name)) in rows.iter().zip(Extensions::ALL) {
        assert_eq!((row.name.as_str(), 1 << (row.number - 1)), (*name, extension.bits()));
    }
}

#[test]
fn every_error_of_the_registry_is_in_the_code_and_the_other_way_round() {
    let rows = registry().error;
    assert_eq!(rows.len(), ErrorCode::ALL.len());
    for (row, error) in rows.iter().zip(ErrorCode::ALL) {
        assert_eq!((row.name.as_str(), row.code), (error.name(), error.code()));
        assert_eq!(ErrorCode::from_code(row.code), Some(*error));
        assert_eq!(ErrorCode::from(row.code), *error);
        let retry = match error.retry() {
            Retry::Never => "never",
            Retry::Now => "now",
            Retry::Later => "later",
        };
        assert_eq!(row.retry, retry, "{error}");
        let scope: Vec<&str> = error.scope().iter().map(|scope| scope_name(*scope)).collect();
        assert_eq!(row.scope, scope, "{error}");
    }
}

fn scope_name(scope: ErrorScope) -> &'static str {
    match scope {
        ErrorScope::Connection => "connection",
        ErrorScope::Request => "request",
        ErrorScope::Lane => "lane",
        ErrorScope::Send => "send",
    }
}

#[test]
fn no_number_stands_twice_or_for_a_reserved_one() {
    let registry = registry();
    let grease: BTreeSet<u64> = (0..10_000).map(grease_type).collect();
    let frames: Vec<u64> = registry.frame.iter().map(|row| row.r#type).collect();
    let datagrams: Vec<u64> = registry.datagram.iter().map(|row| row.r#type).collect();
    let errors: Vec<u64> = registry.error.iter().map(|row| u64::from(row.code)).collect();
    for numbers in [frames, datagrams, errors] {
        let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len());
        assert!(distinct.is_disjoint(&grease));
    }
    assert!(grease.iter().all(|number| *number >= IGNORABLE_FROM));
}

#[test]
fn every_limit_of_the_registry_is_in_the_code_and_the_other_way_round() {
    let registry: BTreeMap<String, u64> = registry().limits;
    let in_code: BTreeMap<String, u64> =
        limits_in_code().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(registry, in_code);

    // And the list below leaves out none of the constants.
    let constants =
        include_str!("../../src/limits.rs").lines().filter_map(|line| line.strip_prefix("pub const "));
    let constants: BTreeSet<String> = constants
        .map(|line| {
            let (name, rest) = line.split_once(':').unwrap();
            let unit = if rest.trim_start().starts_with("Duration") { "_ms" } else { "" };
            name.to_lowercase() + unit
        })
        .collect();
    assert_eq!(constants, in_code.into_keys().collect());
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

fn limits_in_code() -> Vec<(&'static str, u64)> {
    let sizes = [
        ("frame_payload_bytes_max", limits::FRAME_PAYLOAD_BYTES_MAX),
        ("hello_payload_bytes_max", limits::HELLO_PAYLOAD_BYTES_MAX),
        ("datagram_bytes_max", limits::DATAGRAM_BYTES_MAX),
        ("user_id_bytes_max", limits::USER_ID_BYTES_MAX),
        ("device_id_bytes", limits::DEVICE_ID_BYTES),
        ("conversation_id_bytes", limits::CONVERSATION_ID_BYTES),
        ("content_bytes_max", limits::CONTENT_BYTES_MAX),
        ("body_bytes_max", limits::BODY_BYTES_MAX),
        ("content_type_bytes_max", limits::CONTENT_TYPE_BYTES_MAX),
        ("reaction_bytes_max", limits::REACTION_BYTES_MAX),
        ("title_bytes_max", limits::TITLE_BYTES_MAX),
        ("server_address_bytes_max", limits::SERVER_ADDRESS_BYTES_MAX),
        ("go_away_addresses_max", limits::GO_AWAY_ADDRESSES_MAX),
        ("users_per_change_max", limits::USERS_PER_CHANGE_MAX),
        ("unanswered_sends_max", limits::UNANSWERED_SENDS_MAX),
        ("confirm_conversations_max", limits::CONFIRM_CONVERSATIONS_MAX),
        ("skipped_ranges_max", limits::SKIPPED_RANGES_MAX),
        ("watched_conversations_max", limits::WATCHED_CONVERSATIONS_MAX),
        ("backlog_entries_max", limits::BACKLOG_ENTRIES_MAX),
        ("history_entries_max", limits::HISTORY_ENTRIES_MAX),
        ("inbox_items_max", limits::INBOX_ITEMS_MAX),
        ("roster_members_per_frame_max", limits::ROSTER_MEMBERS_PER_FRAME_MAX),
        ("fan_out_members_max", limits::FAN_OUT_MEMBERS_MAX),
        ("first_flight_streams_max", limits::FIRST_FLIGHT_STREAMS_MAX),
        ("first_flight_bytes_max", limits::FIRST_FLIGHT_BYTES_MAX),
        ("bidirectional_streams_max", limits::BIDIRECTIONAL_STREAMS_MAX),
        ("unidirectional_streams_max", limits::UNIDIRECTIONAL_STREAMS_MAX),
        ("datagrams_per_second_max", limits::DATAGRAMS_PER_SECOND_MAX),
        ("hedged_frame_bytes_max", limits::HEDGED_FRAME_BYTES_MAX),
    ];
    let times = [
        ("hello_timeout_ms", limits::HELLO_TIMEOUT),
        ("presence_ttl_ms", limits::PRESENCE_TTL),
        ("presence_renew_ms", limits::PRESENCE_RENEW),
        ("offline_after_ms", limits::OFFLINE_AFTER),
        ("away_after_goodbye_ms", limits::AWAY_AFTER_GOODBYE),
        ("typing_ttl_ms", limits::TYPING_TTL),
        ("typing_renew_ms", limits::TYPING_RENEW),
        ("hedge_delay_min_ms", limits::HEDGE_DELAY_MIN),
        ("hedge_delay_max_ms", limits::HEDGE_DELAY_MAX),
    ];
    let sizes = sizes.into_iter().map(|(name, size)| (name, size as u64));
    sizes.chain(times.into_iter().map(|(name, time)| (name, millis(time)))).collect()
}

#[test]
fn ranges_and_names_are_those_of_the_registry() {
    let registry = registry();
    assert_eq!(registry.alpn.as_bytes(), ALPN);
    assert_eq!(registry.schema, "fulmar.proto");
    assert_eq!(registry.ranges.ignorable_from, IGNORABLE_FROM);
    assert_eq!(registry.ranges.grease_base, GREASE_BASE);
    assert_eq!(registry.ranges.grease_step, GREASE_STEP);
    assert_eq!(grease_type(2), GREASE_BASE + 2 * GREASE_STEP);
    assert_eq!(limits::CONVERSATION_ID_BYTES, ConversationId::LENGTH);
    assert_eq!(limits::DEVICE_ID_BYTES, DeviceId::LENGTH);
}

/// SHA-256 over parts, each with its length (u16, big-endian) before it.
fn digest(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
        bytes.extend(*part);
    }
    Sha256::digest(bytes).to_vec()
}

#[test]
fn ids_are_derived_with_the_domains_of_the_registry() {
    let domains = registry().domains;
    assert_eq!(domains.len(), 3);
    let (alice, bob) = (UserId::parse("alice").unwrap(), UserId::parse("bob").unwrap());

    let direct = digest(&[domains["direct_conversation"].as_bytes(), b"alice", b"bob"]);
    assert_eq!(ConversationId::direct(&bob, &alice).as_bytes()[1..], direct[..15]);
    assert_eq!(ConversationId::direct(&bob, &alice).as_bytes()[0], 1);

    let group = digest(&[domains["group_conversation"].as_bytes(), b"alice", &[5; 16]]);
    assert_eq!(ConversationId::group(&alice, &GroupNonce::new([5; 16])).as_bytes()[1..], group[..15]);

    let domain = domains["device_tag"].as_bytes();
    let mut bytes = u16::try_from(domain.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(domain);
    bytes.extend([9; 16]);
    assert_eq!(DeviceTag::of(&DeviceId::new([9; 16])).as_bytes()[..], Sha256::digest(bytes)[..8]);
}

#[test]
fn every_frame_and_datagram_has_its_message_and_no_message_is_left_over() {
    let (registry, schema) = (registry(), Schema::read());
    let frames = registry.frame.iter().map(|row| row.name.as_str());
    let mut used: BTreeSet<&str> =
        frames.chain(registry.datagram.iter().map(|row| row.name.as_str())).collect();
    used.insert("Content"); // inside Send and Entry, as bytes
    for name in &used {
        assert!(schema.messages.contains_key(*name), "the schema lacks {name}");
    }
    let parts = schema.messages.values().flatten().map(|field| field.kind.as_str());
    used.extend(parts.filter(|kind| schema.messages.contains_key(*kind)));
    let left_over: Vec<&String> =
        schema.messages.keys().filter(|name| !used.contains(name.as_str())).collect();
    assert_eq!(left_over, Vec::<&String>::new());
}
