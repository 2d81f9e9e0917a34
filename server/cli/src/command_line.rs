//! What can be typed: the list of commands. The arguments of each stand with the command.

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::{
    admin, chat, cluster, demo, group, history, inbox, log, mark_read, send, serve, store, tail, token,
};

/// Fulmar: durable, ordered conversations over QUIC. Server, administration and client in one.
#[derive(Debug, Parser)]
#[command(
    name = "fulmar",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Example: a first look, which needs nothing else:\n  fulmar demo\n\n\
                  Example: a server to try things out with; it prints what to type next:\n  \
                  fulmar serve --data fulmar-data --dev\n\n\
                  Exit codes: 0 done, 1 failed, 2 not typed right."
)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Serve(serve::Arguments),
    Token(token::Arguments),
    Admin(admin::Arguments),
    Store(store::Arguments),
    Cluster(cluster::Arguments),
    Send(send::Arguments),
    Tail(tail::Arguments),
    History(history::Arguments),
    Inbox(inbox::Arguments),
    MarkRead(mark_read::Arguments),
    Group(group::Arguments),
    Chat(chat::Arguments),
}

impl CommandLine {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if !matches!(self.command, Command::Serve(_)) {
            log::start_if_asked_for()?;
        }
        match self.command {
            Command::Demo(arguments) => Box::pin(demo::run(arguments)).await,
            Command::Serve(arguments) => Box::pin(serve::run(arguments)).await,
            Command::Token(arguments) => token::run(&arguments),
            Command::Admin(arguments) => admin::run(&arguments),
            Command::Store(arguments) => store::run(&arguments),
            Command::Cluster(arguments) => cluster::run(&arguments),
            Command::Send(arguments) => Box::pin(send::run(arguments)).await,
            Command::Tail(arguments) => Box::pin(tail::run(arguments)).await,
            Command::History(arguments) => Box::pin(history::run(arguments)).await,
            Command::Inbox(arguments) => Box::pin(inbox::run(arguments)).await,
            Command::MarkRead(arguments) => Box::pin(mark_read::run(arguments)).await,
            Command::Group(arguments) => Box::pin(group::run(arguments)).await,
            Command::Chat(arguments) => Box::pin(chat::run(arguments)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_of_itself() {
        fn check(command: &clap::Command, path: &str) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example:") && help.contains(path), "{path}: {help:?}");
            for subcommand in command.get_subcommands() {
                check(subcommand, &format!("{path} {}", subcommand.get_name()));
            }
        }
        check(&CommandLine::command(), "fulmar");
    }

    #[test]
    fn scripts_find_the_names_they_rely_on() {
        for line in [
            "fulmar demo --json --messages 10",
            "fulmar serve --data d --listen [::]:1 --admin 127.0.0.1:2 --config c.toml --dev",
            "fulmar token alice --data d --ttl 30d",
            "fulmar admin sessions --admin 127.0.0.1:2",
            "fulmar admin --admin 127.0.0.1:2 revoke alice",
            "fulmar admin drain",
            "fulmar store check --data d",
            "fulmar store compact --data d",
            "fulmar cluster ca --out d --force --json",
            "fulmar cluster cert node-1 --ca d --out e --ttl 90d --force --json",
            "fulmar send --server h:1 --ca c --token t --state s --to bob hello --json",
            "fulmar send --conversation 0100000000000000000000000000000f --stdin --timeout 5s",
            "fulmar tail --with bob --from 1 --count 3 --json",
            "fulmar tail",
            "fulmar inbox --server a:1,b:2 --server c:3",
            "fulmar cluster secret secret --show",
            "fulmar history --conversation 0100000000000000000000000000000f --json",
            "fulmar inbox --json",
            "fulmar mark-read --conversation 0100000000000000000000000000000f --seq 3",
            "fulmar group create --title T bob carol",
            "fulmar group add --conversation 0200000000000000000000000000000f dave",
            "fulmar group remove --conversation 0200000000000000000000000000000f dave",
            "fulmar group leave --conversation 0200000000000000000000000000000f",
            "fulmar group role --conversation 0200000000000000000000000000000f dave admin",
            "fulmar group show --conversation 0200000000000000000000000000000f",
            "fulmar chat",
        ] {
            let parsed = CommandLine::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.expect_err("a fault"));
        }
    }
}
