//! The picture as text, in plain ASCII: `-` and `|` are cables, `.` and `:` lead from a child to its
//! parent, `o` is where a line meets a box. Where two lines cross, the upright passes over.

use super::blocks::BELOW;
use super::edges::Join;
use super::layout::{Layout, Placed};
use super::route::{Gutter, Net};
use crate::topology::Topology;

/// The labs as text, one below the other, each under its name if there are several.
pub fn ascii(labs: &[Topology]) -> String {
    let several = labs.len() > 1;
    let picture = |lab: &Topology| {
        let name = if several { format!("{}:\n\n", lab.name) } else { String::new() };
        name + &Canvas::of(&Layout::of(lab)).text()
    };
    labs.iter().map(picture).collect::<Vec<_>>().join("\n")
}

struct Canvas {
    lines: Vec<Vec<char>>,
}

impl Canvas {
    fn of(layout: &Layout) -> Self {
        let mut canvas = Self { lines: vec![vec![' '; layout.width]; layout.height] };
        for placed in &layout.boxes {
            canvas.frame(placed);
        }
        for (i, gutter) in layout.gutters.iter().enumerate() {
            let end = layout.gutters.get(i + 1).map_or(layout.width, |_| gutter.right());
            // Level lines first, so that uprights pass over them.
            for net in &gutter.nets {
                canvas.level(gutter, net, end);
            }
            for net in gutter.nets.iter().filter(|net| !net.is_straight()) {
                canvas.upright(gutter, net);
            }
        }
        canvas
    }

    fn put(&mut self, x: usize, y: usize, c: char) {
        if let Some(place) = self.lines.get_mut(y).and_then(|line| line.get_mut(x)) {
            *place = c;
        }
    }

    fn write(&mut self, x: usize, y: usize, text: &str) {
        for (i, c) in text.chars().enumerate() {
            self.put(x + i, y, c);
        }
    }

    fn frame(&mut self, placed: &Placed) {
        let Placed { block, x, y, width, .. } = placed;
        let (right, bottom) = (x + width - 1, y + placed.height() - 1);
        for line in [*y, bottom] {
            self.write(*x, line, &format!("+{}+", "-".repeat(width - 2)));
        }
        self.write(x + 1, *y, &format!(" {} ({}) ", block.title, block.tag()));
        for (i, row) in block.rows.iter().enumerate() {
            self.put(*x, y + 1 + i, '|');
            self.put(right, y + 1 + i, '|');
            if row.is_below() {
                self.write(x + 2 + row.indent - BELOW, y + 1 + i, "+-");
            }
            for (at, _, text) in row.placed() {
                self.write(x + 2 + at, y + 1 + i, text);
            }
        }
    }

    fn level(&mut self, gutter: &Gutter, net: &Net, end: usize) {
        let line = if net.join == Join::Cable { '-' } else { '.' };
        let upright = gutter.x(net.track);
        let until = if net.is_straight() { end } else { upright };
        for &y in &net.left {
            (gutter.left..until).for_each(|x| self.put(x, y, line));
            self.put(gutter.left - 1, y, 'o');
        }
        for &y in &net.right {
            (upright..end).for_each(|x| self.put(x, y, line));
            self.put(end, y, 'o');
        }
    }

    fn upright(&mut self, gutter: &Gutter, net: &Net) {
        let x = gutter.x(net.track);
        let (first, last) = net.span();
        let line = if net.join == Join::Cable { '|' } else { ':' };
        (first..=last).for_each(|y| self.put(x, y, line));
        for &y in net.left.iter().chain(&net.right) {
            self.put(x, y, '+');
        }
    }

    fn text(&self) -> String {
        let line = |line: &Vec<char>| line.iter().collect::<String>().trim_end().to_owned() + "\n";
        self.lines.iter().map(line).collect()
    }
}
