//! What networks cost: a line for each kernel that was measured, and the figures of its page.
//!
//! Files of `hairpin measure` have no cases, so they are no columns of the matrix. They belong to the
//! kernel whose release they name. Two of them are held against each other only if they were made in
//! the same way; that it was on the same machine no file tells.

use std::path::{Path, PathBuf};

use hairpin_model::event::Guest;
use hairpin_model::{Error, event::Quantity};
use serde_json::{Value, json};

use super::book::{Book, parent};
use super::matrix::UNFOLDED;
use super::text::{breakable, escaped, in_address};
use crate::measure::stats::Spread;
use crate::measure::{AGAIN, BASE, Change, Measured, QUANTITIES, table};
use crate::results::{self, Run};

/// What a file tells of a kernel.
pub(super) struct Cost {
    /// What it is called here: the kernel, and its file if there are several of it.
    pub(super) label: String,
    /// The kernel, as it was asked for or as it calls itself.
    name: String,
    pub(super) measured: Measured,
    guest: Option<Guest>,
    file: PathBuf,
    is_whole: bool,
}

/// What was measured, oldest kernel first, and what could not be made out.
pub(super) fn costs(read: &[(PathBuf, Run)]) -> (Vec<Cost>, Vec<Error>) {
    let (mut costs, mut unread) = (Vec::new(), Vec::new());
    for (file, run) in read.iter().filter(|(_, run)| run.is_measured()) {
        match Measured::of(run) {
            Ok(measured) => costs.push(Cost {
                label: name(run),
                name: name(run),
                measured,
                guest: run.guest.clone(),
                file: file.clone(),
                is_whole: run.is_whole,
            }),
            Err(error) => unread.push(error),
        }
    }
    costs.sort_by_key(|cost| results::version(&cost.measured.kernel));
    tell_apart(&mut costs);
    (costs, unread)
}

/// A guest's kernel as it was asked for, unless that is a path.
fn name(run: &Run) -> String {
    let asked = run.guest.as_ref().map(|guest| &guest.kernel).filter(|name| !name.contains('/'));
    asked.unwrap_or(&run.kernel).clone()
}

/// Names the files of those that have a name in common: by their last part, or else in full.
fn tell_apart(costs: &mut [Cost]) {
    let by_stem = |file: &Path| file.file_stem().unwrap_or_default().display().to_string();
    let in_full = |file: &Path| file.display().to_string();
    for naming in [by_stem, in_full] {
        let labels: Vec<String> = costs.iter().map(|cost| cost.label.clone()).collect();
        for cost in costs.iter_mut() {
            if labels.iter().filter(|label| **label == cost.label).count() > 1 {
                cost.label = format!("{} ({})", cost.name, naming(&cost.file));
            }
        }
    }
}

impl Cost {
    /// Whether both were measured in the same way, as far as the files tell.
    fn is_comparable(&self, other: &Self) -> bool {
        let way = |cost: &Self| {
            let guest = cost.guest.as_ref()?;
            Some((guest.accel.split(' ').next().map(str::to_owned), guest.profile.clone()))
        };
        way(self) == way(other)
    }
}

/// The place of what a measurement is held against: the one of the same kernel before it, or else of
/// the kernel before it, of the same folder if there is one.
fn before(costs: &[Cost], at: usize) -> Option<usize> {
    let own = &costs[at];
    let earlier = || (0..at).rev().filter(|place| costs[*place].is_comparable(own));
    let release = |place: &usize| &costs[*place].measured.kernel;
    if let Some(place) = earlier().find(|place| release(place) == &own.measured.kernel) {
        return Some(place);
    }
    let last = earlier().next()?;
    let of_last = || earlier().filter(|place| release(place) == release(&last));
    of_last().find(|place| parent(&costs[*place].file) == parent(&own.file)).or(Some(last))
}

/// The changes beyond the noise, and how many figures there are.
fn changes(now: &Cost, before: &Cost) -> (Vec<Change>, usize) {
    let all = now.measured.changes(&before.measured);
    let figures = all.len();
    (all.into_iter().filter(|change| change.is_beyond_noise).collect(), figures)
}

/// The page of a measurement's kernel: of the last run with it, or else one of its own.
fn page<'b>(book: &'b Book, cost: &'b Cost) -> &'b str {
    let kernel = &cost.measured.kernel;
    let mut columns = book.columns.iter().rev();
    columns.find(|column| column.run.kernel == *kernel).map_or(kernel, |column| &column.label)
}

