//! Nodes of a cluster as processes of their own, on a real FoundationDB: killed, drained, refused.
//!
//! Only FoundationDB can be shared by processes, and nothing here brings one along. So these tests are ignored without
//! the feature `foundationdb`, and skipped where `FULMAR_FDB_CLUSTER_FILE` names no cluster; those that kill
//! FoundationDB's own process, where `FULMAR_FDB_SERVER` names no `fdbserver` (with `fdbcli` beside it, or named by
//! `FULMAR_FDB_CLI`). Each is said, and `FULMAR_REQUIRE_FDB=1` makes it a failure.
//!
//! Each test has a prefix of its own in the cluster, which is cleared at its end.

mod draining;
mod foundationdb;
mod killing;
mod log;
mod people;
mod processes;
mod refusals;
mod writing;

use std::io::Write as _;
use std::path::PathBuf;

const CLUSTER_FILE: &str = "FULMAR_FDB_CLUSTER_FILE";
const SERVER: &str = "FULMAR_FDB_SERVER";

/// What a variable names, or that the test is skipped.
fn named_by(variable: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    if named.is_none() {
        let thread = std::thread::current();
        skip(thread.name().unwrap_or("a test"), variable);
    }
    named
}

/// Says that a test was skipped, where `cargo xtask` reads it too.
#[expect(clippy::print_stdout, reason = "a skip must be seen")]
fn skip(test: &str, variable: &str) {
    let required = std::env::var_os("FULMAR_REQUIRE_FDB").is_some_and(|value| value == "1");
    assert!(!required, "{test}: {variable} is not set, and FULMAR_REQUIRE_FDB=1");
    let line = format!("{test}: no FoundationDB ({variable} is not set)");
    println!("SKIPPED: {line}");
    if let Some(path) = std::env::var_os("FULMAR_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        writeln!(file.unwrap(), "{line}").unwrap();
    }
}
