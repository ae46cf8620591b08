//! Columns as Go's `text/tabwriter` makes them, which is what Cilium's tables come from.
//!
//! A cell ends with a tab; what follows a line's last tab belongs to no column. A column is a run of lines that have it.

use std::io::{self, Write};

/// Lines of cells, still without widths.
#[derive(Debug)]
pub struct Table {
    least: usize,
    lines: Vec<Vec<String>>,
}

const PADDING: usize = 3;

impl Table {
    /// Columns of at least five characters: most of Cilium's tables.
    pub fn new() -> Self {
        Self::with_least(5)
    }

    /// Columns of at least `least` characters, padding included.
    pub fn with_least(least: usize) -> Self {
        Self {
            least,
            lines: Vec::new(),
        }
    }

    /// One line; its cells are separated by tabs.
    pub fn line(&mut self, text: impl AsRef<str>) {
        let cells = text.as_ref().split('\t').map(str::to_owned).collect();
        self.lines.push(cells);
    }

    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut widths = vec![Vec::new(); self.lines.len()];
        self.measure(0, self.lines.len(), 0, &mut widths);
        for (line, widths) in self.lines.iter().zip(&widths) {
            for (number, cell) in line.iter().enumerate() {
                match widths.get(number) {
                    Some(width) => write!(out, "{cell:<width$}")?,
                    None => write!(out, "{cell}")?,
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// Gives `column`, and those to its right, their widths in the lines from `first` up to `end`.
    fn measure(&self, first: usize, end: usize, column: usize, widths: &mut [Vec<usize>]) {
        let has = |line: usize| column + 1 < self.lines[line].len();
        let mut line = first;
        while line < end {
            if !has(line) {
                line += 1;
                continue;
            }
            let begin = line;
            let mut width = self.least;
            while line < end && has(line) {
                width = width.max(self.lines[line][column].chars().count() + PADDING);
                line += 1;
            }
            for widths in &mut widths[begin..line] {
                widths.push(width);
            }
            self.measure(begin, line, column + 1, widths);
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: &[&str]) -> String {
        let mut table = Table::new();
        for line in lines {
            table.line(line);
        }
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_three_more() {
        assert_eq!(
            written(&["ID\tLABELS", "1\treserved:host", "12345678\tx"]),
            "ID         LABELS\n1          reserved:host\n12345678   x\n"
        );
    }

    #[test]
    fn a_column_is_never_narrower_than_five() {
        assert_eq!(written(&["a\tb", "\tc"]), "a    b\n     c\n");
    }

    #[test]
    fn a_cell_that_ends_with_a_tab_is_padded_too() {
        assert_eq!(
            written(&["a\tb\t", "a\tlonger\t"]),
            "a    b        \na    longer   \n"
        );
    }

    #[test]
    fn a_line_without_a_column_ends_it() {
        assert_eq!(
            written(&["wide-cell\tx", "none", "a\ty"]),
            "wide-cell   x\nnone\na    y\n"
        );
    }
}
