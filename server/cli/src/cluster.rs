//! `fulmar cluster`: the certificates by which the nodes of a cluster know each other, and the secret that they share.

mod secret;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use fulmar_server::{Clock, ClusterAuthority, ClusterCertificate, ClusterCertificateError};
use serde::Serialize;

use crate::failure::Failure;
use crate::output;

/// The name of the authority's two files.
const AUTHORITY: &str = "authority";

/// Make the certificates by which nodes of a cluster know each other, and the secret that they share
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Example:\n  fulmar cluster ca --out authority\n  \
                  fulmar cluster cert node-1 --ca authority --out node-1\n  \
                  fulmar cluster secret secret"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ca(AuthorityArguments),
    Cert(CertificateArguments),
    Secret(secret::Arguments),
}

/// Make the cluster's authority: authority.pem and authority.key
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fulmar cluster ca --out authority\n\n\
                  Every node needs authority.pem. authority.key makes nodes: keep it off their machines.")]
struct AuthorityArguments {
    /// The folder for both files; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    #[command(flatten)]
    written: Written,
}

/// Make the certificate of a node, signed by the authority: NAME.pem and NAME.key
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fulmar cluster cert node-1 --ca authority --out node-1\n\n\
                  Each node needs its own. No address is in it: it may be used wherever the node runs.")]
struct CertificateArguments {
    /// The node's name, for people: letters, digits, - _ .
    #[arg(value_name = "NAME")]
    name: String,
    /// The folder of authority.pem and authority.key
    #[arg(long, value_name = "DIR", default_value = ".")]
    ca: PathBuf,
    /// The folder for both files; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// How long the certificate is good
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse, default_value = "365d")]
    ttl: Duration,
    #[command(flatten)]
    written: Written,
}

#[derive(Debug, Args)]
struct Written {
    /// Write over files that are there
    #[arg(long)]
    force: bool,
    /// Print a line of JSON
    #[arg(long)]
    json: bool,
}

/// What was made, for scripts.
#[derive(Serialize)]
struct Made<'a> {
    certificate: &'a Path,
    key: &'a Path,
    fingerprint: &'a str,
    not_after_ms: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let now = Clock::system().now();
    match &arguments.command {
        Command::Ca(AuthorityArguments { out, written }) => {
            let made = ClusterAuthority::create(now).map_err(|error| failed(&error))?;
            write(out, AUTHORITY, &made, written)
        }
        Command::Cert(CertificateArguments { name, ca, out, ttl, written }) => {
            if name == AUTHORITY {
                return Err(Failure::usage("authority is the authority's own name: give the node another"));
            }
            let authority = open(ca)?;
            let made = authority.issue(name, now, *ttl).map_err(|error| match error {
                ClusterCertificateError::NameInvalid => Failure::usage(error.to_string()),
                error => failed(&error),
            })?;
            write(out, name, &made, written)
        }
        Command::Secret(arguments) => secret::run(arguments),
    }
}

fn open(folder: &Path) -> Result<ClusterAuthority, Failure> {
    let [certificate, key] = paths(folder, AUTHORITY);
    let read = |path: &Path| {
        fs::read(path).map_err(|error| {
            Failure::failed(format!(
                "cannot read {}: {error}; name the folder that fulmar cluster ca --out named with --ca",
                path.display()
            ))
        })
    };
    ClusterAuthority::open(&read(&certificate)?, &read(&key)?)
        .map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))
}

fn paths(folder: &Path, name: &str) -> [PathBuf; 2] {
    [folder.join(format!("{name}.pem")), folder.join(format!("{name}.key"))]
}

fn write(folder: &Path, name: &str, made: &ClusterCertificate, written: &Written) -> Result<(), Failure> {
    let [certificate, key] = paths(folder, name);
    if !written.force {
        // Before either is written: a key without its certificate would be in the way the next time.
        for path in [&key, &certificate] {
            if path.symlink_metadata().is_ok() {
                return Err(there_already(path));
            }
        }
    }
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    write_file(&key, &made.key_pem, Readers::Owner, written.force)?;
    write_file(&certificate, &made.certificate_pem, Readers::Everybody, written.force)?;
    if written.json {
        let (fingerprint, not_after_ms) = (made.fingerprint.as_str(), made.not_after.get());
        return output::json(&Made { certificate: &certificate, key: &key, fingerprint, not_after_ms });
    }
    output::line(format!("certificate  {}", certificate.display()))?;
    output::line(format!("key          {}", key.display()))?;
    output::line(format!("fingerprint  {}", made.fingerprint))
}

/// Who may read a file.
#[derive(Clone, Copy)]
enum Readers {
    Owner,
    Everybody,
}

/// Writes a file as a whole, or not at all.
fn write_file(path: &Path, contents: &str, readers: Readers, force: bool) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Nobody but the owner can read it until it is there as a whole.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| unwritable(path, &error))?;
    file.write_all(contents.as_bytes())
        .and_then(|()| share(file.as_file(), readers))
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| unwritable(path, &error))?;
    let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
    match kept {
        Ok(_) => Ok(()),
        Err(refused) if refused.error.kind() == std::io::ErrorKind::AlreadyExists => Err(there_already(path)),
        Err(refused) => Err(unwritable(path, &refused.error)),
    }
}

#[cfg(unix)]
fn share(file: &fs::File, readers: Readers) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(match readers {
        Readers::Owner => 0o600,
        Readers::Everybody => 0o644,
    }))
}

#[cfg(not(unix))]
fn share(_file: &fs::File, _readers: Readers) -> std::io::Result<()> {
    Ok(())
}

fn there_already(path: &Path) -> Failure {
    Failure::failed(format!("{} is there already: --force writes over it", path.display()))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write {}: {error}; choose another folder", path.display()))
}

fn failed(error: &ClusterCertificateError) -> Failure {
    Failure::failed(match error {
        ClusterCertificateError::WouldBeRefused(_) => format!("{error}; make one with fulmar cluster ca"),
        error => error.to_string(),
    })
}
