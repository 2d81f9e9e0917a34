//! A development server of a test, and its users.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::fulmar::{Running, fulmar, run};

/// `fulmar serve --dev` on ports and in folders of its own.
pub(crate) struct DevServer {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) admin: String,
    running: Option<Running>,
}

impl DevServer {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server =
            Self { folder, address: "127.0.0.1:0".parse().unwrap(), admin: String::new(), running: None };
        server.open();
        server
    }

    /// Starts it, again where it was before.
    pub(crate) fn open(&mut self) {
        let (data, listen) = (self.data(), self.address.to_string());
        let arguments = ["serve", "--dev", "--data", data.to_str().unwrap(), "--listen", &listen];
        let errors = self.folder.path().join("server.log");
        let running = Running::start(fulmar(&arguments).args(["--admin", "127.0.0.1:0"]), &errors);
        let line = running.line();
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[..2], ["listening", "on"], "{line}");
        self.address = words[2].parse().unwrap();
        self.admin = words.iter().find_map(|word| word.strip_prefix("http://")).unwrap().to_owned();
        self.running = Some(running);
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(&mut self) {
        drop(self.running.take());
    }

    /// Ends it by SIGTERM, and gives its exit code.
    pub(crate) fn close(&mut self) -> Option<i32> {
        self.running.take().unwrap().terminated()
    }

    /// Kills it, as a crash does.
    pub(crate) fn crash(&mut self) {
        drop(self.running.take());
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn token(&self, user: &str) -> String {
        let data = self.data();
        let token = run(&mut fulmar(&["token", user, "--data", data.to_str().unwrap()])).succeeded();
        token.trim_end().to_owned()
    }

    /// A call of this user, whose state is where no other user's is.
    pub(crate) fn client(&self, user: &str, arguments: &[&str]) -> Command {
        let mut command = fulmar(arguments);
        command
            .env("FULMAR_SERVER", self.address.to_string())
            .env("FULMAR_CA", self.data().join("dev/ca.pem"))
            .env("FULMAR_TOKEN", self.token(user))
            .env("XDG_DATA_HOME", self.states());
        command
    }

    /// Where clients keep their states.
    pub(crate) fn states(&self) -> PathBuf {
        self.folder.path().join("states")
    }

    pub(crate) fn admin(&self, arguments: &[&str]) -> Command {
        let mut command = fulmar(&["admin"]);
        command.args(arguments).args(["--admin", &self.admin]);
        command
    }

    pub(crate) fn errors_of(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The folders below one, by name.
pub(crate) fn folders_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
