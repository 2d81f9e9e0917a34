//! The worked bytes in the prose of `spec/` are those of a test vector, which code is tested against.
//!
//! Such a block is fenced with the file and the name of its vector: `hex frames/send`. The bytes stand at
//! the beginning of each line; two blanks end them, and what follows explains.

use serde_json::Value;

use super::tree::SourceFile;
use super::{Finding, Tree};

const FENCE: &str = "```hex ";
/// The fields of a vector that an example may show.
const SHOWN: [&str; 3] = ["hex", "hashed", "result"];

/// Compares every example with its vector.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let prose = tree.files().filter(|file| file.path.starts_with("spec/") && file.is_markdown());
    prose.flat_map(|file| check_file(tree, file)).collect()
}

fn check_file(tree: &Tree, file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut lines = file.lines();
    while let Some((number, line)) = lines.next() {
        let Some(name) = line.strip_prefix(FENCE) else { continue };
        let block = lines.by_ref().map(|(_, line)| line).take_while(|line| !line.starts_with("```"));
        let bytes: String = block.flat_map(bytes_of).collect();
        match shown(tree, name.trim()) {
            None => {
                findings.push(Finding::at(&file.path, number, format!("no vector {name} in spec/vectors/")))
            }
            Some(shown) if shown.contains(&bytes) => {}
            Some(_) => findings.push(Finding::at(&file.path, number, format!("not the bytes of {name}"))),
        }
    }
    findings
}

/// The hexadecimal digits that a line begins with.
fn bytes_of(line: &str) -> impl Iterator<Item = char> {
    let line = line.trim_start();
    line.split_once("  ").map_or(line, |(bytes, _)| bytes).chars().filter(|letter| *letter != ' ')
}

/// What an example of a vector, named `file/name`, may show.
fn shown(tree: &Tree, name: &str) -> Option<Vec<String>> {
    let (file, name) = name.split_once('/')?;
    let vectors: Value = serde_json::from_str(&tree.file(&format!("spec/vectors/{file}.json"))?.text).ok()?;
    let vector =
        vectors.get("vectors")?.as_array()?.iter().find(|vector| vector.get("name") == Some(&name.into()))?;
    Some(SHOWN.iter().filter_map(|field| vector.get(field)?.as_str().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let vectors = r#"{"vectors": [{"name": "ping", "hex": "05020807"}]}"#;
        let tree = Tree::of(&[("spec/vectors/frames.json", vectors), ("spec/a.md", text)]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_example_shows_the_bytes_of_its_vector() {
        assert!(
            messages("```hex frames/ping\n05      type\n02      length 2\n  08 07 nonce\n```\n").len() == 1
        );
        assert!(
            messages("```hex frames/ping\n05      type\n02      length 2\n  08 07  nonce\n```\n").is_empty()
        );
    }

    #[test]
    fn other_bytes_and_unknown_vectors_are_found() {
        assert_eq!(
            messages("```hex frames/ping\n05 02 08 08\n```\n"),
            ["spec/a.md:1: not the bytes of frames/ping"]
        );
        for name in ["frames/pong", "gone/ping"] {
            let found = messages(&format!("```hex {name}\n05\n```\n"));
            assert_eq!(found, [format!("spec/a.md:1: no vector {name} in spec/vectors/")]);
        }
    }
}