/// The table that is there without the script: a line a kernel.
pub(super) fn overview(book: &Book) -> String {
    if book.costs.is_empty() {
        return String::new();
    }
    let open = if book.costs.len() > UNFOLDED { "" } else { " open" };
    let networks = networks(book);
    let mut out = format!(
        "<section aria-labelledby=\"costs\">\n\
         <details{open}><summary><h2 id=\"costs\">What networks cost</h2></summary>\n\
         <p class=\"dim\">Throughput of one TCP stream / round trip, in those of a plain veth. \
         <b>!</b> changed beyond the noise, against the measurement that is named.</p>\n\
         <div class=\"wide\" role=\"region\" aria-label=\"table of costs\" tabindex=\"0\">\n\
         <table class=\"costs\">\n<thead><tr><th scope=\"col\">kernel</th><th scope=\"col\">against</th>"
    );
    for network in &networks {
        out.push_str(&format!("<th scope=\"col\">{}</th>", breakable(network)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for at in 0..book.costs.len() {
        line(&mut out, book, at, &networks);
    }
    out + "</tbody>\n</table>\n</div>\n</details>\n</section>\n"
}

/// All networks but the cable, in the order in which they are met.
fn networks(book: &Book) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for network in book.costs.iter().flat_map(|cost| &cost.measured.networks) {
        if ![BASE, AGAIN].contains(&&*network.name) && !names.contains(&&*network.name) {
            names.push(&network.name);
        }
    }
    names
}

fn line(out: &mut String, book: &Book, at: usize, networks: &[&str]) {
    let cost = &book.costs[at];
    let before = before(&book.costs, at).map(|place| &book.costs[place]);
    let changes = before.map(|before| changes(cost, before).0).unwrap_or_default();
    out.push_str(&format!(
        "<tr><th scope=\"row\"><a href=\"#kernel={}\">{}</a></th><td>{}</td>",
        in_address(page(book, cost)),
        escaped(&cost.label),
        before.map_or_else(|| "\u{2013}".into(), |before| escaped(&before.label))
    ));
    for network in networks {
        let Some(own) = cost.measured.network(network) else {
            out.push_str("<td class=\"o-none\">\u{2013}</td>");
            continue;
        };
        let figures = QUANTITIES.map(|quantity| {
            let ratio = own.figure(quantity).ratio.middle;
            let change = changes.iter().find(|c| c.network == *network && c.quantity == quantity);
            match change {
                None => format!("{ratio:.2}"),
                Some(change) => format!("<b class=\"{}\">{ratio:.2} !</b>", turn(change)),
            }
        });
        out.push_str(&format!("<td class=\"took\">{}</td>", figures.join(" / ")));
    }
    out.push_str("</tr>\n");
}

fn turn(change: &Change) -> &'static str {
    if change.is_worse() { "worse" } else { "better" }
}

/// The figures, for the script: each measurement, and what changed between any two.
pub(super) fn details(book: &Book) -> Value {
    let costs = &book.costs;
    let all: Vec<Value> = (0..costs.len()).map(|at| detail(book, at)).collect();
    let mut pairs = Vec::new();
    for now in 0..costs.len() {
        let earlier = (0..now).filter(|before| costs[*before].is_comparable(&costs[now]));
        pairs.extend(earlier.map(|before| pair(costs, before, now)));
    }
    json!({ "measured": all, "pairs": pairs })
}

fn detail(book: &Book, at: usize) -> Value {
    let cost = &book.costs[at];
    let shown = cost.measured.networks.iter().filter(|network| network.name != AGAIN);
    let networks: Vec<Value> = shown
        .map(|network| {
            let ratios = QUANTITIES.map(|quantity| spread(network.figure(quantity).ratio));
            json!([network.name, ratios])
        })
        .collect();
    json!({
        "label": cost.label, "kernel": cost.measured.kernel, "guest": cost.guest, "whole": cost.is_whole,
        "rounds": cost.measured.rounds, "base": table::base(&cost.measured), "networks": networks,
        "absent": cost.measured.absent, "before": before(&book.costs, at),
    })
}

/// In thousandths: more digits say nothing.
fn spread(ratio: Spread) -> [f64; 3] {
    [ratio.middle, ratio.low, ratio.high].map(|value| (value * 1e3).round() / 1e3)
}

/// Two measurements: their places, what there is to say, and the figures that changed.
fn pair(costs: &[Cost], before: usize, now: usize) -> Value {
    let (beyond, figures) = changes(&costs[now], &costs[before]);
    let words = table::beyond_noise(beyond.len(), figures);
    let place = |quantity: Quantity| QUANTITIES.iter().position(|one| *one == quantity);
    let beyond: Vec<Value> =
        beyond.iter().map(|change| json!([change.network, place(change.quantity)])).collect();
    json!([before, now, words, beyond])
}
