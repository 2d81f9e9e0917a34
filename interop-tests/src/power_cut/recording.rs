//! Running a process under the recorder.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::{replay::Replay, trace::Trace};

/// Processes recorded one after another on the same folder.
#[derive(Debug)]
pub struct Recording {
    folder: PathBuf,
}

impl Recording {
    /// Begins in a folder, which is there and empty.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(folder: impl Into<PathBuf>) -> std::io::Result<Self> {
        let recording = Self { folder: folder.into() };
        std::fs::create_dir(recording.root())?;
        std::fs::write(recording.acks(), "")?;
        Ok(recording)
    }

    /// The folder below which is recorded.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// The file that acknowledgements are written to, each in one write.
    pub fn acks(&self) -> PathBuf {
        self.folder.join("acks")
    }

    /// Runs a program to its end. It finds the two paths in `FULMAR_RECORD_ROOT` and `FULMAR_RECORD_ACKS`.
    ///
    /// # Panics
    /// When the program cannot be run, or fails.
    pub fn run(&self, program: &mut Command) {
        let output = program
            .env("LD_PRELOAD", recorder_library())
            .env("FULMAR_RECORD_ROOT", self.root())
            .env("FULMAR_RECORD_TRACE", self.trace_path())
            .env("FULMAR_RECORD_ACKS", self.acks())
            .output();
        match output {
            Ok(output) if output.status.success() => {}
            Ok(output) => panic!(
                "{program:?} failed: {}\n{}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
            Err(error) => panic!("{program:?} does not run: {error}"),
        }
    }

    /// The trace. Checks that nothing has gone past the recorder.
    ///
    /// # Panics
    /// When something has, or the trace cannot be read.
    pub fn trace(&self) -> Trace {
        let bytes = std::fs::read(self.trace_path()).unwrap_or_default();
        let trace = Trace::parse(bytes).unwrap_or_else(|error| panic!("{error}"));
        assert!(!trace.events().is_empty(), "nothing was recorded");
        Replay::new(&trace).assert_all_was_recorded(&self.root());
        trace
    }

    fn trace_path(&self) -> PathBuf {
        self.folder.join("trace")
    }
}

/// Runs the programs one after another in a recording of its own below `folder`, and gives the trace.
///
/// # Panics
/// As [`Recording::run`] and [`Recording::trace`].
pub fn record(folder: &Path, programs: &mut [Command]) -> Trace {
    let recording = Recording::new(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for program in programs {
        recording.run(program);
    }
    recording.trace()
}

/// The recorder, built like the tests are. `FULMAR_SYSCALL_RECORDER` names another.
fn recorder_library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("FULMAR_SYSCALL_RECORDER") {
            return path.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--quiet", "--package", "fulmar-syscall-recorder"])
            .args(["--message-format", "json", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/syscall-recorder/Cargo.toml"))
            .output()
            .unwrap_or_else(|error| panic!("cargo does not run: {error}"));
        let messages = String::from_utf8_lossy(&output.stdout);
        let library = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|message| message.get("filenames")?.as_array().cloned())
            .flatten()
            .filter_map(|file| file.as_str().map(PathBuf::from))
            .find(|file| file.to_string_lossy().contains("libfulmar_syscall_recorder.so"));
        library.unwrap_or_else(|| {
            panic!("the recorder was not built:\n{}", String::from_utf8_lossy(&output.stderr))
        })
    })
}
