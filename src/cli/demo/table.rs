//! A small table: columns of text to the left, columns of numbers to the right of them.

use crate::admin::human;

pub(super) struct DemoTable {
    texts: usize,
    rows: Vec<Vec<String>>,
}

impl DemoTable {
    /// The heads of the columns of text, then those of the numbers.
    pub(super) fn new(texts: &[&str], numbers: &[&str]) -> Self {
        let head = texts.iter().chain(numbers).map(|cell| (*cell).to_owned()).collect();
        Self { texts: texts.len(), rows: vec![head] }
    }

    pub(super) fn row(&mut self, texts: &[&str], numbers: &[u64]) {
        let texts = texts.iter().map(|text| (*text).to_owned());
        self.rows.push(texts.chain(numbers.iter().map(|number| human::count(*number))).collect());
    }

    /// Lines without the last line end, indented as all that the demo prints.
    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column < self.texts { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            format!("   {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stand_left_and_numbers_right() {
        let mut table = DemoTable::new(&["name", "is"], &["n"]);
        table.row(&["a", "well"], &[7]);
        table.row(&["other", ""], &[12_345]);
        assert_eq!(table.render(), "   name   is         n\n   a      well       7\n   other        12 345");
    }
}
