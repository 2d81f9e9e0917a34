//! The command line: what every workload takes, and who is compared.

use std::{convert::Infallible, path::PathBuf, str::FromStr};

use clap::Args;

/// What every workload takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Write one JSON object to this file (`-`: to standard output) instead of printing tables.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) json: Option<JsonTo>,
    /// Which peers take turns with Fulmar: none, all, or their names with commas between.
    #[arg(long, global = true, default_value = "none", value_name = "none|all|NAME,...")]
    pub(crate) peers: Peers,
    /// How many times everything is run, by turns; medians and spread are shown.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) runs: u32,
    /// What is random follows from this; each run adds one.
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Where the JSON goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonTo {
    StandardOutput,
    File(PathBuf),
}

impl FromStr for JsonTo {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Self::StandardOutput } else { Self::File(text.into()) })
    }
}

/// Who is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peers {
    None,
    All,
    Named(Vec<String>),
}

impl FromStr for Peers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "all" => Ok(Self::All),
            names => {
                let names: Vec<_> = names.split(',').map(|name| name.trim().to_owned()).collect();
                if names.iter().any(String::is_empty) {
                    return Err("none, all, or names with commas between".to_owned());
                }
                Ok(Self::Named(names))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_none_all_or_named() {
        assert_eq!("none".parse(), Ok(Peers::None));
        assert_eq!("all".parse(), Ok(Peers::All));
        assert_eq!("nats, mosquitto".parse(), Ok(Peers::Named(vec!["nats".into(), "mosquitto".into()])));
        assert!("nats,,mosquitto".parse::<Peers>().is_err());
    }
}
