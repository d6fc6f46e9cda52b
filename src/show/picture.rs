//! A grid as a picture: coloured symbols, cells that differ marked, pictures side by side.

use std::collections::BTreeSet;

use hairpin_model::grid::Drawing;

use crate::show::palette::{self, BAD, DIM, STRONG, paint};

/// Lines of one visible width, whatever colours are in them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    /// The lines, each filled up with blanks to the width.
    pub(crate) lines: Vec<String>,
    /// The visible width.
    pub(crate) width: usize,
}

impl Picture {
    /// Draws a grid; the marked pairs stand in brackets, so that they show without colours too.
    pub(crate) fn of(drawing: &Drawing, marked: &dyn Fn(&str, &str) -> bool) -> Self {
        let name = widest(&drawing.hosts);
        // Room for a bracket on each side of a symbol, and for a column's name.
        let column = name.max(2) + 1;
        let mut picture =
            Self { lines: Vec::new(), width: name + 1 + column * drawing.hosts.len() };
        let heads: String =
            drawing.hosts.iter().map(|host| format!(" {host:<w$}", w = column - 1)).collect();
        // Blanks at a line's end stay outside of colours, so that they can be trimmed.
        let (heads, rest) = heads.split_at(heads.trim_end().len());
        picture.lines.push(format!("{:name$} {}{rest}", "", paint(STRONG, heads)));
        for (from, row) in drawing.hosts.iter().zip(&drawing.symbols) {
            let mut line = format!("{} ", paint(STRONG, format!("{from:name$}")));
            for (to, symbol) in drawing.hosts.iter().zip(row) {
                line.push_str(&cell(*symbol, marked(from, to), column));
            }
            picture.lines.push(line);
        }
        picture
    }

    /// The picture with a title line on top.
    pub(crate) fn titled(mut self, title: &str) -> Self {
        let width = self.width.max(title.chars().count());
        let more = " ".repeat(width - self.width);
        for line in &mut self.lines {
            line.push_str(&more);
        }
        let rest = " ".repeat(width - title.chars().count());
        self.lines.insert(0, paint(DIM, title) + &rest);
        self.width = width;
        self
    }

    /// Two pictures, or a picture and text, side by side.
    pub(crate) fn beside(&self, right: &[String], gap: usize) -> Vec<String> {
        let blank = " ".repeat(self.width);
        let lines = self.lines.len().max(right.len());
        (0..lines)
            .map(|i| {
                let left = self.lines.get(i).unwrap_or(&blank);
                let right = right.get(i).map_or("", String::as_str);
                format!("{left}{}{right}", " ".repeat(gap)).trim_end().to_owned()
            })
            .collect()
    }
}

/// One cell: a blank or a bracket, the symbol, a blank or a bracket, blanks.
fn cell(symbol: char, marked: bool, column: usize) -> String {
    let style = palette::symbol(symbol);
    let fill = " ".repeat(column - 2);
    if marked {
        let fill = " ".repeat(column.saturating_sub(3));
        return format!("{}{fill}", paint(BAD, format!("[{symbol}]")));
    }
    format!(" {}{fill}", paint(style, symbol))
}

fn widest(hosts: &[String]) -> usize {
    hosts.iter().map(|host| host.chars().count()).max().unwrap_or(0)
}

/// How wide the picture of a drawing is.
pub(crate) fn width(drawing: &Drawing) -> usize {
    let name = widest(&drawing.hosts);
    name + 1 + (name.max(2) + 1) * drawing.hosts.len()
}

/// What the symbols in these drawings mean: one line.
pub(crate) fn legend(symbols: &BTreeSet<char>) -> String {
    let known = symbols.iter().filter_map(|s| Some((*s, palette::meaning(*s)?)));
    let mut words: Vec<String> = Vec::new();
    for (symbol, meaning) in known {
        words.push(format!("{} {meaning}", paint(palette::symbol(symbol), symbol)));
    }
    words.join("   ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(lines: &[String]) -> String {
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    #[test]
    fn a_marked_cell_stands_in_brackets() {
        let drawing: Drawing = "c1 c2\nc1 . #\nc2 + .".parse().unwrap();
        let picture = Picture::of(&drawing, &|from, to| (from, to) == ("c1", "c2"));
        let same = Picture::of(&drawing, &|_, _| false).titled("observed");
        insta::assert_snapshot!(plain(&same.beside(&picture.lines, 3)), @r"
        observed        c1 c2
            c1 c2   c1  . [#]
        c1  .  #    c2  +  .
        c2  +  .
        ");
        assert_eq!(width(&drawing), picture.width);
    }

    #[test]
    fn names_of_any_length_keep_the_columns() {
        let drawing: Drawing = "a external\na . #\nexternal + .".parse().unwrap();
        let lines = Picture::of(&drawing, &|from, _| from == "a").beside(&[], 0);
        insta::assert_snapshot!(plain(&lines), @r"
                  a        external
        a        [.]      [#]
        external  +        .
        ");
    }
}
