//! The file that says where a cluster is: `description:id@host:port,host:port`.
//!
//! The client library takes a wrong one silently, or waits for ever for a cluster that is not there. So it is read
//! here first, and what is wrong is said.

use std::{fs, path::Path};

use crate::store::error::StoreError;

/// Checks that the file can be read and names a cluster.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    let refuse = |reason: &str| Err(StoreError::ClusterFile { path: path.to_owned(), reason: reason.into() });
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return refuse(&error.to_string()),
    };
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return refuse("it does not hold one line that names a cluster");
    };
    if names_a_cluster(line) { Ok(()) } else { refuse("it is not `description:id@host:port`") }
}

fn names_a_cluster(line: &str) -> bool {
    let Some((name, coordinators)) = line.split_once('@') else { return false };
    let word = |text: &str| {
        !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    let Some((description, id)) = name.split_once(':') else { return false };
    let address = |address: &str| {
        let address = address.strip_suffix(":tls").unwrap_or(address);
        let address = address.strip_suffix("(fromHostname)").unwrap_or(address);
        address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    word(description) && word(id) && coordinators.split(',').all(|one| address(one.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_cluster_is_told_from_what_does_not() {
        for good in [
            "docker:docker@127.0.0.1:4500",
            "a_b:C1@10.0.0.1:4500,10.0.0.2:4500:tls",
            "d:i@[::1]:4500",
            "d:i@db.example.org:4500",
        ] {
            assert!(names_a_cluster(good), "{good}");
        }
        for bad in
            ["", "cluster", "a:b", "a:b@", "a:b@host", "a:b@host:port", "a@h:1", "a b:c@h:1", "a:b@h:1,"]
        {
            assert!(!names_a_cluster(bad), "{bad}");
        }
    }

    #[test]
    fn a_wrong_file_is_refused_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fdb.cluster");
        let refusal = || check(&path).unwrap_err().to_string();
        let missing = refusal();
        fs::write(&path, "# nothing\n").unwrap();
        let empty = refusal();
        fs::write(&path, "no cluster\n").unwrap();
        let malformed = refusal();
        for text in [missing, empty, malformed] {
            assert!(text.contains("fdb.cluster") && !text.contains('\n'), "{text}");
        }
        fs::write(&path, "# by hand\na:b@127.0.0.1:4500\n").unwrap();
        assert_eq!(check(&path), Ok(()));
    }
}
