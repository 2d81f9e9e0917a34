//! `fulmar cluster secret`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::fulmar::{fulmar, run};

#[test]
fn a_secret_is_made_once_is_the_owners_alone_and_its_key_can_be_shown_again() {
    let folder = tempfile::tempdir().unwrap();
    let secret = |arguments: &[&str]| {
        run(fulmar(&["cluster", "secret", "s"]).args(arguments).current_dir(folder.path()))
    };
    let line = secret(&["--show"]).failed(1);
    assert!(line.contains("cannot read s"), "{line}");
    let made = secret(&["--json"]).json().remove(0);
    let file = folder.path().join("s");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.trim().len(), 64);
    assert_eq!(made["connection_id_key"].as_str().unwrap().len(), 32);
    assert_eq!(secret(&["--show", "--json"]).json().remove(0), made);
    let shown = secret(&["--show"]).succeeded();
    assert!(!shown.contains(text.trim()), "the secret is printed");

    let line = secret(&[]).failed(1);
    assert!(line.contains("is there already"), "{line}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    secret(&["--force"]).succeeded();
    assert_ne!(fs::read_to_string(&file).unwrap(), text);
    fs::write(&file, "rubbish").unwrap();
    let line = secret(&["--show"]).failed(1);
    assert!(line.contains("64 hexadecimal digits"), "{line}");
}
