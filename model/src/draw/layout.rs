//! Where the boxes stand: columns by distance from the middle of the network, and in a column one
//! below the other, in the order and near the height of what they are joined to.
//!
//! Everything is measured in characters and lines, from the upper left.

use std::collections::VecDeque;

use super::blocks::Block;
use super::edges::{Edge, edges};
use super::route::{Gutter, Net};
use crate::topology::{Kind, Topology};

/// A box with its place. Its head is its first line, its last one is the lower edge.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) block: Block,
    pub(super) column: usize,
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
}

impl Placed {
    /// Its lines, head and lower edge included.
    pub(super) fn height(&self) -> usize {
        self.block.rows.len() + 2
    }

    /// The line of a link's first row, within the box.
    fn row_of(&self, link: usize) -> Option<usize> {
        self.block.rows.iter().position(|row| row.link == Some(link)).map(|row| row + 1)
    }
}

/// A network that has been laid out.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) boxes: Vec<Placed>,
    pub(super) gutters: Vec<Gutter>,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Characters between a box's edge and what stands in it, both edges counted.
const FRAME: usize = 4;

impl Layout {
    pub(super) fn of(topology: &Topology) -> Self {
        let edges = edges(topology);
        let plan = Plan::new(topology, &edges);
        let columns = plan.columns();
        let mut boxes: Vec<Placed> = Block::all(topology)
            .into_iter()
            .zip(&columns)
            .map(|(block, &column)| Placed { block, column, x: 0, y: 0, width: 0 })
            .collect();
        stack(&mut boxes, &plan);
        let nets = nets(topology, &plan, &boxes, &edges);
        let mut layout = Self { boxes, gutters: Vec::new(), width: 0, height: 0 };
        layout.spread(nets);
        layout
    }

    /// Gives columns and gutters their places from left to right.
    fn spread(&mut self, nets: Vec<Vec<Net>>) {
        let mut x = 0;
        for (column, nets) in nets.into_iter().enumerate() {
            let of_column = |placed: &&Placed| placed.column == column;
            let widths = self.boxes.iter().filter(of_column).map(|b| b.block.width() + FRAME);
            let width = widths.max().unwrap_or(0);
            for placed in self.boxes.iter_mut().filter(|placed| placed.column == column) {
                (placed.x, placed.width) = (x, width);
            }
            let gutter = Gutter::new(x + width, nets);
            x = gutter.right();
            self.gutters.push(gutter);
        }
        let is_used = self.gutters.last().is_some_and(|gutter| !gutter.nets.is_empty());
        let last = self.gutters.last().map_or(0, |gutter| gutter.left);
        self.width = if is_used { x } else { last };
        self.height = self.boxes.iter().map(|b| b.y + b.height()).max().unwrap_or(0);
    }
}

/// Who is joined to whom, by places of namespaces.
struct Plan<'t> {
    topology: &'t Topology,
    /// The namespace of each link.
    home: Vec<usize>,
    edges: &'t [Edge],
}

impl<'t> Plan<'t> {
    fn new(topology: &'t Topology, edges: &'t [Edge]) -> Self {
        let place = |name: &str| topology.netns.iter().position(|netns| netns.name == name);
        let home = topology.links.iter().map(|link| place(&link.name.netns).unwrap_or(0)).collect();
        Self { topology, home, edges }
    }

    /// The namespaces that one is joined to.
    fn around(&self, netns: usize) -> impl Iterator<Item = usize> {
        let ends = self.edges.iter().map(|edge| (self.home[edge.from], self.home[edge.to]));
        ends.filter_map(move |(a, b)| match (a == netns, b == netns) {
            (true, false) => Some(b),
            (false, true) => Some(a),
            _ => None,
        })
    }

    /// How much a namespace is in the middle: a switch before a router before an endpoint.
    fn weight(&self, netns: usize) -> (bool, usize, bool, usize) {
        let value = &self.topology.netns[netns];
        let mut links = self.topology.links_of(&value.name);
        let switches = links.any(|link| matches!(link.kind, Kind::Bridge(_)));
        (switches, self.around(netns).count(), !value.host, netns)
    }

