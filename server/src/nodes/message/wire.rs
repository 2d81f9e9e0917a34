//! The generated protobuf messages. Private: the rest of the server sees domain types.
#![allow(missing_docs, unreachable_pub, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/fulmar.node.v1.rs"));
