//! Rules about `Cargo.toml`: which way the crates depend on one another, that the protocol crate
//! stays pure, and that nothing is depended on that no source names, nor named for the workspace
//! that no crate takes.

use super::tree::SourceFile;
use super::{Finding, Tree};

/// What the protocol crate may depend on: none of it has sockets, a runtime, a clock or randomness.
const PROTOCOL_DEPENDENCIES: [&str; 5] = ["bytes", "data-encoding", "prost", "sha2", "thiserror"];

/// Paths of the standard library that the protocol crate must not name.
const IMPURE_PATHS: [&str; 7] =
    ["std::net", "std::fs", "std::thread", "std::env", "time::Instant", "time::SystemTime", "std::process"];

/// A crate, and what it must not depend on outside its tests.
const FORBIDDEN: [(&str, &[&str]); 2] = [
    ("server/Cargo.toml", &["fulmar-client", "fulmar", "clap", "crossterm", "ratatui", "indicatif"]),
    ("client/Cargo.toml", &["fulmar-server", "fulmar", "clap", "crossterm", "ratatui", "indicatif"]),
];

/// A dependency that no source names, and why it is there.
const UNNAMED: [(&str, &str); 1] = [("quinn-proto", "an older one must not be chosen")];

/// Which section of a manifest is used by which folders beside it.
const SECTIONS: [(&str, &[&str]); 3] = [
    ("dependencies", &["src/", "tests/", "benches/", "examples/"]),
    ("dev-dependencies", &["src/", "tests/", "benches/", "examples/"]),
    ("build-dependencies", &["build.rs", "build/"]),
];

/// Runs the rules over every manifest.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = impure_code(tree);
    for file in tree.files().filter(|file| file.path.ends_with("Cargo.toml")) {
        let manifest = match file.text.parse::<toml::Table>() {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(Finding::at(&file.path, 1, error.message()));
                continue;
            }
        };
        findings.extend(not_taken(tree, file, &manifest));
        for (section, folders) in SECTIONS {
            let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
            for name in dependencies.keys() {
                let line = line_of(file, name);
                if section == "dependencies" && !may_depend(&file.path, name) {
                    findings.push(Finding::at(&file.path, line, format!("must not depend on {name}")));
                }
                if !is_named(tree, &file.path, folders, name)
                    && !UNNAMED.iter().any(|(unnamed, _)| unnamed == name)
                {
                    findings.push(Finding::at(&file.path, line, format!("{name} is not used by any source")));
                }
            }
        }
    }
    findings
}

/// The line at which a manifest names a dependency.
fn line_of(manifest: &SourceFile, name: &str) -> usize {
    let is_it = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    manifest.lines().find(|(_, line)| is_it(line)).map_or(1, |(number, _)| number)
}

/// What the workspace names and no crate takes.
fn not_taken(tree: &Tree, file: &SourceFile, manifest: &toml::Table) -> Vec<Finding> {
    let shared = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies")?.as_table());
    let names = shared.into_iter().flat_map(toml::Table::keys);
    let taken = |name: &str| {
        let line = format!("{name}.workspace = true");
        let inline = format!("{name} = {{ workspace = true,");
        let takes = |found: &str| found == line || found.starts_with(&inline);
        let manifests = tree.files().filter(|file| file.path.ends_with("/Cargo.toml"));
        manifests.into_iter().any(|file| file.lines().any(|(_, found)| takes(found.trim())))
    };
    let idle = names.filter(|name| !taken(name));
    idle.map(|name| Finding::at(&file.path, line_of(file, name), format!("no crate takes {name}"))).collect()
}

fn may_depend(manifest: &str, name: &str) -> bool {
    if manifest == "protocol/Cargo.toml" {
        return PROTOCOL_DEPENDENCIES.contains(&name);
    }
    !FORBIDDEN.iter().any(|(path, forbidden)| *path == manifest && forbidden.contains(&name))
}

/// Whether a source in one of the folders names the crate.
fn is_named(tree: &Tree, manifest: &str, folders: &[&str], name: &str) -> bool {
    let folder = manifest.trim_end_matches("Cargo.toml");
    let name = name.replace('-', "_");
    tree.files()
        .filter(|file| {
            file.path
                .strip_prefix(folder)
                .is_some_and(|rest| folders.iter().any(|part| rest.starts_with(part)))
        })
        .any(|file| {
            // An example in documentation is compiled, so it counts.
            let examples =
                file.lines().map(|(_, line)| line).filter(|line| line.trim_start().starts_with("//"));
            file.code.lines().chain(examples).any(|line| names_crate(line, &name))
        })
}

fn names_crate(line: &str, name: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(name).any(|(at, _)| {
        let (before, rest) = line.split_at(at);
        let after = rest.split_at(name.len()).1;
        !before.ends_with(is_letter) && !after.starts_with(is_letter)
    })
}

fn impure_code(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| file.path.starts_with("protocol/src/")) {
        for (number, line) in file.code_lines().filter(|(number, _)| !file.is_test_line(*number)) {
            for path in IMPURE_PATHS.iter().filter(|path| line.contains(**path)) {
                findings.push(Finding::at(
                    &file.path,
                    number,
                    format!("the protocol crate is pure: no {path}"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_protocol_crate_stays_pure() {
        let source = "//! x\nuse tokio::net;\nuse std::time::Instant;\nuse bytes::Bytes;\n";
        let manifest = "[dependencies]\nbytes.workspace = true\ntokio.workspace = true\n";
        assert_eq!(
            messages(&[("protocol/Cargo.toml", manifest), ("protocol/src/lib.rs", source)]),
            [
                "protocol/src/lib.rs:3: the protocol crate is pure: no time::Instant",
                "protocol/Cargo.toml:3: must not depend on tokio",
            ]
        );
    }

    #[test]
    fn the_server_knows_nothing_of_the_client() {
        let files = [
            ("server/Cargo.toml", "[dependencies]\nfulmar-client = \"1\"\n"),
            ("server/src/lib.rs", "use fulmar_client::Client;\n"),
        ];
        assert_eq!(messages(&files), ["server/Cargo.toml:2: must not depend on fulmar-client"]);
    }

    #[test]
    fn what_the_workspace_names_some_crate_takes() {
        let root = ("Cargo.toml", "[workspace.dependencies]\nbytes = \"1\"\nrand = \"1\"\nrpds = \"1\"\n");
        let manifest =
            "[dependencies]\nbytes.workspace = true\nrpds = { workspace = true, optional = true }\n";
        let member = ("a/Cargo.toml", manifest);
        assert_eq!(
            messages(&[root, member, ("a/src/a.rs", "use bytes::Bytes;\nuse rpds::Queue;\n")]),
            ["Cargo.toml:3: no crate takes rand"]
        );
    }

    #[test]
    fn a_dependency_that_no_source_names_is_found() {
        let manifest = (
            "a/Cargo.toml",
            "[dependencies]\nserde_json = \"1\"\n[build-dependencies]\nprost-build = \"1\"\n",
        );
        let unused = messages(&[manifest, ("a/src/lib.rs", "// serde_jsonx\nuse prost_build::X;\n")]);
        assert_eq!(
            unused,
            [
                "a/Cargo.toml:2: serde_json is not used by any source",
                "a/Cargo.toml:4: prost-build is not used by any source"
            ]
        );
        let used =
            [manifest, ("a/src/lib.rs", "use serde_json::Value;\n"), ("a/build.rs", "prost_build::x();\n")];
        assert!(messages(&used).is_empty());
    }
}
