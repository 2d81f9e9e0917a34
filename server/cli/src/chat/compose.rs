//! The line that is being written: a text and a cursor in it. Pure.

use fulmar_protocol::limits::BODY_BYTES_MAX;

/// A text that is being written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Compose {
    text: String,
    /// Bytes of the text before the cursor; always at a character's start.
    cursor: usize,
}

impl Compose {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor.
    pub(super) fn before_cursor(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    /// Writes at the cursor. What a message cannot hold is left out, as are control characters.
    pub(super) fn insert(&mut self, text: &str) {
        for letter in text.chars().filter(|letter| *letter == '\n' || !letter.is_control()) {
            if self.text.len().saturating_add(letter.len_utf8()) > BODY_BYTES_MAX {
                return;
            }
            self.text.insert(self.cursor, letter);
            self.cursor = self.cursor.saturating_add(letter.len_utf8());
        }
    }

    pub(super) fn backspace(&mut self) {
        let end = self.cursor;
        self.left();
        self.text.replace_range(self.cursor..end, "");
    }

    pub(super) fn delete(&mut self) {
        let length = self.after_cursor().chars().next().map_or(0, char::len_utf8);
        self.text.replace_range(self.cursor..self.cursor.saturating_add(length), "");
    }

    /// Deletes the word before the cursor, and the spaces after that word.
    pub(super) fn delete_word(&mut self) {
        let end = self.cursor;
        let word = self.before_cursor().trim_end();
        self.cursor = word.rfind(char::is_whitespace).map_or(0, |space| space.saturating_add(1));
        self.text.replace_range(self.cursor..end, "");
    }

    pub(super) fn left(&mut self) {
        let length = self.before_cursor().chars().next_back().map_or(0, char::len_utf8);
        self.cursor = self.cursor.saturating_sub(length);
    }

    pub(super) fn right(&mut self) {
        let length = self.after_cursor().chars().next().map_or(0, char::len_utf8);
        self.cursor = self.cursor.saturating_add(length);
    }

    pub(super) fn home(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn end(&mut self) {
        self.cursor = self.text.len();
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn after_cursor(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(text: &str) -> Compose {
        let mut compose = Compose::default();
        compose.insert(text);
        compose
    }

    #[test]
    fn letters_of_any_length_are_inserted_and_deleted_whole() {
        let mut compose = composed("añ🐦");
        compose.left();
        compose.backspace();
        compose.insert("n\u{7}");
        assert_eq!((compose.text(), compose.before_cursor()), ("an🐦", "an"));
        compose.delete();
        compose.delete();
        compose.home();
        compose.backspace();
        assert_eq!(compose.text(), "an");
    }

    #[test]
    fn a_word_is_deleted_with_the_spaces_behind_it() {
        let mut compose = composed("one two  ");
        compose.delete_word();
        assert_eq!(compose.text(), "one ");
        compose.delete_word();
        compose.delete_word();
        assert_eq!(compose.text(), "");
    }

    #[test]
    fn no_more_is_taken_than_a_message_holds() {
        let mut compose = composed(&"x".repeat(BODY_BYTES_MAX));
        compose.insert("y");
        assert_eq!(compose.text().len(), BODY_BYTES_MAX);
        compose.clear();
        assert_eq!(compose, Compose::default());
    }
}