    /// The column of each namespace: the middle of each part of the network stands in the last
    /// column, what is joined to it in the one before.
    fn columns(&self) -> Vec<usize> {
        let count = self.topology.netns.len();
        let mut far: Vec<Option<usize>> = vec![None; count];
        while let Some(middle) =
            (0..count).filter(|i| far[*i].is_none()).max_by_key(|i| self.weight(*i))
        {
            far[middle] = Some(0);
            let mut next = VecDeque::from([middle]);
            while let Some(netns) = next.pop_front() {
                for other in self.around(netns) {
                    if far[other].is_none() {
                        far[other] = far[netns].map(|far| far + 1);
                        next.push_back(other);
                    }
                }
            }
        }
        let far: Vec<usize> = far.into_iter().map(Option::unwrap_or_default).collect();
        let last = far.iter().copied().max().unwrap_or(0);
        far.into_iter().map(|far| last - far).collect()
    }
}

/// Stacks the boxes of each column, from the last column on: each as near as can be to the line of
/// what it is joined to in the column after.
fn stack(boxes: &mut [Placed], plan: &Plan<'_>) {
    let last = boxes.iter().map(|placed| placed.column).max().unwrap_or(0);
    for column in (0..=last).rev() {
        let mut order: Vec<(usize, i64)> = (0..boxes.len())
            .filter(|i| boxes[*i].column == column)
            .map(|i| (i, wish(boxes, plan, i)))
            .collect();
        order.sort_by_key(|(i, wish)| (*wish, *i));
        pile(boxes, &order);
    }
    // Where everything hangs below the first line, the picture begins there.
    let top = boxes.iter().map(|placed| placed.y).min().unwrap_or(0);
    boxes.iter_mut().for_each(|placed| placed.y -= top);
}

/// Twice the line at which a box would like to begin: where its first join meets, on average.
fn wish(boxes: &[Placed], plan: &Plan<'_>, at: usize) -> i64 {
    let mut sum = 0;
    let mut count = 0;
    for edge in plan.edges {
        let (from, to) = (plan.home[edge.from], plan.home[edge.to]);
        let ends = if from == at { (edge.from, to, edge.to) } else { (edge.to, from, edge.from) };
        let (own, other, far) = ends;
        let is_ours = (from == at) != (to == at);
        if !is_ours || boxes[other].column != boxes[at].column + 1 {
            continue;
        }
        let there = boxes[other].y + boxes[other].row_of(far).unwrap_or(0);
        let here = boxes[at].row_of(own).unwrap_or(0);
        sum += signed(there) - signed(here);
        count += 1;
    }
    // What is joined to nothing there stands below the rest.
    if count == 0 { BELOW } else { sum * 2 / count }
}

/// Further down than any box that is joined to something.
const BELOW: i64 = 1 << 40;

/// Lines that a column may begin above the one after it, so that a column that is taller than what
/// it is joined to stands in the middle of it.
const ABOVE: usize = 1000;

/// Puts boxes one below the other, as near to their wishes as their order allows.
fn pile(boxes: &mut [Placed], order: &[(usize, i64)]) {
    let heights: Vec<i64> = order.iter().map(|(i, _)| signed(boxes[*i].height()) + 1).collect();
    let mut y = 0;
    let mut off = Vec::new();
    for ((_, wish), height) in order.iter().zip(&heights) {
        if *wish < BELOW {
            off.push(wish / 2 - y);
        }
        y += height;
    }
    // The whole pile moves to the middle of its wishes; then boxes that are free move further down.
    off.sort_unstable();
    let shift = off.get(off.len() / 2).copied().unwrap_or(signed(ABOVE));
    let mut y = shift;
    for ((i, wish), height) in order.iter().zip(&heights) {
        if *wish < BELOW {
            y = y.max(wish / 2);
        }
        boxes[*i].y = usize::try_from(y.max(0)).unwrap_or(0);
        y += height;
    }
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The nets of each gutter, the gutter behind the last column included.
fn nets(topology: &Topology, plan: &Plan<'_>, boxes: &[Placed], edges: &[Edge]) -> Vec<Vec<Net>> {
    let last = boxes.iter().map(|placed| placed.column).max().unwrap_or(0);
    let mut out: Vec<Vec<Net>> = (0..=last).map(|_| Vec::new()).collect();
    if topology.netns.is_empty() {
        return out;
    }
    for edge in edges {
        let column = |link: usize| boxes[plan.home[link]].column;
        let gutter = column(edge.from).min(column(edge.to));
        Net::join(&mut out[gutter], edge, &|link| column(link) == gutter);
    }
    for nets in &mut out {
        Net::meet(nets, &|link, nth| {
            let home = &boxes[plan.home[link]];
            let first = home.row_of(link).unwrap_or(0);
            let lines = |row: &&super::blocks::Row| row.link.is_none();
            let more = home.block.rows.iter().skip(first).take_while(lines).count();
            home.y + first + nth.min(more)
        });
    }
    out
}
