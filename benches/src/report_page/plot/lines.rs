//! Lines over a common axis, with a legend beside them.

use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::cartesian::Cartesian2d,
    element::{Circle, DashedPathElement, PathElement, Polygon},
    prelude::SVGBackend,
    style::{Color as _, FontStyle, ShapeStyle, text_anchor::HPos},
};

use super::{
    Area, Axis, Drawn, MARGIN, MUTED, SMALL_TEXT_SIZE, TEXT, TEXT_SIZE, TITLE_HEIGHT, WIDTH, draw, fitting,
    look::{GRID, Look, Mark},
    text_style, write,
};
use crate::error::BenchError;

const HEIGHT: u32 = 440;
/// To the right of the lines.
const LEGEND_WIDTH: i32 = 290;
/// Of a legend's entry: its sample, and what two lines of text need.
const SAMPLE_WIDTH: i32 = 34;
const ENTRY_HEIGHT: i32 = 38;
/// More lines than this have no room in the legend.
const LINES_MAX: usize = 9;
/// What is written beside the axes.
const X_LABELS_HEIGHT: u32 = 48;
const Y_LABELS_WIDTH: u32 = 78;

/// One line.
#[derive(Debug, Clone)]
pub(in crate::report_page) struct Line {
    pub(in crate::report_page) name: String,
    /// In the legend, below the name.
    pub(in crate::report_page) note: String,
    pub(in crate::report_page) look: Look,
    pub(in crate::report_page) points: Vec<(f64, f64)>,
}

/// A picture of them.
#[derive(Debug, Clone)]
pub(in crate::report_page) struct Lines {
    pub(in crate::report_page) title: String,
    pub(in crate::report_page) x: Axis,
    pub(in crate::report_page) y: Axis,
    /// Which points have marks, by their x; none: all.
    pub(in crate::report_page) marked: Option<Vec<f64>>,
    /// Those in front come first.
    pub(in crate::report_page) lines: Vec<Line>,
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

impl Lines {
    pub(in crate::report_page) fn to_svg(&self) -> Result<String, BenchError> {
        draw(&self.title, HEIGHT, |area| {
            let mut chart = ChartBuilder::on(area)
                .margin_top(TITLE_HEIGHT)
                .margin_left(MARGIN)
                .margin_bottom(10)
                .margin_right(LEGEND_WIDTH)
                .x_label_area_size(X_LABELS_HEIGHT)
                .y_label_area_size(Y_LABELS_WIDTH)
                .build_cartesian_2d(self.x.clone(), self.y.clone())?;
            let text = text_style(SMALL_TEXT_SIZE, MUTED, FontStyle::Normal);
            chart
                .configure_mesh()
                .bold_line_style(GRID.colour())
                .light_line_style(plotters::style::TRANSPARENT)
                .axis_style(MUTED.colour())
                .label_style(text.clone())
                .axis_desc_style(text_style(TEXT_SIZE, TEXT, FontStyle::Normal))
                .x_desc(self.x.label.as_str())
                .y_desc(self.y.label.as_str())
                .draw()?;
            for line in self.lines.iter().take(LINES_MAX).rev() {
                self.line(area, &chart, line)?;
            }
            self.legend(area)
        })
    }

    fn line(&self, area: &Area<'_>, chart: &Chart<'_, '_>, line: &Line) -> Drawn {
        let place = |(x, y): &(f64, f64)| Some(chart.backend_coord(&(self.x.at(*x)?, self.y.at(*y)?)));
        let path: Vec<(i32, i32)> = line.points.iter().filter_map(place).collect();
        stroke(area, path, line.look)?;
        let is_marked = |x: f64| match &self.marked {
            Some(marked) => marked.iter().any(|mark| (mark - x).abs() < 1e-9),
            None => true,
        };
        let marked = line.points.iter().filter(|(x, _)| is_marked(*x)).filter_map(place);
        marked.into_iter().try_for_each(|at| mark(area, at, line.look))
    }

    fn legend(&self, area: &Area<'_>) -> Drawn {
        let left = i32::try_from(WIDTH).unwrap_or(i32::MAX) - LEGEND_WIDTH + 14;
        let mut top = TITLE_HEIGHT + 6;
        for line in self.lines.iter().take(LINES_MAX) {
            stroke(area, vec![(left, top + 8), (left + SAMPLE_WIDTH, top + 8)], line.look)?;
            mark(area, (left + SAMPLE_WIDTH / 2, top + 8), line.look)?;
            let text = left + SAMPLE_WIDTH + 8;
            let room = i32::try_from(WIDTH).unwrap_or(i32::MAX) - text - 4;
            let (name, note) =
                (fitting(&line.name, TEXT_SIZE, room), fitting(&line.note, SMALL_TEXT_SIZE, room));
            write(area, &name, (text, top + 2), TEXT_SIZE, TEXT, HPos::Left, FontStyle::Normal)?;
            write(area, &note, (text, top + 18), SMALL_TEXT_SIZE, MUTED, HPos::Left, FontStyle::Normal)?;
            top += ENTRY_HEIGHT;
        }
        Ok(())
    }
}

/// A path in a look.
fn stroke(area: &Area<'_>, path: Vec<(i32, i32)>, look: Look) -> Drawn {
    let style = ShapeStyle::from(look.ink.colour()).stroke_width(look.width);
    match look.dashes {
        Some((dash, gap)) => area.draw(&DashedPathElement::new(path, dash, gap, style)),
        None => area.draw(&PathElement::new(path, style)),
    }
}

/// The shape of a look around a point.
fn mark(area: &Area<'_>, (x, y): (i32, i32), look: Look) -> Drawn {
    let style = look.ink.colour().filled();
    let corners: &[(i32, i32)] = match look.mark {
        Mark::None => return Ok(()),
        Mark::Circle => return area.draw(&Circle::new((x, y), 5, style)),
        Mark::Square => &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
        Mark::Triangle => &[(0, -6), (6, 5), (-6, 5)],
        Mark::TriangleDown => &[(0, 6), (6, -5), (-6, -5)],
        Mark::Diamond => &[(0, -6), (6, 0), (0, 6), (-6, 0)],
        Mark::Hexagon => &[(-3, -5), (3, -5), (6, 0), (3, 5), (-3, 5), (-6, 0)],
    };
    let corners: Vec<_> = corners.iter().map(|(right, down)| (x + right, y + down)).collect();
    area.draw(&Polygon::new(corners, style))
}
