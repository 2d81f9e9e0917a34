//! What to type next, after `fulmar serve --dev`: ready to paste into another terminal, from any folder.

use std::net::SocketAddr;
use std::path::Path;

/// The lines to print.
pub(super) fn lines(data: &Path, authority: &Path, address: SocketAddr) -> Vec<String> {
    let fulmar = program();
    let data = quoted(&absolute(data));
    let authority = quoted(&absolute(authority));
    // The certificate is good for localhost; a socket on an IPv4 address may not be reached by that name.
    let host = if address.is_ipv4() { "127.0.0.1" } else { "localhost" };
    let port = address.port();
    vec![
        String::new(),
        "In another terminal, as alice:".to_owned(),
        format!("  export FULMAR_SERVER={host}:{port} FULMAR_CA={authority}"),
        format!("  export FULMAR_TOKEN=$({fulmar} token alice --data {data})"),
        format!("  {fulmar} chat"),
        String::new(),
        "And in a third, as bob:".to_owned(),
        format!("  export FULMAR_SERVER={host}:{port} FULMAR_CA={authority}"),
        format!("  export FULMAR_TOKEN=$({fulmar} token bob --data {data})"),
        format!("  {fulmar} send --to alice 'hello'"),
        format!("  {fulmar} tail --with alice --from 1"),
        String::new(),
        "Ctrl-C ends the server.".to_owned(),
    ]
}

/// How this program is called: by its name where the shell found it by that, else by its path.
fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let called = Path::new(&called);
    if called.components().count() == 1 {
        return quoted(&called.display().to_string());
    }
    quoted(&absolute(&std::env::current_exe().unwrap_or_else(|_| called.to_owned())))
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@%+,=".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("/var/lib/fulmar"), "/var/lib/fulmar");
        assert_eq!(quoted("my data"), "'my data'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
