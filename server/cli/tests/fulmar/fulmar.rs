//! Calls the binary, and waits no longer than a test can bear.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a call may take before the test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);

/// A call of the binary that hears nothing of this machine's environment.
pub(crate) fn fulmar(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar"));
    for variable in ["SERVER", "CA", "TOKEN", "STATE", "LOG"] {
        command.env_remove(format!("FULMAR_{variable}"));
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The standard output of a call that succeeded.
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// The one line of a call that failed with this code.
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        let line = self.stderr.trim_end();
        assert!(line.starts_with("error: ") && !line.contains('\n'), "not one line: {self:?}");
        line.to_owned()
    }

    /// The lines of JSON of a call that succeeded.
    pub(crate) fn json(self) -> Vec<Value> {
        self.succeeded().lines().map(json).collect()
    }
}

/// Runs a call to its end.
pub(crate) fn run(command: &mut Command) -> Outcome {
    // Into files: a pipe that nobody reads would stop the call.
    let (mut stdout, mut stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
    let code = wait(&mut command.spawn().unwrap());
    Outcome { code, stdout: written(&mut stdout), stderr: written(&mut stderr) }
}

/// Runs a call that reads this from standard input.
pub(crate) fn run_reading(command: &mut Command, input: &str) -> Outcome {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, input.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    run(command.stdin(file))
}

fn written(file: &mut File) -> String {
    let mut text = String::new();
    std::io::Seek::rewind(file).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Waits for the end of a process; one that does not end is killed, and the test has failed.
pub(crate) fn wait(child: &mut Child) -> Option<i32> {
    let started = now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("process {} did not end within {} s", child.id(), PATIENCE.as_secs());
        }
        // A real wait: the standard library has no wait for a process with a time limit.
        std::thread::sleep(LOOK);
    }
}

/// The time of a real clock: processes know no other.
#[expect(clippy::disallowed_methods, reason = "there is no runtime here whose clock could be paused")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Sends SIGTERM.
pub(crate) fn terminate(child: &Child) {
    let status = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
}

/// A call that goes on, and whose lines are read as they come. It is killed at the end of the test.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command, errors: &Path) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(File::create(errors).unwrap()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(10_000);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line, if one comes in this time.
    pub(crate) fn line_within(&self, time: Duration) -> Option<String> {
        match self.lines.recv_timeout(time) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the process ended, and no line came"),
        }
    }

    /// The next line.
    pub(crate) fn line(&self) -> String {
        self.line_within(PATIENCE).expect("a line in time")
    }

    /// The end of it, as SIGTERM brings it.
    pub(crate) fn terminated(mut self) -> Option<i32> {
        terminate(&self.child);
        wait(&mut self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The names of an object's fields, in order.
pub(crate) fn fields(line: &str) -> Vec<String> {
    let object: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
    let mut names: Vec<String> = object.keys().cloned().collect();
    names.sort_by_key(|name| line.find(&format!("\"{name}\":")));
    names
}
