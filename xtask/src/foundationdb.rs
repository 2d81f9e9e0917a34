//! What of the checks and tests needs FoundationDB, and what is said where it is not there.
//!
//! Compiling needs libclang, for the bindings; the headers come with the crate. Linking and running need the client
//! library and a cluster, which `FULMAR_FDB_CLUSTER_FILE` names.

use std::env;
use std::path::Path;

use crate::workplace::{Failure, Outcome, Workplace};

const CLUSTER_VARIABLE: &str = "FULMAR_FDB_CLUSTER_FILE";
const REQUIRE_VARIABLE: &str = "FULMAR_REQUIRE_FDB";
/// What the tests that need a cluster are ignored with.
const IGNORED_BECAUSE: &str = "no FoundationDB";
/// The features that bring it in.
const FEATURES: &str = "fulmar-server/foundationdb,fulmar/foundationdb,fulmar-interop-tests/foundationdb";
/// Where Debian and others put libclang.
const LIBRARY_FOLDERS: [&str; 4] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu"];

/// Clippy, and so the compiler, over what the feature adds.
pub(crate) fn check(workplace: &Workplace) -> Result<Outcome, Failure> {
    if !has_libclang() {
        return workplace.skip(
            "the feature foundationdb was not compiled: libclang is missing (apt-get install libclang-dev)",
        );
    }
    let packages = ["fulmar-server", "fulmar", "fulmar-interop-tests"];
    let mut arguments = vec!["clippy"];
    arguments.extend(packages.iter().flat_map(|package| ["--package", package]));
    arguments.extend(["--all-targets", "--features", FEATURES, "--locked", "--", "-D", "warnings"]);
    workplace.cargo(&arguments)
}

/// What the development package brings, with the compiler's own headers: `libclang.so`, or with its version in between.
/// The bare library ends in its number.
fn is_libclang(file: &str) -> bool {
    let between = file.strip_prefix("libclang").and_then(|rest| rest.strip_suffix(".so"));
    between.is_some_and(|between| {
        let version = between.strip_prefix('-').unwrap_or(between);
        version.chars().all(|letter| letter.is_ascii_digit() || letter == '.')
    })
}

fn has_libclang() -> bool {
    if env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let holds = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| is_libclang(&entry.file_name().to_string_lossy()))
    };
    // Debian keeps one folder for each version of LLVM.
    let versions = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let versions = versions
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("llvm")));
    LIBRARY_FOLDERS.iter().any(|folder| holds(Path::new(folder)))
        || versions.into_iter().any(|path| holds(&path.join("lib")))
}

/// What `cargo test` is told more where there is a cluster.
///
/// # Errors
/// When there is none, and one is required.
pub(crate) fn test_arguments() -> Result<&'static [&'static str], Failure> {
    if env::var_os(CLUSTER_VARIABLE).is_some() {
        return Ok(&["--features", FEATURES]);
    }
    if env::var(REQUIRE_VARIABLE).is_ok_and(|value| value == "1") {
        return Err(format!("{CLUSTER_VARIABLE} names no cluster, and {REQUIRE_VARIABLE}=1 asks for one"));
    }
    Ok(&[])
}

/// Takes the tests that wait for a cluster out of those that were ignored, and gives the line that says so.
pub(crate) fn skipped_line(ignored: &mut Vec<String>) -> Option<String> {
    let before = ignored.len();
    ignored.retain(|test| !test.ends_with(IGNORED_BECAUSE));
    let skipped = before.saturating_sub(ignored.len());
    (skipped > 0).then(|| format!("SKIPPED {skipped}: {IGNORED_BECAUSE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_development_package_brings_counts() {
        let counts = ["libclang.so", "libclang-14.so", "libclang-14.0.6.so"];
        assert!(counts.into_iter().all(is_libclang));
        let others =
            ["libclang-14.so.1", "libclang-cpp.so", "libclang-cpp.so.14", "libclangAST.a", "libc.so"];
        assert!(!others.into_iter().any(is_libclang));
    }

    #[test]
    fn tests_without_a_cluster_are_one_line() {
        let mut ignored = vec![
            "test a is ignored, no FoundationDB".to_owned(),
            "test b is ignored, needs a second machine".to_owned(),
            "test c is ignored, no FoundationDB".to_owned(),
        ];
        assert_eq!(skipped_line(&mut ignored).as_deref(), Some("SKIPPED 2: no FoundationDB"));
        assert_eq!(ignored.len(), 1);
        assert_eq!(skipped_line(&mut ignored), None);
    }
}
