//! `fulmar group`: make a group, change who is in it, look at it.

use clap::{Args, Subcommand, ValueEnum};
use fulmar_client::{Accepted, Client, Conversation, ConversationId, HistoryPolicy, Role, Roster, UserId};
use serde::Serialize;

use crate::client_options::{Beginning, ClientOptions, Patience, STAYS_IN_OUTBOX};
use crate::entry_line::{policy_name, role_name};
use crate::failure::Failure;
use crate::inbox::kind_name;
use crate::output::{self, plain};
use crate::send::AcceptedLine;

/// Create and change groups
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Example:\n  id=$(fulmar group create --title 'Night watch' bob carol)\n  \
                  fulmar send --conversation $id 'all quiet'\n  fulmar group show --conversation $id"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a group, and print its id
    #[command(after_help = "Example:\n  fulmar group create --title 'Night watch' bob carol")]
    Create {
        /// What it is called
        #[arg(long, value_name = "T")]
        title: String,
        /// What those who join later may read
        #[arg(long, value_enum, default_value_t = History::FromJoining)]
        history: History,
        /// Its members, besides you
        #[arg(value_name = "USER", required = true)]
        users: Vec<UserId>,
        #[command(flatten)]
        options: Options,
    },
    /// Add users to a group
    #[command(after_help = "Example:\n  fulmar group add --conversation $id dave")]
    Add {
        #[command(flatten)]
        group: Group,
        /// Whom to add
        #[arg(value_name = "USER", required = true)]
        users: Vec<UserId>,
        #[command(flatten)]
        options: Options,
    },
    /// Remove users from a group; they keep what they have
    #[command(after_help = "Example:\n  fulmar group remove --conversation $id dave")]
    Remove {
        #[command(flatten)]
        group: Group,
        /// Whom to remove
        #[arg(value_name = "USER", required = true)]
        users: Vec<UserId>,
        #[command(flatten)]
        options: Options,
    },
    /// Leave a group; its owner hands it over first
    #[command(after_help = "Example:\n  fulmar group leave --conversation $id")]
    Leave {
        #[command(flatten)]
        group: Group,
        #[command(flatten)]
        options: Options,
    },
    /// Change a member's role; who makes another member owner becomes an admin
    #[command(after_help = "Example:\n  fulmar group role --conversation $id bob admin")]
    Role {
        #[command(flatten)]
        group: Group,
        /// Whose role
        #[arg(value_name = "USER")]
        user: UserId,
        /// Which role
        #[arg(value_enum)]
        role: NewRole,
        #[command(flatten)]
        options: Options,
    },
    /// Show a group's title and members
    #[command(after_help = "Example:\n  fulmar group show --conversation $id --json")]
    Show {
        #[command(flatten)]
        group: Group,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Debug, Args)]
struct Group {
    /// The group's id, 32 hexadecimal digits (fulmar inbox lists them)
    #[arg(long, value_name = "ID")]
    conversation: ConversationId,
}

#[derive(Debug, Args)]
struct Options {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    client: ClientOptions,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NewRole {
    Member,
    Admin,
    Owner,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum History {
    /// The log from the entry that let them in
    FromJoining,
    /// The whole log
    All,
}

/// A change of a group that is there.
enum Change {
    Add(Vec<UserId>),
    Remove(Vec<UserId>),
    Leave,
    Role(UserId, NewRole),
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Create { title, history, users, options } => {
            Box::pin(create(&title, history, &users, &options)).await
        }
        Command::Add { group, users, options } => change(&group, Change::Add(users), &options).await,
        Command::Remove { group, users, options } => change(&group, Change::Remove(users), &options).await,
        Command::Leave { group, options } => change(&group, Change::Leave, &options).await,
        Command::Role { group, user, role, options } => {
            change(&group, Change::Role(user, role), &options).await
        }
        Command::Show { group, options } => Box::pin(show(&group, &options)).await,
    }
}

async fn connect(options: &Options) -> Result<Client, Failure> {
    let (client, _) = options.client.connect(Beginning::patient(&options.patience)).await?;
    Ok(client)
}

async fn create(title: &str, history: History, users: &[UserId], options: &Options) -> Result<(), Failure> {
    let client = connect(options).await?;
    let policy = match history {
        History::FromJoining => HistoryPolicy::FromJoining,
        History::All => HistoryPolicy::All,
    };
    let creation = Box::pin(client.create_group(title, users, policy));
    let created = options.patience.wait("the group was not created", STAYS_IN_OUTBOX, creation).await;
    client.close().await;
    let (conversation, accepted) = created??;
    if options.json {
        output::json(&AcceptedLine::new(conversation.id(), &accepted))
    } else {
        output::line(conversation.id())
    }
}

async fn change(group: &Group, change: Change, options: &Options) -> Result<(), Failure> {
    let client = connect(options).await?;
    let conversation = client.conversation(group.conversation);
    let change = Box::pin(make(&conversation, change));
    let accepted = options.patience.wait("the change was not accepted", STAYS_IN_OUTBOX, change).await;
    client.close().await;
    let accepted = accepted??;
    if options.json {
        output::json(&AcceptedLine::new(group.conversation, &accepted))
    } else {
        output::line(format!("done, as entry #{}", accepted.seq))
    }
}

async fn make(conversation: &Conversation, change: Change) -> Result<Accepted, Failure> {
    Ok(match change {
        Change::Add(users) => conversation.add(&users).await?,
        Change::Remove(users) => conversation.remove(&users).await?,
        Change::Leave => conversation.leave().await?,
        Change::Role(user, NewRole::Member) => conversation.set_role(&user, Role::Member).await?,
        Change::Role(user, NewRole::Admin) => conversation.set_role(&user, Role::Admin).await?,
        Change::Role(user, NewRole::Owner) => conversation.transfer_ownership(&user).await?,
    })
}

#[derive(Serialize)]
struct RosterLine<'r> {
    conversation: String,
    kind: &'static str,
    title: &'r str,
    history: &'static str,
    head: u64,
    members: Vec<MemberFields<'r>>,
}

#[derive(Serialize)]
struct MemberFields<'r> {
    user: &'r str,
    role: &'static str,
    delivered: u64,
    read: u64,
}

async fn show(group: &Group, options: &Options) -> Result<(), Failure> {
    let client = connect(options).await?;
    let roster = client.conversation(group.conversation).roster().await;
    client.close().await;
    let roster = roster?;
    if options.json {
        return output::json(&roster_line(group.conversation, &roster));
    }
    let title = if roster.title.is_empty() { "(no title)".to_owned() } else { plain(&roster.title) };
    let (count, policy) = (roster.members.len(), policy_name(roster.history_policy));
    output::line(format!("{title}: {count} members, {} entries, history {policy}", roster.head))?;
    for member in &roster.members {
        let (user, role) = (plain(member.user.as_str()), role_name(member.role));
        output::line(format!("  {user} ({role}): delivered #{}, read #{}", member.delivered, member.read))?;
    }
    Ok(())
}

fn roster_line(conversation: ConversationId, roster: &Roster) -> RosterLine<'_> {
    let members = roster.members.iter().map(|member| MemberFields {
        user: member.user.as_str(),
        role: role_name(member.role),
        delivered: member.delivered.get(),
        read: member.read.get(),
    });
    RosterLine {
        conversation: conversation.to_string(),
        kind: kind_name(roster.kind),
        title: &roster.title,
        history: policy_name(roster.history_policy),
        head: roster.head.get(),
        members: members.collect(),
    }
}
