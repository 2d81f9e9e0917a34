//! Draws the log of a conversation, from the lowest line in sight upwards until the screen is full.

use fulmar_client::{Content, UserId};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::DIM;
use crate::chat::conversation::{Conversation, Progress};
use crate::chat::state::Chat;
use crate::chat::timeline::{Draft, Message, Shown};
use crate::chat::update::Entry;
use crate::chat::wrap::{fit, width_of, wrap};
use crate::entry_line;
use crate::output::plain;
use crate::time_of_day;

/// Columns of a sender's name; a longer one is cut.
const NAME_COLUMNS_MAX: usize = 16;
/// The colours of other people's names.
const COLORS: [Color; 6] =
    [Color::Yellow, Color::Blue, Color::Magenta, Color::LightRed, Color::LightBlue, Color::LightMagenta];

/// Draws the log.
pub(super) fn draw(frame: &mut Frame<'_>, chat: &Chat, conversation: &Conversation, area: Rect) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let mut lines = lines_above(chat, conversation, width, height);
    lines.truncate(height);
    lines.reverse();
    // At the very top there may be room below.
    let below = conversation.anchor.into_iter().flat_map(|anchor| conversation.timeline.lines_after(anchor));
    for entry in below {
        if lines.len() >= height {
            break;
        }
        lines.extend(entry_lines(chat, conversation, entry, width));
    }
    lines.truncate(height);
    let rows = u16::try_from(lines.len()).unwrap_or(area.height).min(area.height);
    let top = area.y.saturating_add(area.height.saturating_sub(rows));
    frame.render_widget(Paragraph::new(lines), Rect::new(area.x, top, area.width, rows));
}

/// The lines from the lowest in sight upwards, the lowest first: at least `height`, where there are so many.
fn lines_above<'c>(chat: &Chat, conversation: &Conversation, width: usize, height: usize) -> Vec<Line<'c>> {
    let timeline = &conversation.timeline;
    let mut lines: Vec<Line<'c>> = Vec::new();
    if conversation.anchor.is_none() {
        for draft in timeline.drafts().iter().rev() {
            lines.extend(draft_lines(chat, draft, width).into_iter().rev());
        }
    }
    let last = conversation.anchor.unwrap_or(timeline.newest());
    let mut below: Option<String> = None;
    for entry in timeline.lines_up_to(last).rev() {
        let date = time_of_day::date(entry.at);
        if let Some(below) = below.replace(date.clone())
            && below != date
        {
            lines.push(date_line(&below, width));
        }
        lines.extend(entry_lines(chat, conversation, entry, width).into_iter().rev());
        if lines.len() >= height {
            return lines;
        }
    }
    match timeline.wanted_before() {
        Some(_) if conversation.is_page_wanted => lines.push(Line::styled("loading…", DIM)),
        None => lines.extend(below.map(|date| date_line(&date, width))),
        _ => {}
    }
    lines
}

fn date_line<'c>(date: &str, width: usize) -> Line<'c> {
    Line::styled(fit(&format!("— {date} —"), width), DIM).centered()
}

fn entry_lines<'c>(chat: &Chat, conversation: &Conversation, entry: &Entry, width: usize) -> Vec<Line<'c>> {
    let number = format!("{:>4} {} ", entry.seq, time_of_day::clock(entry.at));
    let sender = fit(&plain(entry.sender.as_str()), NAME_COLUMNS_MAX);
    match conversation.timeline.shown(entry) {
        Shown::Notice(text) => {
            let indent = width_of(&number);
            let wrapped = wrap(&format!("{sender} {text}"), width.saturating_sub(indent));
            with_head(vec![Span::styled(number, DIM)], indent, wrapped, DIM)
        }
        Shown::Message(message) => {
            let is_mine = chat.me.as_ref() == Some(&entry.sender);
            let tick = chat.me.as_ref().filter(|_| is_mine).map(|me| conversation.progress(entry.seq, me));
            let head = vec![Span::styled(number, DIM), name(&sender, &entry.sender, is_mine)];
            message_lines(conversation, &message, head, tick, width)
        }
    }
}

