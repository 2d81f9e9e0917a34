//! Colours, marks and dashes: who is who without colour, too.
//!
//! Each colour has a twin for dark screens. The library writes colours as attributes; a style sheet in the picture
//! replaces them there, so that one file serves both. Nobody is known by colour alone: marks differ as well.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// A colour on a light and on a dark background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report_page) struct Ink {
    light: (u8, u8, u8),
    dark: (u8, u8, u8),
}

impl Ink {
    const fn new(light: (u8, u8, u8), dark: (u8, u8, u8)) -> Self {
        Self { light, dark }
    }

    /// As it is drawn; see [`dress`].
    pub(super) fn colour(self) -> RGBColor {
        let (red, green, blue) = self.light;
        RGBColor(red, green, blue)
    }
}

pub(super) const BACKGROUND: Ink = Ink::new((0xFF, 0xFF, 0xFF), (0x0D, 0x11, 0x17));
pub(super) const TEXT: Ink = Ink::new((0x1F, 0x23, 0x28), (0xE6, 0xED, 0xF3));
pub(super) const MUTED: Ink = Ink::new((0x59, 0x63, 0x6E), (0x9D, 0xA7, 0xB3));
pub(super) const GRID: Ink = Ink::new((0xE3, 0xE7, 0xEB), (0x2A, 0x31, 0x3A));
const OURS: Ink = Ink::new((0x00, 0x63, 0xA6), (0x5A, 0xB4, 0xF0));
const FLOOR: Ink = Ink::new((0x7A, 0x83, 0x8C), (0x87, 0x91, 0x9C));

/// After Okabe and Ito: told apart by colour-blind people, too. Darker than theirs, so that thin lines are seen.
const PEERS: [Ink; 6] = [
    Ink::new((0xC4, 0x52, 0x00), (0xFF, 0x8F, 0x4A)),
    Ink::new((0x00, 0x85, 0x60), (0x2F, 0xC7, 0x9A)),
    Ink::new((0x5B, 0x3A, 0x9E), (0xB6, 0x9D, 0xF8)),
    Ink::new((0x9A, 0x71, 0x00), (0xE9, 0xC4, 0x3C)),
    Ink::new((0xB0, 0x3A, 0x7C), (0xF2, 0x8F, 0xC6)),
    Ink::new((0x1B, 0x7F, 0x9E), (0x6F, 0xD3, 0xEE)),
];

/// The shape at points that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Circle,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
    Hexagon,
    None,
}

/// How somebody is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report_page) struct Look {
    pub(super) ink: Ink,
    pub(super) mark: Mark,
    pub(super) width: u32,
    /// Lengths of dashes and gaps; none: a full line.
    pub(super) dashes: Option<(u32, u32)>,
}

impl Look {
    pub(in crate::report_page) const OURS: Self =
        Self { ink: OURS, mark: Mark::Circle, width: 3, dashes: None };
    /// A second line of Fulmar's own.
    pub(in crate::report_page) const OURS_BESIDE: Self =
        Self { ink: OURS, mark: Mark::Square, width: 2, dashes: Some((3, 4)) };
}

/// Who has a look of their own, whoever else is on the picture.
const KNOWN: [&str; 5] = ["mosquitto", "nats", "nats-synced", "ejabberd", "rmqtt"];

/// Of a peer: dashed if it promises less. Those without a look of their own get one by their place among the others.
pub(in crate::report_page) fn look_of_peer(name: &str, place: usize, promises_less: bool) -> Look {
    let nth = KNOWN.iter().position(|known| *known == name).unwrap_or(KNOWN.len() + place);
    let marks = [Mark::Square, Mark::Triangle, Mark::Diamond, Mark::TriangleDown, Mark::Hexagon];
    let ink = PEERS.iter().cycle().nth(nth % PEERS.len()).copied().unwrap_or(FLOOR);
    let mark = marks.iter().cycle().nth(nth % marks.len()).copied().unwrap_or(Mark::None);
    Look { ink, mark, width: 2, dashes: promises_less.then_some((8, 5)) }
}

/// Of a floor: grey dots, the further apart the later.
pub(in crate::report_page) fn look_of_floor(place: usize) -> Look {
    let gap = u32::try_from(place).unwrap_or(0).saturating_mul(4).saturating_add(3);
    Look { ink: FLOOR, mark: Mark::None, width: 2, dashes: Some((2, gap.min(15))) }
}

/// Puts the name and the style sheet for dark screens into a picture.
pub(super) fn dress(svg: &str, title: &str) -> String {
    let mut sheet = String::from("@media (prefers-color-scheme: dark) {");
    for ink in [BACKGROUND, TEXT, MUTED, GRID, OURS, FLOOR].iter().chain(&PEERS) {
        let hex = |(red, green, blue): (u8, u8, u8)| format!("#{red:02X}{green:02X}{blue:02X}");
        let (light, dark) = (hex(ink.light), hex(ink.dark));
        // Writing to a string does not fail.
        let _ =
            write!(sheet, " [fill=\"{light}\"] {{ fill: {dark} }} [stroke=\"{light}\"] {{ stroke: {dark} }}");
    }
    sheet.push_str(" }");
    let title: String = title.chars().filter(|letter| !matches!(letter, '<' | '>' | '&')).collect();
    svg.replacen(">\n", &format!(" role=\"img\">\n<title>{title}</title>\n<style>{sheet}</style>\n"), 1)
}
