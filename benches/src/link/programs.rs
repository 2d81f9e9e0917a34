//! Starting other programs so that none outlives this process, however it ends.
//!
//! `setpriv` and `nsenter` (both in util-linux, which every Debian has) become the program that is to run, so its
//! process id, arguments and exit code are its own. What such a program starts in turn is its own affair.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// Folders where system programs are, which the PATH of an ordinary user may lack.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/bin"];

/// This process may have died before it was asked to tell; then the program does not begin.
const UNLESS_WE_ARE_DEAD: &str = r#"[ -d "/proc/$0" ] && exec "$@""#;

/// Where a program is, if it is there.
pub(crate) fn find(program: &OsStr) -> Option<PathBuf> {
    if Path::new(program).components().count() > 1 {
        // The program may be started in another folder.
        return std::path::absolute(program).ok().filter(|path| is_program(path));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SYSTEM_FOLDERS.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// A command that is killed when the thread that starts it ends; in another network namespace if one is given.
///
/// A program that is not there, or a machine without `setpriv`, gets the plain command: starting it then says what the
/// system says.
pub(crate) fn dying_with_us(program: &OsStr, namespace: Option<&Path>) -> Command {
    let tools = find(OsStr::new("setpriv")).zip(find(OsStr::new("nsenter")));
    let (Some(found), Some((setpriv, nsenter))) = (find(program), tools) else {
        return Command::new(program);
    };
    let mut command = match namespace {
        Some(namespace) => {
            let mut net = std::ffi::OsString::from("--net=");
            net.push(namespace);
            let mut command = Command::new(nsenter);
            command.arg(net).arg("--").arg(setpriv);
            command
        }
        None => Command::new(setpriv),
    };
    command.args(["--pdeathsig", "KILL", "--", "/bin/sh", "-c", UNLESS_WE_ARE_DEAD]);
    command.arg(std::process::id().to_string()).arg(found);
    command
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::process::ExitStatusExt};

    use super::*;

    #[test]
    fn programs_are_found_where_a_shell_finds_them_and_by_their_path() {
        let sh = find(OsStr::new("sh")).unwrap();
        assert!(sh.is_absolute());
        assert_eq!(find(sh.as_os_str()), Some(sh));
        for absent in ["no-such-program-anywhere", "./sh", "/", "Cargo.toml", "./Cargo.toml"] {
            assert_eq!(find(OsStr::new(absent)), None, "{absent}");
        }
    }

    #[test]
    fn a_program_dies_with_the_thread_that_started_it() {
        let started = std::thread::spawn(|| {
            let mut command = dying_with_us(OsStr::new("sh"), None);
            let script = "echo ready; exec sleep 60";
            let mut child =
                command.args(["-c", script]).stdout(std::process::Stdio::piped()).spawn().unwrap();
            // Earlier it may not have asked the kernel yet.
            child.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
            child
        });
        let status = started.join().unwrap().wait().unwrap();
        assert_eq!(status.signal(), Some(9));
    }

    #[test]
    fn a_program_has_its_own_process_id_and_exit_code() {
        let mut command = dying_with_us(OsStr::new("sh"), None);
        let child =
            command.args(["-c", "echo $$; exit 7"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(7), format!("{pid}\n").into_bytes()));
    }
}
