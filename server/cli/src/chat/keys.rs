//! What a terminal's events mean to the chat.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::typed::Key;

/// The key of an event, if it is one that means something.
pub(super) fn of_event(event: Event) -> Option<Key> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => of_key(key),
        Event::Paste(text) => Some(Key::Text(text.replace("\r\n", "\n").replace('\r', "\n"))),
        Event::FocusGained => Some(Key::FocusGained),
        Event::FocusLost => Some(Key::FocusLost),
        _ => None,
    }
}

fn of_key(key: KeyEvent) -> Option<Key> {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    let is_alt = key.modifiers.contains(KeyModifiers::ALT);
    Some(match key.code {
        KeyCode::Char(letter) if is_control => return of_control(letter),
        KeyCode::Char(letter) => Key::Text(letter.to_string()),
        KeyCode::Enter if is_alt || key.modifiers.contains(KeyModifiers::SHIFT) => Key::NewLine,
        KeyCode::Enter => Key::Enter,
        KeyCode::Backspace if is_alt || is_control => Key::DeleteWord,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::BackTab => Key::PreviousConversation,
        KeyCode::Tab => Key::NextConversation,
        KeyCode::Esc => Key::Escape,
        KeyCode::F(1) => Key::Help,
        _ => return None,
    })
}

fn of_control(letter: char) -> Option<Key> {
    Some(match letter {
        'c' | 'q' => Key::Quit,
        'j' => Key::NewLine,
        'w' | 'h' => Key::DeleteWord,
        'u' => Key::ClearLine,
        'a' => Key::Home,
        'e' => Key::End,
        'n' => Key::NextConversation,
        'p' => Key::PreviousConversation,
        _ => return None,
    })
}
