//! Draws the chat. Reads the state and changes nothing of it.
//!
//! On the left the list (where the terminal is wide enough), on the right the conversation: who it is with,
//! the log, who types, the line that is being written. At the bottom how things stand with the server.

mod list;
mod log;

use fulmar_client::{ConversationKind, PresenceState, TimestampMs, UserId};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};
use tokio::time::Instant;

use super::conversation::Conversation;
use super::slash::COMMANDS;
use super::state::Chat;
use super::update::Standing;
use super::wrap::{fit, width_of, wrap};
use crate::output::plain;
use crate::time_of_day;

/// Terminals narrower than this have no list.
const LIST_FROM_COLUMNS: u16 = 64;
const LIST_COLUMNS: u16 = 28;
/// Lines of what is being written that are seen at a time.
const COMPOSE_LINES_MAX: usize = 6;

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, chat: &Chat, now: Instant) {
    let [main, status] = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
    let talk = if main.width >= LIST_FROM_COLUMNS {
        let columns = [Constraint::Length(LIST_COLUMNS), Constraint::Min(1)];
        let [list, talk] = Layout::horizontal(columns).areas(main);
        list::draw(frame, chat, list);
        talk
    } else {
        main
    };
    draw_talk(frame, chat, talk);
    draw_status(frame, chat, status, now);
    if chat.is_help_shown {
        draw_help(frame, main);
    }
}

fn draw_talk(frame: &mut Frame<'_>, chat: &Chat, area: Rect) {
    let width = usize::from(area.width.saturating_sub(2)).max(1);
    let written = wrap(chat.compose.text(), width);
    let before = wrap(chat.compose.before_cursor(), width);
    let lines = written.len().min(COMPOSE_LINES_MAX);
    let compose_rows = u16::try_from(lines).unwrap_or(1).saturating_add(1);
    let rows =
        [Constraint::Length(2), Constraint::Min(1), Constraint::Length(1), Constraint::Length(compose_rows)];
    let [header, log, typing, compose] = Layout::vertical(rows).areas(area);
    let Some(conversation) = chat.current() else {
        let hint = "Nobody here yet. Type /to USER to talk to somebody, F1 for help.";
        frame.render_widget(Paragraph::new(Line::styled(hint, DIM)).wrap(Wrap { trim: true }), log);
        draw_compose(frame, compose, &written, &before);
        return;
    };
    let block = Block::new().borders(Borders::BOTTOM).border_style(DIM);
    frame.render_widget(Paragraph::new(header_line(chat, conversation)).block(block), header);
    log::draw(frame, chat, conversation, log);
    let typing_users: Vec<String> = conversation.typing.iter().map(|user| plain(user.as_str())).collect();
    if !typing_users.is_empty() {
        let verb = if typing_users.len() == 1 { "types" } else { "type" };
        let text = format!("{} {verb}…", typing_users.join(", "));
        frame.render_widget(Line::styled(fit(&text, usize::from(typing.width)), DIM), typing);
    }
    draw_compose(frame, compose, &written, &before);
}

/// The line that is being written; of several the last ones up to the cursor.
fn draw_compose(frame: &mut Frame<'_>, area: Rect, written: &[String], before: &[String]) {
    let row = before.len().saturating_sub(1);
    let skipped = row.saturating_sub(COMPOSE_LINES_MAX.saturating_sub(1));
    let lines: Vec<Line<'_>> = written
        .iter()
        .enumerate()
        .skip(skipped)
        .map(|(index, line)| {
            Line::from(vec![Span::styled(if index == 0 { "> " } else { "  " }, BOLD), Span::raw(line)])
        })
        .collect();
    let block = Block::new().borders(Borders::TOP).border_style(DIM);
    frame.render_widget(Paragraph::new(lines).block(block), area);
    let column = before.last().map_or(0, |line| width_of(line)).saturating_add(2);
    let x = area.x.saturating_add(u16::try_from(column).unwrap_or(u16::MAX));
    let y = area.y.saturating_add(u16::try_from(row.saturating_sub(skipped)).unwrap_or(0)).saturating_add(1);
    frame.set_cursor_position(Position::new(x.min(area.right().saturating_sub(1)), y));
}

