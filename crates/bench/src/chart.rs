// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables and pictures of what was measured.

use crate::measure::Measurement;
use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::fmt;
use std::io::Write as _;
use std::path::Path;

/// A cost that grows by more than this from one place to the next is a cliff.
const CLIFF: f64 = 2.0;
/// Below so many nanoseconds nothing is a cliff: it is noise.
const CLIFF_FROM_NS: f64 = 20.0;

const SIZE: (u32, u32) = (720, 400);
const COLORS: [RGBColor; 14] = [
    RGBColor(0x1f, 0x77, 0xb4),
    RGBColor(0xd6, 0x27, 0x28),
    RGBColor(0x2c, 0xa0, 0x2c),
    RGBColor(0x94, 0x67, 0xbd),
    RGBColor(0xff, 0x7f, 0x0e),
    RGBColor(0x55, 0x55, 0x55),
    RGBColor(0x8c, 0x56, 0x4b),
    RGBColor(0xe3, 0x77, 0xc2),
    RGBColor(0xbc, 0xbd, 0x22),
    RGBColor(0x17, 0xbe, 0xcf),
    RGBColor(0x39, 0x3b, 0x79),
    RGBColor(0xe7, 0xba, 0x52),
    RGBColor(0x7b, 0x41, 0x73),
    RGBColor(0xaa, 0xaa, 0xaa),
];

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is about.
    pub name: String,
    /// Where, and what was measured there.
    pub points: Vec<(f64, Measurement)>,
}

/// How something grows.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Name of its file.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What it grows with.
    pub x: &'static str,
    /// What grows: the unit.
    pub y: &'static str,
    /// Whether what it grows with is drawn by its logarithm.
    pub is_log: bool,
    /// What grows.
    pub lines: Vec<Line>,
}

impl Chart {
    /// Makes one of nanoseconds for each packet, without lines.
    pub fn new(name: &'static str, title: &'static str, x: &'static str) -> Self {
        Chart { name, title, x, y: "ns/packet", is_log: true, lines: Vec::new() }
    }

    /// Adds a point to the line of a name, and tells whoever waits.
    pub fn add(&mut self, line: &str, x: f64, measurement: Measurement) {
        let (name, place, y) = (self.name, short(x), self.y);
        let _ = writeln!(std::io::stderr(), "{name} {line} {place}: {:.1} {y}", measurement.value);
        let point = (x, measurement);
        match self.lines.iter_mut().find(|other| other.name == line) {
            Some(line) => line.points.push(point),
            None => self.lines.push(Line { name: line.to_owned(), points: vec![point] }),
        }
    }

    /// Returns all that was measured.
    pub fn measurements(&self) -> impl Iterator<Item = &Measurement> {
        self.lines.iter().flat_map(|line| &line.points).map(|(_, measurement)| measurement)
    }

    fn places(&self) -> Vec<f64> {
        let mut places: Vec<f64> =
            self.lines.iter().flat_map(|line| &line.points).map(|(x, _)| *x).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        places
    }

    /// Returns whether most lines end lower than they begin: then there is room on the right.
    fn falls(&self) -> bool {
        let falls = |line: &&Line| match (line.points.first(), line.points.last()) {
            (Some((_, first)), Some((_, last))) => last.value < first.value,
            _ => false,
        };
        self.lines.iter().filter(falls).count() * 2 > self.lines.len()
    }

    /// Returns where a cost more than doubles from one place to the next.
    fn cliffs(&self) -> Vec<String> {
        let mut cliffs = Vec::new();
        for line in &self.lines {
            for pair in line.points.windows(2) {
                let [(from, before), (to, after)] = pair else { continue };
                if self.y.starts_with("ns")
                    && after.value > CLIFF_FROM_NS
                    && after.value > before.value * CLIFF
                {
                    let (from, to) = (short(*from), short(*to));
                    let times = after.value / before.value;
                    cliffs.push(format!("{}: x {times:.1} from {from} to {to}", line.name));
                }
            }
        }
        cliffs
    }

