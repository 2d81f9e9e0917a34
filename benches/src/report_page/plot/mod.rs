//! Pictures, as SVG: one file each, on a background of its own, dark where the reader's screen is.
//!
//! Text stays text, so it needs no font here; how wide it gets at the reader's is guessed with room to spare.

mod axis;
mod bars;
mod lines;
mod look;

use plotters::{
    coord::Shift,
    drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea as _},
    prelude::SVGBackend,
    style::{
        Color as _, FontStyle, IntoFont as _, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

pub(super) use axis::Axis;
pub(super) use bars::{Bar, Bars, Group};
pub(super) use lines::{Line, Lines};
pub(super) use look::{Look, look_of_floor, look_of_peer};

use crate::error::BenchError;
use look::{BACKGROUND, Ink, MUTED, TEXT};

/// Of every picture.
const WIDTH: u32 = 960;
const MARGIN: i32 = 16;
/// Of what stands beside marks.
const TEXT_SIZE: f64 = 13.0;
const SMALL_TEXT_SIZE: f64 = 11.0;
const TITLE_SIZE: f64 = 16.0;
/// Where the title's line ends.
const TITLE_HEIGHT: i32 = 40;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Draws on an empty picture with a title.
fn draw(title: &str, height: u32, on: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, BenchError> {
    let mut svg = String::new();
    let drawn = || -> Drawn {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        area.fill(&BACKGROUND.colour())?;
        write(&area, title, (MARGIN, 14), TITLE_SIZE, TEXT, HPos::Left, FontStyle::Bold)?;
        on(&area)?;
        area.present()
    };
    drawn().map_err(|error| BenchError::Wrong(format!("a picture cannot be drawn: {error}")))?;
    Ok(look::dress(&svg, title))
}

/// Text with its upper edge, and its left end, middle or right end, at a place.
fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: f64,
    ink: Ink,
    to: HPos,
    weight: FontStyle,
) -> Drawn {
    area.draw_text(text, &text_style(size, ink, weight).pos(Pos::new(to, VPos::Top)), at)
}

/// As much of a text as fits into a width; letters are taken to be a little more than half as wide as high.
fn fitting(text: &str, size: f64, width: i32) -> String {
    let mut room = f64::from(width) - size;
    let mut fits = String::new();
    for letter in text.chars() {
        room -= 0.56 * size;
        if room < -size {
            return format!("{}…", fits.trim_end());
        }
        fits.push(letter);
    }
    fits
}

fn text_style(size: f64, ink: Ink, weight: FontStyle) -> TextStyle<'static> {
    // The library divides what it is told by this number.
    ("sans-serif", size * 1.24, weight).into_font().color(&ink.colour().to_rgba())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_has_no_room_ends_with_an_ellipsis() {
        assert_eq!(fitting("short", 10.0, 100), "short");
        let long = fitting(&"x".repeat(100), 10.0, 100);
        assert!(long.ends_with('…') && long.chars().count() < 20, "{long}");
    }
}
