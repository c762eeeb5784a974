// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables in Markdown, which are as easy to read on a terminal.

use std::fmt;

/// A table: the first row is its head. Columns after the first are numbers, to the right.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    rows: Vec<Vec<String>>,
}

impl Sheet {
    pub(crate) fn new(head: &[&str]) -> Self {
        Sheet { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        for (at, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let width = self.width(column);
                if column == 0 {
                    write!(f, "| {cell:<width$}")?;
                } else {
                    write!(f, " | {cell:>width$}")?;
                }
            }
            writeln!(f, " |")?;
            if at == 0 {
                write!(f, "| {}", "-".repeat(self.width(0)))?;
                for column in 1..columns {
                    write!(f, " | {}:", "-".repeat(self.width(column) - 1))?;
                }
                writeln!(f, " |")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut sheet = Sheet::new(&["traffic", "ns"]);
        sheet.row(["nat".to_owned(), "100.5".to_owned()]);
        let text = "| traffic |    ns |\n| ------- | ----: |\n| nat     | 100.5 |\n";
        assert_eq!(sheet.to_string(), text);
    }
}