    /// Draws it into a folder.
    ///
    /// # Errors
    /// Those of the file, and of what draws.
    pub fn draw(&self, folder: &Path) -> anyhow::Result<()> {
        let file = folder.join(format!("{}.svg", self.name));
        let mut text = String::new();
        {
            let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
            self.draw_on(&root).map_err(|error| anyhow!("cannot draw {}: {error}", self.name))?;
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        std::fs::write(&file, text)?;
        Ok(())
    }

    fn draw_on(&self, root: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), String> {
        let text = |error: DrawingAreaErrorKind<_>| format!("{error}");
        let places = self.places();
        let (Some(first), Some(last)) = (places.first().copied(), places.last().copied()) else {
            return Ok(());
        };
        let top = self.measurements().map(|m| m.value).fold(1.0, f64::max) * 1.1;
        root.fill(&WHITE).map_err(text)?;
        let mut builder = ChartBuilder::on(root);
        builder.caption(self.title, ("sans-serif", 18)).margin(10);
        builder.x_label_area_size(40).y_label_area_size(60);
        // One drawing for both kinds of axis would need a type for each: places stand in a row.
        let place = |x: f64| if self.is_log { x.max(1.0).log10() } else { x };
        let from = place(first);
        let range = from..place(last).max(from + 1.0);
        let mut chart = builder.build_cartesian_2d(range, 0.0..top).map_err(text)?;
        let label = |x: &f64| if self.is_log { short(10f64.powf(*x)) } else { short(*x) };
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .x_labels(places.len().max(2))
            .x_label_formatter(&label)
            .y_label_formatter(&|y| format!("{y:.0}"))
            .max_light_lines(0)
            .draw()
            .map_err(text)?;
        for (line, color) in self.lines.iter().zip(COLORS.iter().cycle()) {
            let points = || line.points.iter().map(|(x, m)| (place(*x), m.value));
            let style = color.stroke_width(2);
            let drawn = chart.draw_series(LineSeries::new(points(), style)).map_err(text)?;
            drawn
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
            let dots = points().map(|point| Circle::new(point, 3, color.filled()));
            chart.draw_series(dots).map_err(text)?;
        }
        chart
            .configure_series_labels()
            .position(if self.falls() {
                SeriesLabelPosition::UpperRight
            } else {
                SeriesLabelPosition::UpperLeft
            })
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()
            .map_err(text)?;
        root.present().map_err(text)
    }
}

/// A number as people say it.
pub fn short(number: f64) -> String {
    let of = |divisor: f64, unit: &str| {
        let value = number / divisor;
        if value.fract().abs() < 0.05 {
            format!("{value:.0}{unit}")
        } else {
            format!("{value:.1}{unit}")
        }
    };
    match number {
        n if n >= 999_500.0 => of(1e6, "M"),
        n if n >= 999.5 => of(1e3, "k"),
        _ => of(1.0, ""),
    }
}

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.title, self.y)?;
        write!(f, "{:<26}", self.x)?;
        let places = self.places();
        for place in &places {
            write!(f, " {:>8}", short(*place))?;
        }
        writeln!(f)?;
        for line in &self.lines {
            write!(f, "{:<26}", line.name)?;
            for place in &places {
                let point = line.points.iter().find(|(x, _)| x.total_cmp(place).is_eq());
                let value = point.map_or(String::new(), |(_, m)| format!("{:.1}", m.value));
                write!(f, " {value:>8}")?;
            }
            writeln!(f)?;
        }
        for cliff in self.cliffs() {
            writeln!(f, "cliff: {cliff}")?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_doubles_is_a_cliff() {
        let mut chart = Chart::new("growth", "Growth", "flows");
        for (x, ns) in [(1.0, 30.0), (10.0, 50.0), (100.0, 101.0), (1000.0, 110.0)] {
            chart.add("full NAT", x, Measurement::of("growth", "ns/packet", ns));
        }
        assert_eq!(chart.cliffs(), ["full NAT: x 2.0 from 10 to 100"]);
    }

    #[test]
    fn numbers_are_short() {
        let said = [1.0, 10.0, 1000.0, 1500.0, 100_000.0, 1e6, 5e7].map(short);
        assert_eq!(said, ["1", "10", "1k", "1.5k", "100k", "1M", "50M"]);
    }

    #[test]
    fn a_picture_is_drawn() {
        let mut chart = Chart::new("growth", "Growth", "flows");
        chart.add("full NAT", 1.0, Measurement::of("growth", "ns/packet", 30.0));
        let folder = tempfile::tempdir().unwrap();
        chart.draw(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("growth.svg")).unwrap();
        assert!(text.starts_with("<svg ") && text.contains("full NAT"), "{text}");
    }
}
