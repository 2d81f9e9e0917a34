//! The generated protobuf messages. Private to the crate: the rest of the world sees domain types.
#![allow(missing_docs, unreachable_pub, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/fulmar.v1.rs"));
