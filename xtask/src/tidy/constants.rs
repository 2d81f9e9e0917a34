//! A constant stands in one place: limits of the protocol in `protocol/src/limits.rs`, and within a crate
//! no constant twice with the same name and value.

use std::collections::BTreeMap;

use super::{Finding, Tree};

/// Where the protocol's limits are defined for code.
const LIMITS: &str = "protocol/src/limits.rs";
/// The file that says which limits there are.
pub(crate) const REGISTRY: &str = "spec/registry.toml";

/// Looks for limits outside their place and for constants written twice.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let limits = limits(tree);
    let mut seen = BTreeMap::new();
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| file.is_rust() && !file.is_test_file()) {
        let lines = file.code_lines().zip(file.text.lines());
        for ((number, line), text) in lines.filter(|((number, _), _)| !file.is_test_line(*number)) {
            let Some(name) = constant_name(line) else { continue };
            if limits.iter().any(|limit| is_constant_of(limit, name)) && file.path != LIMITS {
                let message = format!("{name} is a limit of the protocol: use the one in {LIMITS}");
                findings.push(Finding::at(&file.path, number, message));
            }
            // Only a value that stands on the line can be compared.
            let Some((_, value)) = text.split_once('=').filter(|(_, value)| value.trim_end().ends_with(';'))
            else {
                continue;
            };
            let krate = file.path.split_once("/src/").map_or("", |(krate, _)| krate);
            let earlier = seen.entry((krate, name, value.trim())).or_insert(&file.path);
            if **earlier != file.path {
                findings.push(Finding::at(
                    &file.path,
                    number,
                    format!("{name} has the same value in {earlier}"),
                ));
            }
        }
    }
    findings
}

/// The names of `[limits]` in the registry.
pub(crate) fn limits(tree: &Tree) -> Vec<String> {
    let registry = tree.file(REGISTRY).and_then(|file| file.text.parse::<toml::Table>().ok());
    let limits = registry.as_ref().and_then(|registry| registry.get("limits")?.as_table());
    limits.map(|limits| limits.keys().cloned().collect()).unwrap_or_default()
}

/// Whether a constant is named as a limit is. Times are durations in code, so without their unit.
fn is_constant_of(limit: &str, constant: &str) -> bool {
    let constant = constant.to_lowercase();
    limit == constant || limit.strip_suffix("_ms") == Some(&constant)
}

/// The name, where a line defines a constant that stands by itself. Those of a type are the type's own.
fn constant_name(line: &str) -> Option<&str> {
    let rest = match line.split_once(' ') {
        Some((first, rest)) if first.starts_with("pub") => rest,
        _ => line,
    };
    let (name, _) = rest.strip_prefix("const ")?.split_once(':')?;
    name.chars()
        .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "[limits]\nbody_bytes_max = 65536\nhello_timeout_ms = 5000\n";

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_limit_is_defined_in_one_place() {
        let line = "pub const BODY_BYTES_MAX: usize = 65_536;\n";
        assert!(messages(&[(REGISTRY, TOML), (LIMITS, line)]).is_empty());
        let found = messages(&[(REGISTRY, TOML), ("server/src/a.rs", line)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("server/src/a.rs:1: BODY_BYTES_MAX is a limit"), "{found:?}");
        let time = "const HELLO_TIMEOUT: Duration = Duration::from_secs(5);\n";
        assert_eq!(messages(&[(REGISTRY, TOML), ("server/src/a.rs", time)]).len(), 1);
    }

    #[test]
    fn a_constant_with_the_same_value_is_found_and_one_with_another_is_not() {
        let found =
            messages(&[("a/src/a.rs", "const A_MAX: u8 = 3;\n"), ("a/src/b.rs", "const A_MAX: u8 = 3;\n")]);
        assert_eq!(found, ["a/src/b.rs:1: A_MAX has the same value in a/src/a.rs"]);
        for other in [("a/src/b.rs", "const A_MAX: u8 = 4;\n"), ("b/src/b.rs", "const A_MAX: u8 = 3;\n")] {
            assert!(messages(&[("a/src/a.rs", "const A_MAX: u8 = 3;\n"), other]).is_empty(), "{other:?}");
        }
    }
}
