//! The test vectors in `spec/vectors`: made from the cases here, and checked against the code and,
//! independently of it, against the schema.
//!
//! To write the files anew after a change of the wire:
//! `cargo test -p fulmar-protocol --test protocol -- --ignored regenerate_vectors`

mod bad_fields;
mod bad_frames;
mod cases;
mod contents;
mod datagrams;
mod derivations;
mod frames;
mod hex;

use std::path::PathBuf;

use serde_json::{Value, json};

use self::cases::{Case, Check};
use crate::schema::Schema;

const HOW_TO_READ: &str = "hex is the whole thing, bytes the same run by run, each with what it says after two \
    spaces; (hh*n) stands for n times the byte hh. expect is valid (fields is what it holds, by the schema's \
    names: bytes in hex, enums by name, numbers above 2^53 as strings, absent fields left out), ignored, or \
    invalid (error is the registry's name for the code, doc says why). A valid vector with canonical false is \
    decoded to fields, but encoded otherwise.";

/// One file of vectors.
struct File {
    name: &'static str,
    about: &'static str,
    vectors: Vec<Value>,
}

fn files() -> Vec<File> {
    let schema = Schema::read();
    let vectors = |cases: Vec<Case>| cases.iter().map(|case| case.to_vector(&schema)).collect();
    vec![
        File {
            name: "frames.json",
            about: "Frames: type (varint), length (varint), payload. Behind an invalid one the stream ends.",
            vectors: vectors(frames::cases(&schema)),
        },
        File {
            name: "datagrams.json",
            about: "Datagrams: type (varint), payload.",
            vectors: vectors(datagrams::cases(&schema)),
        },
        File {
            name: "contents.json",
            about: "Contents: the message Content, as Send and Entry carry it.",
            vectors: vectors(contents::cases(&schema)),
        },
        File {
            name: "derivations.json",
            about: "What is computed with SHA-256. hashed is what goes in; result is what is taken of it.",
            vectors: derivations::vectors(),
        },
    ]
}

impl File {
    fn path(&self) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "..", "spec", "vectors", self.name].iter().collect()
    }

    fn to_json(&self) -> Value {
        json!({
            "about": self.about,
            "how_to_read": HOW_TO_READ,
            "regenerate": "cargo test -p fulmar-protocol --test protocol -- --ignored regenerate_vectors",
            "vectors": self.vectors,
        })
    }

    fn stored(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path()).expect("the file of vectors")).unwrap()
    }
}

#[test]
fn the_stored_vectors_are_those_of_the_code() {
    for file in files() {
        let (stored, made) = (file.stored(), file.to_json());
        let (stored_list, made_list) =
            (stored["vectors"].as_array().unwrap(), made["vectors"].as_array().unwrap());
        for (stored, made) in stored_list.iter().zip(made_list) {
            assert_eq!(stored, made, "{}: see the head of this file for how to write it anew", file.name);
        }
        assert_eq!(stored, made, "{}", file.name);
    }
}

#[test]
#[ignore = "writes spec/vectors"]
fn regenerate_vectors() {
    for file in files() {
        std::fs::create_dir_all(file.path().parent().unwrap()).unwrap();
        std::fs::write(file.path(), file.to_text()).unwrap();
    }
}

/// A vector's keys in the order in which they are read best.
const KEYS: [&str; 12] = [
    "name",
    "type",
    "doc",
    "inputs",
    "hashed",
    "result",
    "hex",
    "bytes",
    "expect",
    "error",
    "canonical",
    "fields",
];

impl File {
    fn to_text(&self) -> String {
        let made = self.to_json();
        let head = |key: &str| format!("  \"{key}\": {},\n", made[key]);
        let vectors = self.vectors.iter().map(|vector| {
            assert!(vector.as_object().unwrap().keys().all(|key| KEYS.contains(&key.as_str())));
            let lines = KEYS.iter().filter_map(|key| {
                let value = serde_json::to_string_pretty(vector.get(key)?).unwrap();
                Some(format!("      \"{key}\": {}", value.replace('\n', "\n      ")))
            });
            format!("    {{\n{}\n    }}", lines.collect::<Vec<_>>().join(",\n"))
        });
        let vectors = vectors.collect::<Vec<_>>().join(",\n");
        let heads = ["about", "how_to_read", "regenerate"].map(head).concat();
        format!("{{\n{heads}  \"vectors\": [\n{vectors}\n  ]\n}}\n")
    }
}

/// Goes through a stored file as an implementer in another language would.
fn check_stored(name: &str, check: Check) {
    let schema = Schema::read();
    let file = files().into_iter().find(|file| file.name == name).unwrap();
    for vector in file.stored()["vectors"].as_array().unwrap() {
        let what = &vector["name"];
        let bytes = hex::read(vector["hex"].as_str().unwrap());
        let parts = vector["bytes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run.as_str().unwrap().split_once("  ").unwrap().0);
        assert_eq!(parts.flat_map(hex::read).collect::<Vec<u8>>(), bytes, "{what}");
        let answer = check(&bytes);
        match vector["expect"].as_str().unwrap() {
            "valid" => {
                let (again, message, payload) = answer.unwrap().expect("not ignored");
                if vector["canonical"].as_bool().unwrap() {
                    assert_eq!(again, bytes, "{what}: encoded as it was decoded");
                }
                assert_eq!(hex::shorten_all(schema.to_json(&message, &payload)), vector["fields"], "{what}");
                let by_schema = schema.to_bytes(&message, &hex::expand_all(vector["fields"].clone()));
                assert_eq!(by_schema, payload, "{what}: encoded by the schema alone");
            }
            "ignored" => assert_eq!(answer, Ok(None), "{what}"),
            "invalid" => assert_eq!(answer.unwrap_err().name(), vector["error"], "{what}"),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn every_frame_vector_is_decoded_and_encoded_to_the_same_bytes() {
    check_stored("frames.json", cases::check_frame);
}

#[test]
fn every_datagram_vector_is_decoded_and_encoded_to_the_same_bytes() {
    check_stored("datagrams.json", cases::check_datagram);
}

#[test]
fn every_content_vector_is_decoded_and_encoded_to_the_same_bytes() {
    check_stored("contents.json", cases::check_content);
}
