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

/// Where a program is, if it is there.
pub(crate) fn find(program: &OsStr) -> Option<PathBuf> {
    if Path::new(program).components().count() > 1 {
        return Some(PathBuf::from(program)).filter(|path| is_program(path));
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
    command.args(["--pdeathsig", "KILL", "--"]).arg(found);
    command
}
