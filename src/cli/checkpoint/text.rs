//! Tables, sizes and ages for people.
//!
//! Input: values. Output: words, columns aligned. Invariant: these are for people alone: no value of a command's JSON
//! is made here, so that the words may change. Each row of a table has a cell for each word of its head.

pub(in crate::cli) use crate::run::memory::in_words as size;

/// `rows` under `head`, columns aligned: numbers (columns in `right`) to the right, the rest to the left.
pub(super) fn table(head: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (column, cell) in cells.enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            let [before, after] = if right.contains(&column) { [pad.as_str(), ""] } else { ["", pad.as_str()] };
            line.push_str(&format!("{before}{cell}{after}  "));
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// `seconds` in the largest unit that fits.
pub(super) fn age(seconds: f64) -> String {
    for (unit, length) in [("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)] {
        if seconds >= length {
            return format!("{:.1} {unit}", seconds / length);
        }
    }
    format!("{seconds:.0} s")
}

/// `[4, 5]` as `4 x 5`.
pub(in crate::cli) fn by<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ")
}
