//! Draws the list of conversations: who, whether they are there, and how much is unread.

use fulmar_client::{ConversationKind, PresenceState};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::{BOLD, DIM, state_of};
use crate::chat::conversation::Conversation;
use crate::chat::state::Chat;
use crate::chat::wrap::{fit, width_of};

/// Draws the list, so far down that the selected conversation is in sight.
pub(super) fn draw(frame: &mut Frame<'_>, chat: &Chat, area: Rect) {
    let block = Block::new().borders(Borders::RIGHT).border_style(DIM);
    let inner = block.inner(area);
    let rows = usize::from(inner.height).max(1);
    let selected = chat.list().position(|conversation| Some(conversation.id) == chat.selected);
    let skipped = selected.map_or(0, |selected| selected.saturating_sub(rows.saturating_sub(1)));
    let width = usize::from(inner.width);
    let lines: Vec<Line<'_>> =
        chat.list().skip(skipped).take(rows).map(|conversation| line(chat, conversation, width)).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn line<'c>(chat: &Chat, conversation: &Conversation, width: usize) -> Line<'c> {
    let (sign, color) = match (&conversation.peer, conversation.id.kind()) {
        (Some(peer), ConversationKind::Direct) => match state_of(chat, peer) {
            PresenceState::Online => ("●", Color::Green),
            PresenceState::Away => ("◐", Color::Yellow),
            PresenceState::Offline => ("○", Color::DarkGray),
        },
        _ => ("#", Color::Cyan),
    };
    let unread = if conversation.unread > 0 { format!(" {} ", conversation.unread) } else { String::new() };
    let name_width = width.saturating_sub(width_of(&unread)).saturating_sub(3);
    let name = fit(&conversation.name(), name_width);
    let gap = name_width.saturating_sub(width_of(&name));
    let is_selected = Some(conversation.id) == chat.selected;
    let base = if is_selected { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let name_style = if conversation.unread > 0 { base.patch(BOLD) } else { base };
    Line::from(vec![
        Span::styled(format!("{sign} "), base.fg(color)),
        Span::styled(format!("{name}{}", " ".repeat(gap)), name_style),
        Span::styled(unread, base.fg(Color::Black).bg(Color::Green)),
        Span::styled(" ", base),
    ])
}
