//! Breaks text into lines of a width, at spaces where there are some. Pure.

use ratatui::text::Span;

/// The lines of a text, none wider than `width` columns. At least one, perhaps empty.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    text.split('\n').flat_map(|line| wrap_line(line, width)).collect()
}

fn wrap_line(line: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut current, mut columns) = (String::new(), 0_usize);
    for word in line.split_inclusive(' ') {
        let word_columns = width_of(word.trim_end_matches(' '));
        if columns > 0 && columns.saturating_add(word_columns) > width {
            lines.push(trimmed(std::mem::take(&mut current)));
            columns = 0;
        }
        for letter in word.chars() {
            let letter_columns = width_of(letter.encode_utf8(&mut [0; 4]));
            if columns.saturating_add(letter_columns) > width {
                if letter == ' ' {
                    continue;
                }
                lines.push(trimmed(std::mem::take(&mut current)));
                columns = 0;
            }
            current.push(letter);
            columns = columns.saturating_add(letter_columns);
        }
    }
    lines.push(trimmed(current));
    lines
}

fn trimmed(mut line: String) -> String {
    line.truncate(line.trim_end_matches(' ').len());
    line
}

/// The columns that a text takes on a terminal.
pub(super) fn width_of(text: &str) -> usize {
    Span::raw(text).width()
}

/// The beginning of a text that fits, with a sign where something is left out.
pub(super) fn fit(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut fitted = String::new();
    for letter in text.chars() {
        let columns = width_of(&fitted).saturating_add(width_of(letter.encode_utf8(&mut [0; 4])));
        if columns >= width {
            break;
        }
        fitted.push(letter);
    }
    fitted.push('…');
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrap("the bird rides the storm", 9), ["the bird", "rides the", "storm"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("", 9), [""]);
    }

    #[test]
    fn a_word_that_is_too_long_is_broken_anywhere() {
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("你好吗", 4), ["你好", "吗"]);
        assert_eq!(wrap("你", 1), ["", "你"]);
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        assert_eq!(fit("fulmar", 6), "fulmar");
        assert_eq!(fit("fulmars", 6), "fulma…");
    }
}
