//! Blanks out what is not code in a Rust file: comments, and the insides of literals.
//!
//! Lines and columns stay where they were. It knows nested block comments, escapes, raw and byte
//! strings, and tells a lifetime from a character. It does not parse.

/// The text with comments and the insides of literals replaced by blanks.
pub(crate) fn mask(text: &str) -> String {
    let mut masker = Masker { letters: text.chars().collect(), at: 0, code: String::new() };
    while let Some(letter) = masker.peek(0) {
        masker.step(letter);
    }
    masker.code
}

struct Masker {
    letters: Vec<char>,
    at: usize,
    code: String,
}

impl Masker {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.letters.get(self.at + ahead).copied()
    }

    fn starts_with(&self, pattern: &str) -> bool {
        pattern.chars().enumerate().all(|(ahead, letter)| self.peek(ahead) == Some(letter))
    }

    fn keep(&mut self, count: usize) {
        for _ in 0..count {
            self.code.extend(self.peek(0));
            self.at += 1;
        }
    }

    fn blank(&mut self, count: usize) {
        for _ in 0..count {
            self.code.extend(self.peek(0).map(|letter| if letter == '\n' { '\n' } else { ' ' }));
            self.at += 1;
        }
    }

    fn step(&mut self, letter: char) {
        match letter {
            '/' if self.peek(1) == Some('/') => self.blank_until(|masker| masker.peek(0) == Some('\n')),
            '/' if self.peek(1) == Some('*') => self.block_comment(),
            '"' => self.string(),
            '\'' => self.character_or_lifetime(),
            _ if letter.is_alphanumeric() || letter == '_' => self.word(),
            _ => self.keep(1),
        }
    }

    /// Blanks until the condition holds or the text ends.
    fn blank_until(&mut self, done: impl Fn(&Self) -> bool) {
        while self.peek(0).is_some() && !done(self) {
            self.blank(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.peek(0).is_some() {
            if self.starts_with("/*") {
                depth += 1;
                self.blank(2);
            } else if self.starts_with("*/") {
                depth = depth.saturating_sub(1);
                self.blank(2);
                if depth == 0 {
                    return;
                }
            } else {
                self.blank(1);
            }
        }
    }

    fn string(&mut self) {
        self.keep(1);
        while let Some(letter) = self.peek(0) {
            match letter {
                '"' => return self.keep(1),
                '\\' => self.blank(2),
                _ => self.blank(1),
            }
        }
    }

    fn character_or_lifetime(&mut self) {
        if self.peek(1) == Some('\\') {
            self.keep(1);
            self.blank(2);
            self.blank_until(|masker| masker.peek(0) == Some('\''));
            self.keep(1);
        } else if self.peek(2) == Some('\'') {
            self.keep(1);
            self.blank(1);
            self.keep(1);
        } else {
            self.keep(1);
        }
    }

    /// An identifier, keyword or number; it may be the prefix of a raw string.
    fn word(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
            self.keep(1);
        }
        let prefix: String = self.letters.iter().take(self.at).skip(start).collect();
        if matches!(prefix.as_str(), "r" | "br" | "cr") {
            let hashes = (0..).take_while(|ahead| self.peek(*ahead) == Some('#')).count();
            if self.peek(hashes) == Some('"') {
                self.keep(hashes + 1);
                let close = format!("\"{}", "#".repeat(hashes));
                self.blank_until(|masker| masker.starts_with(&close));
                self.keep(hashes + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_code_is_blanked_and_lines_stay() {
        for (text, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("x(\"y\\\"z\", w)", "x(\"    \", w)"),
            ("r#\"a\"b\"# c", "r#\"   \"# c"),
            ("br\"\\\" c", "br\" \" c"),
            ("r#type f", "r#type f"),
            ("&'a str, 'b', '\\'', b'\\n'", "&'a str, ' ', '  ', b'  '"),
            ("\"open\n", "\"    \n"),
        ] {
            assert_eq!(mask(text), code, "of {text:?}");
        }
    }
}
