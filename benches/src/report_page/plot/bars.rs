//! Bars in groups, with names and promises to their left and figures to their right.

use plotters::{
    chart::ChartBuilder,
    element::{PathElement, Rectangle},
    style::{Color as _, FontStyle, ShapeStyle, TRANSPARENT, text_anchor::HPos},
};

use super::{
    Area, Axis, Drawn, MARGIN, MUTED, SMALL_TEXT_SIZE, TEXT, TEXT_SIZE, TITLE_HEIGHT, draw, fitting,
    look::{GRID, Look},
    text_style, write,
};
use crate::error::BenchError;

/// To the left of the bars.
const NAMES_WIDTH: i32 = 260;
/// To their right.
const FIGURES_WIDTH: i32 = 190;
const ROW_HEIGHT: i32 = 44;
const HEADING_HEIGHT: i32 = 30;
const AXIS_HEIGHT: i32 = 52;
/// More bars than this make no picture.
const ROWS_MAX: usize = 60;

/// One bar.
#[derive(Debug, Clone)]
pub(in crate::report_page) struct Bar {
    pub(in crate::report_page) name: String,
    /// Below the name.
    pub(in crate::report_page) note: String,
    pub(in crate::report_page) look: Look,
    pub(in crate::report_page) value: f64,
    pub(in crate::report_page) spread: Option<(f64, f64)>,
    /// What is put on top of it, paler.
    pub(in crate::report_page) more: f64,
    /// To the right of it.
    pub(in crate::report_page) figure: String,
}

/// Bars that may be compared with each other.
#[derive(Debug, Clone)]
pub(in crate::report_page) struct Group {
    pub(in crate::report_page) heading: String,
    pub(in crate::report_page) bars: Vec<Bar>,
}

/// A picture of them.
#[derive(Debug, Clone)]
pub(in crate::report_page) struct Bars {
    pub(in crate::report_page) title: String,
    pub(in crate::report_page) axis: Axis,
    pub(in crate::report_page) groups: Vec<Group>,
}

impl Bars {
    pub(in crate::report_page) fn to_svg(&self) -> Result<String, BenchError> {
        let rows = self.groups.iter().map(|group| group.bars.len()).sum::<usize>().min(ROWS_MAX);
        let (rows, groups) =
            (i32::try_from(rows).unwrap_or(0), i32::try_from(self.groups.len()).unwrap_or(0));
        let inner = rows * ROW_HEIGHT + groups * HEADING_HEIGHT;
        let height = u32::try_from(TITLE_HEIGHT + inner + AXIS_HEIGHT + 10).unwrap_or(u32::MAX);
        draw(&self.title, height, |area| {
            // From the top down, in pixels, so that rows and headings are as high as their text.
            let down = f64::from(inner)..0.0;
            let mut chart = ChartBuilder::on(area)
                .margin_top(TITLE_HEIGHT)
                .margin_left(NAMES_WIDTH)
                .margin_right(FIGURES_WIDTH)
                .margin_bottom(10)
                .x_label_area_size(AXIS_HEIGHT)
                .build_cartesian_2d(self.axis.clone(), down)?;
            chart
                .configure_mesh()
                .disable_y_mesh()
                .bold_line_style(GRID.colour())
                .light_line_style(TRANSPARENT)
                .axis_style(MUTED.colour())
                .label_style(text_style(SMALL_TEXT_SIZE, MUTED, FontStyle::Normal))
                .axis_desc_style(text_style(TEXT_SIZE, TEXT, FontStyle::Normal))
                .x_desc(self.axis.label.as_str())
                .draw()?;
            let x = |value: f64| chart.backend_coord(&(self.axis.at(value).unwrap_or(0.0), 0.0)).0;
            let (mut top, mut left) = (TITLE_HEIGHT, ROWS_MAX);
            for group in &self.groups {
                let at = (MARGIN, top + 10);
                write(area, &group.heading, at, SMALL_TEXT_SIZE, MUTED, HPos::Left, FontStyle::Bold)?;
                top += HEADING_HEIGHT;
                for bar in group.bars.iter().take(left) {
                    self.bar(area, &x, bar, top)?;
                    top += ROW_HEIGHT;
                    left -= 1;
                }
            }
            Ok(())
        })
    }

    fn bar(&self, area: &Area<'_>, x: &impl Fn(f64) -> i32, bar: &Bar, top: i32) -> Drawn {
        let text = MARGIN + 8;
        let room = NAMES_WIDTH - text - 4;
        let (name, note) = (fitting(&bar.name, TEXT_SIZE, room), fitting(&bar.note, SMALL_TEXT_SIZE, room));
        write(area, &name, (text, top + 6), TEXT_SIZE, TEXT, HPos::Left, FontStyle::Normal)?;
        write(area, &note, (text, top + 23), SMALL_TEXT_SIZE, MUTED, HPos::Left, FontStyle::Normal)?;
        let (upper, lower) = (top + 8, top + ROW_HEIGHT - 10);
        let colour = bar.look.ink.colour();
        let rectangle = [(x(0.0), upper), (x(bar.value), lower)];
        if bar.look.dashes.is_none() {
            area.draw(&Rectangle::new(rectangle, colour.filled()))?;
        } else {
            // Who promises less is paler, with an edge.
            area.draw(&Rectangle::new(rectangle, colour.mix(0.35).filled()))?;
            area.draw(&Rectangle::new(rectangle, ShapeStyle::from(colour)))?;
        }
        if bar.more > 0.0 {
            let rectangle = [(x(bar.value), upper), (x(bar.value + bar.more), lower)];
            area.draw(&Rectangle::new(rectangle, colour.mix(0.18).filled()))?;
            area.draw(&Rectangle::new(rectangle, ShapeStyle::from(colour)))?;
        }
        let mut end = x(bar.value + bar.more);
        if let Some((least, greatest)) = bar.spread.filter(|(least, greatest)| least < greatest) {
            let middle = i32::midpoint(upper, lower);
            let style = ShapeStyle::from(TEXT.colour()).stroke_width(1);
            for path in [
                vec![(x(least), middle), (x(greatest), middle)],
                vec![(x(least), middle - 5), (x(least), middle + 5)],
                vec![(x(greatest), middle - 5), (x(greatest), middle + 5)],
            ] {
                area.draw(&PathElement::new(path, style))?;
            }
            end = end.max(x(greatest));
        }
        write(area, &bar.figure, (end + 8, top + 14), TEXT_SIZE, TEXT, HPos::Left, FontStyle::Normal)
    }
}
