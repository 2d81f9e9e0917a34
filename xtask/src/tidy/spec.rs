//! Rules about the prose of `spec/`.
//!
//! A requirement is a list item that opens with its number: `- **FUL-LANE-7** …`. Every MUST, SHOULD
//! and MAY stands in one. Numbers are unique and stand in one file an area. Names of the schema and
//! the registry that the prose mentions exist there, and the prose mentions every name of the registry.

use std::collections::{BTreeMap, BTreeSet};

use super::constants::REGISTRY;
use super::tree::SourceFile;
use super::{Finding, Tree};

const SCHEMA: &str = "spec/fulmar.proto";
/// Explains the words MUST, SHOULD and MAY, so it may use them.
const INDEX: &str = "spec/README.md";
const NORMATIVE: [&str; 3] = ["MUST", "SHOULD", "MAY"];

/// Where a requirement stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// Its number, as `FUL-LANE-7`.
    pub(crate) id: String,
    path: String,
    line: usize,
}

impl Requirement {
    /// The part between the hyphens.
    pub(crate) fn area(&self) -> &str {
        self.id.split('-').nth(1).unwrap_or_default()
    }

    /// The number for sorting.
    pub(crate) fn number(&self) -> u32 {
        self.id.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

/// One paragraph or list item.
struct Block {
    line: usize,
    text: String,
}

/// Runs the rules over `spec/*.md`.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let names = names(tree);
    let mut findings = repeated(&requirements(tree));
    findings.extend(unmentioned(tree));
    for file in prose(tree) {
        findings.extend(unknown_names(file, &names));
        if file.path == INDEX {
            continue;
        }
        for block in blocks(file) {
            let normative = NORMATIVE.iter().any(|word| words(&block.text).any(|found| found == *word));
            let numbered = id_of(&block.text).is_some();
            let message = match (normative, numbered) {
                (true, false) => "MUST, SHOULD or MAY outside a numbered requirement",
                (false, true) => "a requirement without MUST, SHOULD or MAY",
                _ => continue,
            };
            findings.push(Finding::at(&file.path, block.line, message));
        }
    }
    findings
}

/// Every numbered requirement, in the order of files and lines.
pub(crate) fn requirements(tree: &Tree) -> Vec<Requirement> {
    let mut found = Vec::new();
    for file in prose(tree) {
        found.extend(blocks(file).into_iter().filter_map(|block| {
            let id = id_of(&block.text)?.to_owned();
            Some(Requirement { id, path: file.path.clone(), line: block.line })
        }));
    }
    found
}

fn prose(tree: &Tree) -> impl Iterator<Item = &SourceFile> {
    tree.files().filter(|file| file.path.starts_with("spec/") && file.is_markdown())
}

/// The number that a requirement opens with.
fn id_of(text: &str) -> Option<&str> {
    let (id, _) = text.trim_start().strip_prefix("- **")?.split_once("**")?;
    id.starts_with("FUL-").then_some(id)
}

/// Paragraphs and list items; code fences are left out, and a line of a table is a block.
fn blocks(file: &SourceFile) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut fenced, mut open) = (false, false);
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            open = false;
        } else if fenced || line.trim().is_empty() {
            open = false;
        } else if open && !line.trim_start().starts_with("- ") && !line.starts_with(['#', '|']) {
            if let Some(block) = blocks.last_mut() {
                block.text.push('\n');
                block.text.push_str(line);
            }
        } else {
            blocks.push(Block { line: number, text: line.to_owned() });
            open = true;
        }
    }
    blocks
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split('`').step_by(2);
    prose.flat_map(|part| part.split(|letter: char| !letter.is_alphanumeric()))
}

fn repeated(requirements: &[Requirement]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut ids = BTreeMap::new();
    let mut areas = BTreeMap::new();
    for requirement in requirements {
        let Requirement { id, path, line } = requirement;
        if requirement.number() == 0 || id.split('-').count() != 3 {
            findings.push(Finding::at(path, *line, format!("{id} is not of the form FUL-AREA-n")));
        }
        if let Some(earlier) = ids.insert(id, path) {
            findings.push(Finding::at(path, *line, format!("{id} stands in {earlier} already")));
        }
        let home = areas.entry(requirement.area()).or_insert(path);
        if *home != path {
            findings.push(Finding::at(path, *line, format!("requirements of this area stand in {home}")));
        }
    }
    findings
}

/// Every word of the schema and the registry.
fn names(tree: &Tree) -> BTreeSet<&str> {
    let files = [SCHEMA, REGISTRY].into_iter().filter_map(|path| tree.file(path));
    files
        .flat_map(|file| file.text.split(|letter: char| !letter.is_alphanumeric() && letter != '_'))
        .collect()
}

