//! A small reader of `spec/fulmar.proto`, independent of the code under test: it turns payloads into JSON and
//! back by the schema alone, and explains their bytes.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use prost::encoding::{decode_varint, encode_varint};
use serde_json::{Map, Value, json};

/// Numbers above this lose digits in some readers of JSON, so they are written as strings.
const EXACT_IN_JSON_MAX: u64 = 1 << 53;

/// What the schema says.
pub(crate) struct Schema {
    pub(crate) messages: BTreeMap<String, Vec<Field>>,
    enums: BTreeMap<String, Vec<(String, u64)>>,
}

/// One field of a message.
pub(crate) struct Field {
    number: u64,
    pub(crate) name: String,
    pub(crate) kind: String,
    repeated: bool,
}

/// A run of bytes, and what it says.
pub(crate) type Part = (String, String);

impl Schema {
    pub(crate) fn read() -> Self {
        let mut schema = Self { messages: BTreeMap::new(), enums: BTreeMap::new() };
        let text = include_str!("../../../spec/fulmar.proto");
        let mut text: String = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        for mark in ["{", "}", ";", "="] {
            text = text.replace(mark, &format!(" {mark} "));
        }
        let mut tokens = text.split_whitespace();
        while let Some(token) = tokens.next() {
            match token {
                "message" => {
                    let name = tokens.next().unwrap().to_owned();
                    schema.messages.insert(name, read_fields(&mut tokens));
                }
                "enum" => {
                    let name = tokens.next().unwrap().to_owned();
                    schema.enums.insert(name, read_values(&mut tokens));
                }
                _ => {}
            }
        }
        schema
    }

    fn field(&self, message: &str, number: u64) -> Option<&Field> {
        self.messages[message].iter().find(|field| field.number == number)
    }

    /// A payload as JSON: bytes in hex, enums by name, fields that are absent left out.
    pub(crate) fn to_json(&self, message: &str, mut payload: &[u8]) -> Value {
        let mut object = Map::new();
        while !payload.is_empty() {
            let (field, raw) = self.next_field(message, &mut payload);
            let Some(field) = field else { continue };
            let value = match raw {
                Raw::Number(number) => self.number_to_json(field, number),
                Raw::Bytes(bytes) if field.kind == "string" => {
                    json!(String::from_utf8(bytes.to_vec()).unwrap())
                }
                Raw::Bytes(bytes) if field.kind == "bytes" => json!(HEXLOWER.encode(bytes)),
                Raw::Bytes(bytes) => self.to_json(&field.kind, bytes),
            };
            if field.repeated {
                let list = object.entry(&field.name).or_insert(json!([]));
                list.as_array_mut().unwrap().push(value);
            } else {
                object.insert(field.name.clone(), value);
            }
        }
        Value::Object(object)
    }

    fn number_to_json(&self, field: &Field, number: u64) -> Value {
        match self.enums.get(&field.kind) {
            Some(values) => match values.iter().find(|(_, value)| *value == number) {
                Some((name, _)) => json!(name),
                None => json!(number),
            },
            None if field.kind == "bool" => json!(number == 1),
            None if number > EXACT_IN_JSON_MAX => json!(number.to_string()),
            None => json!(number),
        }
    }

    /// The payload that a JSON object stands for: fields in the order of their numbers, the shortest form.
    pub(crate) fn to_bytes(&self, message: &str, object: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        let mut fields: Vec<&Field> = self.messages[message].iter().collect();
        fields.sort_by_key(|field| field.number);
        for field in fields {
            match object.get(&field.name) {
                Some(Value::Array(list)) => list.iter().for_each(|value| self.put(field, value, &mut out)),
                Some(value) => self.put(field, value, &mut out),
                None => {}
            }
        }
        out
    }

    fn put(&self, field: &Field, value: &Value, out: &mut Vec<u8>) {
        let bytes = match (field.kind.as_str(), value) {
            ("string", Value::String(text)) => text.as_bytes().to_vec(),
            ("bytes", Value::String(hex)) => HEXLOWER.decode(hex.as_bytes()).unwrap(),
            (kind, Value::Object(_)) => self.to_bytes(kind, value),
            (kind, _) => {
                let number = match value {
                    Value::String(digits) if !self.enums.contains_key(kind) => digits.parse().unwrap(),
                    Value::String(name) => {
                        self.enums[kind].iter().find(|(known, _)| known == name).unwrap().1
                    }
                    Value::Bool(on) => u64::from(*on),
                    _ => value.as_u64().unwrap(),
                };
                encode_varint(field.number << 3, out);
                encode_varint(number, out);
                return;
            }
        };
        encode_varint(field.number << 3 | 2, out);
        encode_varint(bytes.len() as u64, out);
        out.extend(bytes);
    }

