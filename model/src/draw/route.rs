//! Where lines run in a gutter, the room between two columns of boxes.
//!
//! A net is what is joined by one line: the two ends of a cable, or a parent with all its children
//! in that gutter. It runs from its ends straight to an upright of its own; uprights stand side by
//! side, so lines of two nets cross but never run on each other.

use std::collections::BTreeSet;

use super::edges::{Edge, Join};

/// One line with two or more ends.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) join: Join,
    /// Ends as links, by the side of the gutter.
    links: (BTreeSet<usize>, BTreeSet<usize>),
    /// The link that makes children's edges one net.
    hub: Option<usize>,
    /// Lines at which it meets boxes on the left, and on the right.
    pub(super) left: Vec<usize>,
    pub(super) right: Vec<usize>,
    /// Its upright, counted from the left.
    pub(super) track: usize,
}

impl Net {
    /// Adds an edge to the net that it belongs to.
    pub(super) fn join(nets: &mut Vec<Self>, edge: &Edge, is_left: &dyn Fn(usize) -> bool) {
        let hub = (edge.join == Join::Child).then_some(edge.to);
        let found = nets.iter().position(|net| hub.is_some() && net.hub == hub);
        let at = found.unwrap_or_else(|| {
            let (left, right) = (Vec::new(), Vec::new());
            nets.push(Self { join: edge.join, links: <_>::default(), hub, left, right, track: 0 });
            nets.len() - 1
        });
        for link in [edge.from, edge.to] {
            let (left, right) = &mut nets[at].links;
            if is_left(link) {
                left.insert(link)
            } else {
                right.insert(link)
            };
        }
    }

    /// Gives each net the lines at which it meets its links: the nets of one link each have a line
    /// of their own. `line` is asked for the n-th of a link.
    pub(super) fn meet(nets: &mut [Self], line: &dyn Fn(usize, usize) -> usize) {
        for at in 0..nets.len() {
            let (before, rest) = nets.split_at_mut(at);
            let net = &mut rest[0];
            let nth = |link: &usize, side: fn(&Self) -> &BTreeSet<usize>| {
                line(*link, before.iter().filter(|other| side(other).contains(link)).count())
            };
            net.left = net.links.0.iter().map(|link| nth(link, |net| &net.links.0)).collect();
            net.right = net.links.1.iter().map(|link| nth(link, |net| &net.links.1)).collect();
        }
    }

    fn lines(&self) -> impl Iterator<Item = usize> + '_ {
        self.left.iter().chain(&self.right).copied()
    }

    /// The first and the last line of its upright.
    pub(super) fn span(&self) -> (usize, usize) {
        (self.lines().min().unwrap_or(0), self.lines().max().unwrap_or(0))
    }

    /// Whether it is one straight line from box to box.
    pub(super) fn is_straight(&self) -> bool {
        let (first, last) = self.span();
        first == last && !self.left.is_empty() && !self.right.is_empty()
    }

    /// The order in which uprights stand from left to right so that lines cross least: of those
    /// that go up the upper one first, of those that go down the lower one.
    fn rank(&self) -> (bool, i64) {
        let mean = |lines: &[usize]| {
            let sum: i64 = lines.iter().map(|line| i64::try_from(*line).unwrap_or(0)).sum();
            sum * 4 / i64::try_from(lines.len().max(1)).unwrap_or(1)
        };
        let goes_up = mean(&self.right) < mean(&self.left);
        (!goes_up, if goes_up { mean(&self.left) } else { -mean(&self.left) })
    }

    /// Whether this net's upright must stand left of the other's: at some line this one comes from
    /// the left and the other goes on to the right.
    fn is_before(&self, other: &Self) -> bool {
        self.left.iter().any(|line| other.right.contains(line))
    }
}

/// The room between two columns.
#[derive(Debug)]
pub(super) struct Gutter {
    pub(super) left: usize,
    pub(super) nets: Vec<Net>,
    tracks: usize,
}

impl Gutter {
    /// The gutter that begins there.
    pub(super) fn new(left: usize, mut nets: Vec<Net>) -> Self {
        nets.sort_by_key(Net::rank);
        order(&mut nets);
        let mut tracks = 0;
        for at in 0..nets.len() {
            let (before, rest) = nets.split_at_mut(at);
            let net = &mut rest[0];
            if net.is_straight() {
                continue;
            }
            let (first, last) = net.span();
            let in_the_way = |other: &&Net| {
                let (from, to) = other.span();
                !other.is_straight() && (other.is_before(net) || (from <= last && first <= to))
            };
            net.track = before.iter().filter(in_the_way).map(|o| o.track + 1).max().unwrap_or(0);
            tracks = tracks.max(net.track + 1);
        }
        Self { left, nets, tracks }
    }

    /// The place of a track.
    pub(super) const fn x(&self, track: usize) -> usize {
        self.left + 2 + track * 2
    }

    /// How many pairs of nets run on each other somewhere.
    #[cfg(test)]
    pub(super) fn overlaps(&self) -> usize {
        let level = |a: &Net, b: &Net| {
            let in_one_line = a.left.iter().any(|line| b.right.contains(line));
            let from_both = a.left.iter().any(|line| b.left.contains(line))
                || a.right.iter().any(|line| b.right.contains(line));
            from_both || (in_one_line && a.track >= b.track)
        };
        let upright = |a: &Net, b: &Net| {
            let ((a1, a2), (b1, b2)) = (a.span(), b.span());
            a.track == b.track && a1 <= b2 && b1 <= a2 && !a.is_straight() && !b.is_straight()
        };
        let pairs = (0..self.nets.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        pairs
            .map(|(i, j)| (&self.nets[i], &self.nets[j]))
            .filter(|(a, b)| level(a, b) || level(b, a) || upright(a, b))
            .count()
    }

    /// Where the next column begins.
    pub(super) const fn right(&self) -> usize {
        self.left + 4 + if self.tracks == 0 { 0 } else { self.tracks * 2 - 1 }
    }
}

/// Moves nets behind those that must stand left of them. Where they ask it of each other, one line
/// runs on another for a bit, and nothing can be done.
fn order(nets: &mut Vec<Net>) {
    let mut rest = std::mem::take(nets);
    while !rest.is_empty() {
        let is_free = |at: &usize| {
            let others = rest.iter().enumerate().filter(|(other, _)| other != at);
            !others.map(|(_, other)| other).any(|other| other.is_before(&rest[*at]))
        };
        let next = (0..rest.len()).find(is_free).unwrap_or(0);
        nets.push(rest.remove(next));
    }
}