/// Names in code spans that look like a field, a frame, a limit or an error, and are none.
fn unknown_names(file: &SourceFile, names: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for block in blocks(file) {
        for span in block.text.split('`').skip(1).step_by(2) {
            let name = span.strip_prefix("limits.").unwrap_or(span);
            if looks_like_a_name(name) && !names.contains(name) {
                let message = format!("`{span}` is neither in {SCHEMA} nor in {REGISTRY}");
                findings.push(Finding::at(&file.path, block.line, message));
            }
        }
    }
    findings
}

/// Frames, datagrams, errors and limits of the registry that the prose says nothing about.
fn unmentioned(tree: &Tree) -> Vec<Finding> {
    let Some(registry) = tree.file(REGISTRY) else { return Vec::new() };
    let spans: BTreeSet<&str> = prose(tree)
        .flat_map(|file| file.text.lines())
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect();
    let mut findings = Vec::new();
    let mut in_limits = false;
    for (number, line) in registry.lines() {
        if line.starts_with('[') {
            in_limits = line == "[limits]";
        }
        let limit = line.split_once(" = ").filter(|_| in_limits).map(|(name, _)| format!("limits.{name}"));
        let named = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"')).map(str::to_owned);
        let missing = limit.or(named).filter(|name| !spans.contains(name.as_str()));
        findings.extend(
            missing.map(|name| Finding::at(REGISTRY, number, format!("the prose never mentions `{name}`"))),
        );
    }
    findings
}

fn looks_like_a_name(text: &str) -> bool {
    let letters = text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let capital = text.starts_with(|letter: char| letter.is_ascii_uppercase());
    let lower = text.contains(|letter: char| letter.is_ascii_lowercase());
    letters && lower && (capital || text.contains('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let schema = (SCHEMA, "message Hello { string token = 1; bytes device_id = 2; }");
        let registry = (REGISTRY, "[limits]\nbody_bytes_max = 65536\n[[error]]\nname = \"internal\"\n");
        let rest = (INDEX, "`limits.body_bytes_max` `internal`");
        check(&Tree::of(&[schema, registry, rest, ("spec/a.md", text)]))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_numbered_requirement_is_no_finding() {
        let text = "# A\n\nOne frame, `Hello`, of at most `limits.body_bytes_max`.\n\n\
                    - **FUL-A-1** A client MUST send\n  `device_id`.\n- **FUL-A-2** It MAY stop.\n\n```\nMUST\n```\n";
        assert!(messages(text).is_empty(), "{:?}", messages(text));
    }

    #[test]
    fn each_rule_finds_its_line() {
        for (text, found) in [
            ("A client MUST stop.", "MUST, SHOULD or MAY outside a numbered requirement"),
            ("- **FUL-A-1** A client stops.", "a requirement without MUST, SHOULD or MAY"),
            ("- **FUL-A-1** MUST a.\n- **FUL-A-1** MUST b.", "FUL-A-1 stands in spec/a.md already"),
            ("- **FUL-A-x** MUST a.", "FUL-A-x is not of the form FUL-AREA-n"),
            ("See `device_idd`.", "`device_idd` is neither in spec/fulmar.proto nor in spec/registry.toml"),
            ("See `Helo`.", "`Helo` is neither in spec/fulmar.proto nor in spec/registry.toml"),
            (
                "See `limits.body_max`.",
                "`limits.body_max` is neither in spec/fulmar.proto nor in spec/registry.toml",
            ),
        ] {
            let all = messages(text);
            assert!(all.len() == 1 && all[0].ends_with(found), "{text}: {all:?}");
        }
    }

    #[test]
    fn the_prose_mentions_every_name_of_the_registry() {
        let registry = "[limits]\nbody_bytes_max = 65536\n[[error]]\nname = \"internal\"\n";
        let found = check(&Tree::of(&[(REGISTRY, registry), ("spec/a.md", "`internal`")]));
        assert_eq!(found, [Finding::at(REGISTRY, 2, "the prose never mentions `limits.body_bytes_max`")]);
    }

    #[test]
    fn an_area_stands_in_one_file() {
        let tree =
            Tree::of(&[("spec/a.md", "- **FUL-A-1** MUST a."), ("spec/b.md", "- **FUL-A-2** MUST b.")]);
        let found: Vec<_> = check(&tree).into_iter().map(|finding| finding.to_string()).collect();
        assert_eq!(found, ["spec/b.md:1: requirements of this area stand in spec/a.md"]);
    }
}