    /// Explains a payload, unless it is none; whether it is one.
    pub(crate) fn try_explain(&self, message: &str, payload: &[u8], parts: &mut Vec<Part>) -> bool {
        let is_one = self.is_payload(message, payload);
        if is_one {
            self.explain(message, payload, parts);
        }
        is_one
    }

    fn is_payload(&self, message: &str, mut payload: &[u8]) -> bool {
        while !payload.is_empty() {
            let (Ok(key), Ok(number)) = (decode_varint(&mut payload), decode_varint(&mut payload)) else {
                return false;
            };
            let field = self.field(message, key >> 3);
            let wire_type = if field.is_some_and(|field| self.is_number(field)) { 0 } else { 2 };
            if key & 7 == 2 {
                let Some((bytes, rest)) = payload.split_at_checked(number as usize) else { return false };
                let parts = field.filter(|field| self.messages.contains_key(&field.kind));
                if parts.is_some_and(|field| !self.is_payload(&field.kind, bytes)) {
                    return false;
                }
                payload = rest;
            }
            if key & 7 != wire_type && (field.is_some() || key & 7 != 0) {
                return false;
            }
        }
        true
    }

    fn is_number(&self, field: &Field) -> bool {
        field.kind != "string" && field.kind != "bytes" && !self.messages.contains_key(&field.kind)
    }

    /// What the bytes of a payload say, run by run.
    fn explain(&self, message: &str, mut payload: &[u8], parts: &mut Vec<Part>) {
        while !payload.is_empty() {
            let whole = payload;
            let (field, raw) = self.next_field(message, &mut payload);
            let head = whole.len() - payload.len();
            let Some(field) = field else {
                parts.push((HEXLOWER.encode(&whole[..head]), "an unknown field: ignored".to_owned()));
                continue;
            };
            let name = format!("{message}.{} (field {})", field.name, field.number);
            match raw {
                Raw::Number(number) => {
                    let value = self.number_to_json(field, number);
                    parts.push((HEXLOWER.encode(&whole[..head]), format!("{name}: {value}")));
                }
                Raw::Bytes(bytes) => {
                    let head = head - bytes.len();
                    parts.push((HEXLOWER.encode(&whole[..head]), format!("{name}, {} bytes", bytes.len())));
                    match field.kind.as_str() {
                        _ if bytes.is_empty() => {}
                        "string" => {
                            parts.push((HEXLOWER.encode(bytes), quote(&String::from_utf8_lossy(bytes))))
                        }
                        "bytes" => parts.push((HEXLOWER.encode(bytes), "its bytes".to_owned())),
                        kind => self.explain(kind, bytes, parts),
                    }
                }
            }
        }
    }

    fn next_field<'payload>(
        &self,
        message: &str,
        payload: &mut &'payload [u8],
    ) -> (Option<&Field>, Raw<'payload>) {
        let key = decode_varint(payload).unwrap();
        let field = self.field(message, key >> 3);
        let number = decode_varint(payload).unwrap();
        match key & 7 {
            0 => (field, Raw::Number(number)),
            2 => {
                let (bytes, rest) = payload.split_at(usize::try_from(number).unwrap());
                *payload = rest;
                (field, Raw::Bytes(bytes))
            }
            other => panic!("no field of the schema has wire type {other}"),
        }
    }
}

enum Raw<'payload> {
    Number(u64),
    Bytes(&'payload [u8]),
}

fn read_fields<'text>(tokens: &mut impl Iterator<Item = &'text str>) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut depth = 0;
    let mut words: Vec<&str> = Vec::new();
    for token in tokens {
        match token {
            "{" => {
                depth += 1;
                words.clear();
            }
            "}" => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            ";" => {
                // [repeated] kind name = number
                let [before @ .., kind, name, "=", number] = words.as_slice() else { panic!("{words:?}") };
                fields.push(Field {
                    number: number.parse().unwrap(),
                    name: (*name).to_owned(),
                    kind: (*kind).to_owned(),
                    repeated: before == ["repeated"],
                });
                words.clear();
            }
            word => words.push(word),
        }
    }
    fields
}

fn read_values<'text>(tokens: &mut impl Iterator<Item = &'text str>) -> Vec<(String, u64)> {
    let words: Vec<&str> = tokens.skip(1).take_while(|token| *token != "}").collect();
    let values = words.split(|word| *word == ";").filter(|value| !value.is_empty());
    values.map(|value| (value[0].to_owned(), value[2].parse().unwrap())).collect()
}

fn quote(text: &str) -> String {
    if text.chars().count() > 64 { format!("text of {} bytes", text.len()) } else { format!("{text:?}") }
}
