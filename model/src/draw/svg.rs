//! The picture as SVG: the same layout as the text's, a character being so wide and so high.
//!
//! Colours come from [`STYLE`] alone, which follows the reader's choice of dark or light; a page
//! with several pictures holds it once.

use super::blocks::{Ink, Row};
use super::edges::Join;
use super::layout::{Layout, Placed};
use super::route::{Gutter, Net};
use crate::topology::Topology;

/// The style of all pictures.
pub const STYLE: &str = include_str!("wiring.css");

/// Of a character, in pixels. Wide enough for every usual font of one width at the style's size.
const WIDE: usize = 8;
const HIGH: usize = 18;
/// From a box's edge to its first line, in pixels.
const LIFT: usize = 2;
/// Around the picture, in pixels.
const MARGIN: usize = 8;
/// The lines above a lab that has its name told.
const NAME: usize = 2;

/// The labs as one file, one below the other, each under its name if there are several.
pub fn svg(labs: &[Topology]) -> String {
    let layouts: Vec<Layout> = labs.iter().map(Layout::of).collect();
    let head = if labs.len() > 1 { NAME } else { 0 };
    let lines: usize = layouts.iter().map(|layout| layout.height + head + head / 2).sum();
    let width = layouts.iter().map(|layout| layout.width).max().unwrap_or(0);
    let names: Vec<&str> = labs.iter().map(|lab| lab.name.as_str()).collect();
    let mut out = open(width, lines, &names.join(", "));
    out.push_str(&format!("<style>{STYLE}</style>\n"));
    let mut y = 0;
    for (lab, layout) in labs.iter().zip(&layouts) {
        if head > 0 {
            out.push_str(&text(0, y, "hw-t", &lab.name));
        }
        y += head;
        out.push_str(&format!("<g transform=\"translate(0 {})\">\n", y * HIGH));
        body(&mut out, layout);
        out.push_str("</g>\n");
        y += layout.height + head / 2;
    }
    out + "</svg>\n"
}

/// One lab as an element for a page that has [`STYLE`].
pub fn figure(lab: &Topology) -> String {
    let layout = Layout::of(lab);
    let mut out = open(layout.width, layout.height, &lab.name);
    body(&mut out, &layout);
    out + "</svg>"
}

fn open(width: usize, lines: usize, name: &str) -> String {
    let (width, height) = (width * WIDE + 2 * MARGIN, lines * HIGH + 2 * MARGIN);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"hw\" role=\"img\" \
         aria-label=\"wiring of {}\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"-{MARGIN} -{MARGIN} {width} {height}\">\n",
        escaped(name)
    )
}

fn body(out: &mut String, layout: &Layout) {
    for (i, gutter) in layout.gutters.iter().enumerate() {
        let end = layout.gutters.get(i + 1).map_or(layout.width, |_| gutter.right());
        for net in &gutter.nets {
            out.push_str(&line(gutter, net, end));
        }
    }
    for placed in &layout.boxes {
        frame(out, placed);
    }
    for (i, gutter) in layout.gutters.iter().enumerate() {
        let end = layout.gutters.get(i + 1).map_or(layout.width, |_| gutter.right());
        for net in &gutter.nets {
            plugs(out, gutter, net, end);
        }
    }
}

fn frame(out: &mut String, placed: &Placed) {
    let Placed { block, x, y, width, .. } = placed;
    let kind = if block.host { "hw-b hw-h" } else { "hw-b" };
    out.push_str(&format!(
        "<rect class=\"{kind}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        x * WIDE,
        y * HIGH,
        width * WIDE,
        placed.height() * HIGH - HIGH / 2 + LIFT
    ));
    let under = y * HIGH + HIGH + LIFT + 1;
    out.push_str(&format!("<path class=\"hw-u\" d=\"M{} {under}h{}\"/>\n", x * WIDE, width * WIDE));
    out.push_str(&text(x + 2, *y, "hw-t", &block.title));
    let tag = block.tag();
    out.push_str(&text(x + width - 2 - tag.len(), *y, "hw-d", tag));
    for (i, row) in block.rows.iter().enumerate() {
        out.push_str(&branch(placed, i));
        for (at, ink, words) in row.placed() {
            out.push_str(&text(x + 2 + at, y + 1 + i, class(ink), words));
        }
    }
}

/// The line from a link to the one that it is drawn below.
fn branch(placed: &Placed, at: usize) -> String {
    let rows = &placed.block.rows;
    let row = &rows[at];
    if !row.is_below() {
        return String::new();
    }
    let is_above = |above: &Row| above.link.is_some() && above.indent < row.indent;
    let above = rows[..at].iter().rposition(is_above).unwrap_or(at);
    let (x, y) = ((placed.x + row.indent) * WIDE, placed.y + 1);
    let from = (y + above) * HIGH + HIGH + LIFT;
    format!("<path class=\"hw-p\" d=\"M{x} {from}V{}h11\"/>\n", middle(y + at))
}

const fn class(ink: Ink) -> &'static str {
    match ink {
        Ink::Name => "hw-n",
        Ink::Kind => "hw-k",
        Ink::Address => "hw-a",
        Ink::Setting => "hw-s",
        Ink::Note => "hw-d",
    }
}

fn text(x: usize, y: usize, class: &str, words: &str) -> String {
    let (x, y) = (x * WIDE, y * HIGH + HIGH + LIFT - 4);
    format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>\n", escaped(words))
}

/// The middle of a line of text.
const fn middle(y: usize) -> usize {
    y * HIGH + HIGH / 2 + LIFT
}

const fn join(net: &Net) -> &'static str {
    match net.join {
        Join::Cable => "hw-c",
        Join::Child => "hw-m",
    }
}

/// A net as one path: its upright, then its level parts.
fn line(gutter: &Gutter, net: &Net, end: usize) -> String {
    let (left, end) = (gutter.left * WIDE, end * WIDE);
    let mut path = String::new();
    if net.is_straight() {
        path = format!("M{left} {}H{end}", middle(net.span().0));
    } else {
        let x = gutter.x(net.track) * WIDE + WIDE / 2;
        let (first, last) = net.span();
        path.push_str(&format!("M{x} {}V{}", middle(first), middle(last)));
        for &y in &net.left {
            path.push_str(&format!("M{left} {}H{x}", middle(y)));
        }
        for &y in &net.right {
            path.push_str(&format!("M{x} {}H{end}", middle(y)));
        }
    }
    format!("<path class=\"{}\" d=\"{path}\"/>\n", join(net))
}

/// Where a net meets its boxes.
fn plugs(out: &mut String, gutter: &Gutter, net: &Net, end: usize) {
    let left = net.left.iter().map(|y| (gutter.left, *y));
    let right = net.right.iter().map(|y| (end, *y));
    for (x, y) in left.chain(right) {
        let (x, y) = (x * WIDE, middle(y));
        out.push_str(&format!(
            "<circle class=\"{}\" cx=\"{x}\" cy=\"{y}\" r=\"3.5\"/>\n",
            join(net)
        ));
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