/// Who the conversation is with, and whether they are there.
fn header_line<'c>(chat: &Chat, conversation: &Conversation) -> Line<'c> {
    let mut spans = vec![Span::styled(conversation.name(), BOLD), Span::raw("  ")];
    match (&conversation.peer, conversation.id.kind()) {
        (Some(peer), ConversationKind::Direct) => spans.push(presence_in_words(chat, peer)),
        _ if !conversation.is_open() => spans.push(Span::styled("you are no longer a member", DIM)),
        _ => {
            let members = &conversation.members;
            let there = members.iter().filter(|member| state_of(chat, &member.user) == PresenceState::Online);
            let text = format!("{} members, {} of the others online", members.len(), there.count());
            spans.push(Span::styled(text, DIM));
        }
    }
    if conversation.anchor.is_some() {
        spans.push(Span::styled("  (older; Esc for the newest)", DIM));
    }
    Line::from(spans)
}

fn state_of(chat: &Chat, user: &UserId) -> PresenceState {
    chat.presence.get(user).map_or(PresenceState::Offline, |(state, _)| *state)
}

fn presence_in_words<'c>(chat: &Chat, user: &UserId) -> Span<'c> {
    match chat.presence.get(user) {
        Some((PresenceState::Online, _)) => Span::styled("online", Style::new().fg(Color::Green)),
        Some((PresenceState::Away, _)) => Span::styled("away", Style::new().fg(Color::Yellow)),
        Some((_, Some(at))) => Span::styled(format!("last seen {}", seen_at(*at)), DIM),
        _ => Span::styled("not here", DIM),
    }
}

fn seen_at(at: TimestampMs) -> String {
    format!("{}, {}", time_of_day::date(at), time_of_day::clock(at))
}

/// How things stand with the server, or what there is to tell.
fn draw_status(frame: &mut Frame<'_>, chat: &Chat, area: Rect, now: Instant) {
    let under_way = match chat.under_way() {
        0 => String::new(),
        count => format!(" · {count} on the way"),
    };
    let (sign, color, text) = match &chat.standing {
        Standing::Connecting => ("○", Color::Yellow, format!("connecting…{under_way}")),
        Standing::Online { user } => {
            ("●", Color::Green, format!("online as {}{under_way}", plain(user.as_str())))
        }
        Standing::Offline { reason, retry_at } => {
            let seconds = retry_at.saturating_duration_since(now).as_secs();
            let text = format!("offline: {}; next try in {seconds} s{under_way}", plain(reason));
            ("○", Color::Red, text)
        }
        Standing::Ended { reason } => ("×", Color::Red, format!("{}; /quit ends", plain(reason))),
    };
    let text = match &chat.notice {
        Some(notice) => format!("{} (Esc)", plain(notice)),
        None => format!("{text} · F1 help"),
    };
    let width = usize::from(area.width.saturating_sub(2));
    let line = Line::from(vec![
        Span::styled(sign, Style::new().fg(color)),
        Span::raw(" "),
        Span::raw(fit(&text, width)),
    ]);
    frame.render_widget(line, area);
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let keys = [
        ("Tab, Shift-Tab", "the next conversation, the one before"),
        ("PgUp, PgDn, ↑, ↓", "scroll; older entries are loaded"),
        ("Alt-Enter", "a new line; Enter sends"),
        ("Esc", "back to the newest; close this"),
        ("Ctrl-C", "end"),
    ];
    let signs = [("… ✓ ✓✓ ✔✔", "on its way, sent, delivered, read"), ("✗", "refused")];
    let rows = keys.iter().chain(&signs).chain(&COMMANDS);
    let mut lines: Vec<Line<'_>> = rows
        .map(|(what, does)| Line::from(vec![Span::styled(format!(" {what:<30} "), BOLD), Span::raw(*does)]))
        .collect();
    lines.push(Line::styled(" Entries are named by the number on their left.", DIM));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
    let width = area.width.min(76);
    let x = area.x.saturating_add(area.width.saturating_sub(width) / 2);
    let y = area.y.saturating_add(area.height.saturating_sub(height) / 2);
    let place = Rect::new(x, y, width, height);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Help ")), place);
}