fn message_lines<'c>(
    conversation: &Conversation,
    message: &Message,
    head: Vec<Span<'c>>,
    tick: Option<Progress>,
    width: usize,
) -> Vec<Line<'c>> {
    let indent: usize = head.iter().map(Span::width).sum();
    let columns = width.saturating_sub(indent).max(1);
    let mut text = message.text.clone();
    if message.is_edited {
        text.push_str(" (edited)");
    }
    for (reaction, count) in &message.reactions {
        let count = if *count > 1 { count.to_string() } else { String::new() };
        text.push_str(&format!(" [{}{count}]", plain(reaction)));
    }
    let style = if message.is_redacted { DIM } else { Style::new() };
    let mut lines = Vec::new();
    let mut head = Some(head);
    if let Some(target) = message.reply_to {
        let quoted = conversation.timeline.entry(target).map_or_else(String::new, |entry| match conversation
            .timeline
            .shown(entry)
        {
            Shown::Message(message) => format!(" {}: {}", entry.sender, message.text.replace('\n', " ")),
            Shown::Notice(text) => format!(" {text}"),
        });
        let quote = fit(&format!("↳ #{target}{}", plain(&quoted)), columns);
        lines.extend(with_head(head.take().unwrap_or_default(), indent, vec![quote], DIM));
    }
    // Two columns for the tick, and one before it.
    let wrapped = wrap(&text, columns.saturating_sub(if tick.is_some() { 3 } else { 0 }));
    let head = head.unwrap_or_else(|| vec![Span::raw(" ".repeat(indent))]);
    lines.extend(with_head(head, indent, wrapped, style));
    if let (Some(tick), Some(last)) = (tick, lines.last_mut()) {
        last.push_span(Span::raw(" "));
        last.push_span(tick_span(tick));
    }
    lines
}

/// Something on its way: it has no number and no time yet.
fn draft_lines<'c>(chat: &Chat, draft: &Draft, width: usize) -> Vec<Line<'c>> {
    let me = chat.me.as_ref().map_or("", UserId::as_str);
    let head =
        vec![Span::styled("           ", DIM), Span::raw(format!("{}: ", fit(&plain(me), NAME_COLUMNS_MAX)))];
    let indent: usize = head.iter().map(Span::width).sum();
    let text = match &draft.content {
        Content::Message(message) => entry_line::body_lines(&message.content_type, &message.body),
        content => entry_line::describe(content),
    };
    let wrapped = wrap(&text, width.saturating_sub(indent).saturating_sub(2));
    let mut lines = with_head(head, indent, wrapped, DIM);
    if let Some(last) = lines.last_mut() {
        last.push_span(Span::raw(" "));
        last.push_span(match &draft.refused {
            None => Span::styled("…", DIM),
            Some(_) => Span::styled("✗", Style::new().fg(Color::Red)),
        });
    }
    lines
}

/// The first line with its head, the others as far in.
fn with_head<'c>(head: Vec<Span<'c>>, indent: usize, wrapped: Vec<String>, style: Style) -> Vec<Line<'c>> {
    let mut head = Some(head);
    let line = |text: String| {
        let mut spans = head.take().unwrap_or_else(|| vec![Span::raw(" ".repeat(indent))]);
        spans.push(Span::styled(text, style));
        Line::from(spans)
    };
    wrapped.into_iter().map(line).collect()
}

fn name<'c>(shown: &str, user: &UserId, is_mine: bool) -> Span<'c> {
    let sum = user.as_bytes().iter().fold(0_usize, |sum, byte| sum.wrapping_add(usize::from(*byte)));
    let color = COLORS.get(sum % COLORS.len()).copied().unwrap_or(Color::Yellow);
    let style = if is_mine { Style::new() } else { Style::new().fg(color) };
    Span::styled(format!("{shown}: "), style)
}

fn tick_span<'c>(progress: Progress) -> Span<'c> {
    match progress {
        Progress::Sent => Span::styled("✓", DIM),
        Progress::Delivered => Span::styled("✓✓", DIM),
        Progress::Read => Span::styled("✔✔", Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD)),
    }
}
