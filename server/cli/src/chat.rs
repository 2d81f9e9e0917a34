//! `fulmar chat`: talk in the terminal, through disconnects.
//!
//! `state` and its neighbours hold everything, purely; `draw` shows it; `work` does what it asks for with the
//! client; `update` stands between. This file opens the terminal and runs the loop: wait for a key, an event
//! or an answer, take in what else is there, draw once.

mod compose;
mod conversation;
mod draw;
mod keys;
mod slash;
mod state;
#[cfg(test)]
mod tests;
mod timeline;
mod typed;
mod update;
mod work;
mod wrap;

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange, EventStream,
};
use fulmar_client::{Client, Event, Events};
use futures_util::{FutureExt as _, StreamExt as _};
use ratatui::DefaultTerminal;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::chat::state::Chat;
use crate::chat::update::{Action, Standing, Update};
use crate::chat::work::Worker;
use crate::client_options::ClientOptions;
use crate::failure::Failure;
use crate::signals;

/// Events taken in before the next drawing.
const EVENTS_PER_DRAWING_MAX: usize = 500;
/// How often the screen is drawn when nothing happens: a time is counted down on it.
const TICK: Duration = Duration::from_secs(1);

/// Talk, in the terminal
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fulmar chat\n\n\
                  In the chat: /to USER begins to talk to somebody, Tab goes to the next conversation, F1 lists \
                  keys and commands, Ctrl-C ends. What is sent while the server is out of reach is sent when it \
                  is back, and survives the end of the program.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    client: ClientOptions,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::usage("this needs a terminal; scripts use fulmar send and fulmar tail"));
    }
    let (client, events) = arguments.client.start()?;
    let mut terminal = open()?;
    let outcome = Box::pin(talk(&mut terminal, &client, events)).await;
    restore();
    client.close().await;
    outcome
}

/// Takes the terminal over. A panic gives it back.
fn open() -> Result<DefaultTerminal, Failure> {
    let terminal = ratatui::try_init().map_err(terminal_failure)?;
    // Terminals that know neither take no notice.
    let _ = crossterm::execute!(std::io::stdout(), EnableBracketedPaste, EnableFocusChange);
    Ok(terminal)
}

fn restore() {
    let _ = crossterm::execute!(std::io::stdout(), DisableFocusChange, DisableBracketedPaste);
    ratatui::restore();
}

fn terminal_failure(error: std::io::Error) -> Failure {
    Failure::failed(format!("cannot use this terminal: {error}; try another one"))
}

async fn talk(terminal: &mut DefaultTerminal, client: &Client, mut events: Events) -> Result<(), Failure> {
    let mut chat = Chat::new();
    let (mut worker, mut told) = Worker::start(client.clone());
    let mut keys = EventStream::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let interrupted = signals::interrupted();
    tokio::pin!(interrupted);
    loop {
        terminal.draw(|frame| draw::draw(frame, &chat, Instant::now())).map_err(terminal_failure)?;
        let actions = tokio::select! {
            () = &mut interrupted => return Ok(()),
            key = keys.next() => match key {
                Some(Ok(event)) => keys::of_event(event).map(|key| chat.typed(key)).unwrap_or_default(),
                Some(Err(error)) => return Err(terminal_failure(error)),
                None => return Ok(()),
            },
            event = events.next() => match event {
                Some(event) => take(&mut chat, client, event),
                // Nothing more will come; what is there can still be read.
                None => wait_for_key(&mut keys, &mut chat).await?,
            },
            Some(update) = told.recv() => chat.update(update),
            _ = tick.tick() => Vec::new(),
        };
        let mut actions = actions;
        actions.extend(take_what_is_there(&mut chat, client, &mut events, &mut told));
        if perform(&mut chat, &mut worker, actions) {
            return ended(&chat);
        }
    }
}

/// Takes in what happened meanwhile, so that it is drawn once.
fn take_what_is_there(
    chat: &mut Chat,
    client: &Client,
    events: &mut Events,
    told: &mut mpsc::Receiver<Update>,
) -> Vec<Action> {
    let mut actions = Vec::new();
    for _ in 0..EVENTS_PER_DRAWING_MAX {
        if let Some(Some(event)) = events.next().now_or_never() {
            actions.extend(take(chat, client, event));
        } else if let Ok(update) = told.try_recv() {
            actions.extend(chat.update(update));
        } else {
            break;
        }
    }
    actions
}

/// Takes in an event. An entry that the state has counts as delivered.
fn take(chat: &mut Chat, client: &Client, event: Event) -> Vec<Action> {
    let entry = match &event {
        Event::Entry(entry) => Some(entry.clone()),
        _ => None,
    };
    let actions = update::of_event(event, client.user()).map(|update| chat.update(update));
    if let Some(entry) = entry {
        entry.confirm();
    }
    actions.unwrap_or_default()
}

/// Has everything done that is asked for, and what follows from that. True when the chat is to end.
fn perform(chat: &mut Chat, worker: &mut Worker, mut actions: Vec<Action>) -> bool {
    while !actions.is_empty() {
        let mut following = Vec::new();
        for action in actions {
            if action == Action::Quit {
                return true;
            }
            if let Some(update) = worker.perform(action) {
                following.extend(chat.update(update));
            }
        }
        actions = following;
    }
    false
}

async fn wait_for_key(keys: &mut EventStream, chat: &mut Chat) -> Result<Vec<Action>, Failure> {
    match keys.next().await {
        Some(Ok(event)) => Ok(keys::of_event(event).map(|key| chat.typed(key)).unwrap_or_default()),
        Some(Err(error)) => Err(terminal_failure(error)),
        None => Ok(vec![Action::Quit]),
    }
}

/// A session that the server ended for good is a failure; to leave is none.
fn ended(chat: &Chat) -> Result<(), Failure> {
    match &chat.standing {
        Standing::Ended { reason } => Err(Failure::failed(reason.clone())),
        _ => Ok(()),
    }
}
