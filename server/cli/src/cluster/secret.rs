//! `fulmar cluster secret`: what all nodes share, and the key that a load balancer needs of it.

use std::path::{Path, PathBuf};

use clap::Args;
use fulmar_server::{ClusterSecret, ClusterSecretError};
use serde::Serialize;

use super::{Readers, write_file};
use crate::failure::Failure;
use crate::output;

/// Make the secret that all nodes share, and print the key by which load balancers read connection ids
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fulmar cluster secret /etc/fulmar/secret\n  \
                  fulmar cluster secret /etc/fulmar/secret --show\n\n\
                  Every node needs the same file; cluster.secret names it. Nobody else may read it. A load balancer \
                  that reads encrypted connection ids needs the key that is printed, and not the secret.")]
pub(super) struct Arguments {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Make nothing: print the key of the secret that is there
    #[arg(long, conflicts_with = "force")]
    show: bool,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    /// Print a line of JSON
    #[arg(long)]
    json: bool,
}

/// What was made, for scripts.
#[derive(Serialize)]
struct Made<'a> {
    secret: &'a Path,
    connection_id_key: &'a str,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = &arguments.file;
    let failed = |error: ClusterSecretError| Failure::failed(error.to_string());
    let secret = if arguments.show {
        ClusterSecret::read(file).map_err(failed)?
    } else {
        let secret = ClusterSecret::random().map_err(failed)?;
        write_file(file, &format!("{}\n", secret.to_hex()), Readers::Owner, arguments.force)?;
        secret
    };
    let key = secret.connection_id_key_hex();
    if arguments.json {
        return output::json(&Made { secret: file, connection_id_key: &key });
    }
    output::line(format!("secret             {}", file.display()))?;
    output::line(format!("connection id key  {key}"))
}
