//! What an operator sets: a TOML file, every key of which has a default but the three that name credentials.
//!
//! Unknown keys are refused, so that a misspelt limit is not silently the default. Every number has a range,
//! and a value outside of it is refused with that range: nothing later has to doubt a limit. Paths in the
//! file are taken from the folder that the file is in. `docs/fulmar.example.toml` has every key with its
//! default; a test compares it with the types here.
//!
//! What only the command line says is absent: where the data is, and whether this is a trial (`--dev`).

mod cluster;
mod error;
mod limits;
mod sections;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use cluster::ClusterConfig;
pub use error::ConfigError;
pub use limits::LimitsConfig;
pub use sections::{AuthConfig, ListenConfig, LogConfig, LogFormat, StoreConfig, StoreKind, TlsConfig};

use crate::watched_files::read_bounded;

/// How long a configuration file may be, in bytes.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Everything an operator may set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the server listens.
    pub listen: ListenConfig,
    /// How the server proves who it is.
    pub tls: TlsConfig,
    /// How users prove who they are.
    pub auth: AuthConfig,
    /// The store.
    pub store: StoreConfig,
    /// The server as one of several.
    pub cluster: ClusterConfig,
    /// How much users, and all together, may do.
    pub limits: LimitsConfig,
    /// The log.
    pub log: LogConfig,
}

/// The files without which a server does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The certificate's private key, PEM.
    pub key: PathBuf,
    /// The keys that tokens are verified with, a JSON Web Key Set.
    pub jwks: PathBuf,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or holds an unknown key or a value out of its range.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let contents = read_bounded(path, CONFIG_BYTES_MAX)?;
        let text = String::from_utf8(contents).map_err(|_| ConfigError::NotText { file: path.to_owned() })?;
        let mut config: Self =
            toml::from_str(&text).map_err(|error| ConfigError::invalid(path, &text, &error))?;
        config.check().map_err(|out_of_range| out_of_range.in_file(path))?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// The defaults for a trial: nobody is held up by limits that protect a server from strangers.
    #[must_use]
    pub fn development() -> Self {
        Self { limits: LimitsConfig::development(), ..Self::default() }
    }

    /// Checks that every value is in its range. Of a configuration that was loaded that is known; one that a
    /// program put together is to be checked before it is used.
    ///
    /// # Errors
    /// When a value is out of its range: the first such.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.listen.check()?;
        self.auth.check()?;
        self.store.check()?;
        self.cluster.check()?;
        self.limits.check()?;
        self.log.check()
    }

    /// The files with the credentials.
    ///
    /// # Errors
    /// When one of them is not set: the first such.
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        let set = |path: &Option<PathBuf>, key, what| {
            path.clone().ok_or(ConfigError::CredentialMissing { key, what })
        };
        Ok(Credentials {
            certificate: set(
                &self.tls.certificate,
                "tls.certificate",
                "the server's certificate chain (PEM)",
            )?,
            key: set(&self.tls.key, "tls.key", "the certificate's private key (PEM)")?,
            jwks: set(&self.auth.jwks, "auth.jwks", "the keys of tokens (a JSON Web Key Set)")?,
        })
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let cluster = &mut self.cluster;
        let paths = [
            &mut self.tls.certificate,
            &mut self.tls.key,
            &mut self.auth.jwks,
            &mut cluster.certificate,
            &mut cluster.key,
            &mut cluster.authority,
            &mut cluster.secret,
        ];
        for path in paths.into_iter().flatten() {
            // An absolute path replaces the folder.
            *path = folder.join(&*path);
        }
        self.store.cluster_file = folder.join(&self.store.cluster_file);
    }
}

/// Refuses a number outside of its range.
fn within<T>(key: &'static str, value: T, range: RangeInclusive<T>) -> Result<(), ConfigError>
where
    T: PartialOrd + Display,
{
    if range.contains(&value) {
        return Ok(());
    }
    let allowed = format!("{} to {}", range.start(), range.end());
    Err(ConfigError::out_of_range(key, &value, allowed))
}
