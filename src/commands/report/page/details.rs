//! Cases, their stories and their networks as data: each thing once, whatever number of cases and
//! kernels share it; packed, because most of it is never looked at.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use hairpin_model::grid::{Cell, DRAWABLE, Direction, Drawing, Sighting};
use hairpin_model::journey::{Leg, legs};
use hairpin_model::{Event, Grid, Record, Topology, draw};
use serde_json::{Value, json};

use super::book::{Book, Column, Row};
use super::text::base64;
use super::{consoles, costs, history};
use crate::results::{self, Case};
use crate::show::{meaning, way};

/// Bytes of output and consoles that a page has room for.
const PRINTED: usize = 2 << 20;

/// The data as text that stands in a page.
pub(super) fn packed(book: &Book) -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let bytes = encoder.write_all(text(book).as_bytes()).and_then(|()| encoder.finish());
    base64(&bytes.expect("memory takes all"))
}

/// The data as JSON.
pub(super) fn text(book: &Book) -> String {
    let mut told = Told { left: PRINTED, ..Told::default() };
    let stories: Vec<_> =
        book.columns.iter().map(|column| results::records_by_case(&column.run)).collect();
    let mut cases = Vec::new();
    for row in &book.rows {
        let cells = row.cells.iter().enumerate().map(|(at, case)| match case {
            None => Value::Null,
            Some(case) => {
                let records = stories[at].get(row.id.as_str());
                told.case(&book.columns[at], case, records.map_or(&[], Vec::as_slice))
            }
        });
        let cells: Vec<Value> = cells.collect();
        cases.push(json!({
            "id": row.id, "rule": row.rule, "cells": cells, "turns": turns(book, row),
        }));
    }
    let columns: Vec<Value> = book.columns.iter().map(column).collect();
    format!(
        "{{\"runs\":{},\"columns\":{},\"rules\":{},\"cases\":{},\"legend\":{},\"labs\":{},\"headers\":{},\"changes\":{},\"ways\":{},\"cells\":{},\"stories\":{},\"reasons\":{},\"printed\":{},\"costs\":{}}}",
        json!(book.runs),
        json!(columns),
        json!(book.rules),
        json!(cases),
        legend(),
        told.labs.list(),
        told.headers.list(),
        told.changes.list(),
        told.ways.list(),
        told.cells.list(),
        told.stories.list(),
        told.reasons.list(),
        told.printed.list(),
        costs::details(book),
    )
}

fn column(column: &Column) -> Value {
    json!({
        "label": column.label, "run": column.of, "name": column.run.name,
        "kernel": column.run.kernel, "guest": column.run.guest, "whole": column.run.is_whole,
    })
}

fn turns(book: &Book, row: &Row) -> Vec<Value> {
    let turns = history::turns(book, row);
    turns.into_iter().map(|turn| json!([turn.before, turn.after, turn.is_bad])).collect()
}

/// What each symbol of a grid means.
fn legend() -> Value {
    let all = DRAWABLE.chars().chain(['?']);
    all.filter_map(|symbol| Some((symbol.to_string(), json!(meaning(symbol)?)))).collect()
}

/// Values, each once, by their place.
#[derive(Default)]
struct Once {
    places: BTreeMap<String, usize>,
    texts: Vec<String>,
}

impl Once {
    fn place(&mut self, value: &Value) -> usize {
        let text = value.to_string();
        if let Some(place) = self.places.get(&text) {
            return *place;
        }
        self.texts.push(text.clone());
        self.places.insert(text, self.texts.len() - 1);
        self.texts.len() - 1
    }

    fn list(&self) -> String {
        format!("[{}]", self.texts.join(","))
    }
}

/// Everything that several cases may share.
#[derive(Default)]
struct Told {
    labs: Once,
    headers: Once,
    changes: Once,
    ways: Once,
    cells: Once,
    stories: Once,
    reasons: Once,
    printed: Once,
    /// The places of ways by what they are made of: most kernels see the same.
    known: HashMap<Vec<Sighting>, usize>,
    /// How much may yet be printed.
    left: usize,
}

impl Told {
    /// One case on one kernel: word, how often so, how often run, microseconds, reason, story,
    /// output, console.
    fn case(&mut self, column: &Column, case: &Case, records: &[&Record]) -> Value {
        let reason = case.reason.as_ref().map(|reason| self.reasons.place(&json!(reason)));
        let events = records.iter().filter_map(|record| self.event(&record.event));
        let events: Vec<Value> = events.collect();
        let story = (!events.is_empty()).then(|| self.stories.place(&json!(events)));
        let output = (!case.output.is_empty()).then(|| consoles::end(&case.output));
        let console = case.outcome.is_bad().then(|| consoles::excerpt(column, &case.id)).flatten();
        json!([
            case.word(),
            case.times,
            case.runs,
            crate::stream::micros(case.took),
            reason,
            story,
            self.print(output),
            self.print(console),
        ])
    }

    fn print(&mut self, text: Option<String>) -> Option<usize> {
        let text = text?;
        let Some(left) = self.left.checked_sub(text.len()) else {
            let full = "left out, because the page is full; the run's files have it";
            return Some(self.printed.place(&json!(full)));
        };
        self.left = left;
        Some(self.printed.place(&json!(text)))
    }

    fn event(&mut self, event: &Event) -> Option<Value> {
        Some(match event {
            Event::LabBuilt { wiring, topology, .. } => {
                let lab = json!(lab(wiring, topology.as_ref()));
                json!(["lab", self.labs.place(&lab)])
            }
            Event::Step { text } => json!(["step", text]),
            Event::Check { claim, observed } => json!(["check", claim, observed]),
            Event::Flow { title, from, to, cell } => {
                json!(["flow", title, from, to, self.cell(cell)])
            }
            Event::Grid { title, observed, expected, agrees } => {
                self.grid(title, observed, expected, *agrees)
            }
            _ => return None,
        })
    }

    fn grid(&mut self, title: &str, observed: &Grid, expected: &str, agrees: bool) -> Value {
        let rows = observed.cells.iter();
        let cells: Vec<Vec<usize>> =
            rows.map(|row| row.iter().map(|cell| self.cell(cell)).collect()).collect();
        json!({
            "title": title,
            "agrees": agrees,
            "hosts": observed.hosts,
            "cells": cells,
            "expected": drawn(observed, expected),
            "telling": telling(observed, expected),
            "counted": observed.counted.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }

    /// A cell: symbol, verdict, proof, way, who overheard it, TTL, where it was dropped (what, link, in words).
    fn cell(&mut self, cell: &Cell) -> usize {
        let way = (!cell.seen.is_empty()).then(|| self.way(&cell.seen));
        let symbol = cell.verdict.symbol();
        let verdict = cell.verdict.to_string();
        let dropped: Vec<Value> =
            cell.dropped.iter().map(|it| json!([it.what, it.link, it.to_string()])).collect();
        let Cell { proof, overheard, ttl, .. } = cell;
        self.cells.place(&json!([symbol, verdict, proof, way, overheard, ttl, dropped]))
    }

    fn way(&mut self, seen: &[Sighting]) -> usize {
        if let Some(place) = self.known.get(seen) {
            return *place;
        }
        let way: Vec<Value> = legs(seen).iter().map(|leg| self.leg(leg)).collect();
        let place = self.ways.place(&json!(way));
        self.known.insert(seen.to_vec(), place);
        place
    }

    /// The way of one kind of frame: the kind, then a hop for each sighting: its link, whether it is out
    /// of it, and where the headers are told or changed the place of them, and of each change.
    fn leg(&mut self, leg: &Leg) -> Value {
        let (mut hops, mut before) = (vec![json!(leg.kind)], None);
        for hop in &leg.hops {
            let mut told = vec![json!(hop.link), json!(u8::from(hop.direction == Direction::Out))];
            if let Some(headers) = hop.headers.as_ref().filter(|headers| before != Some(*headers)) {
                told.push(json!(self.headers.place(&json!(headers.to_string()))));
                let changes = hop.changes.iter().map(|change| json!(change.to_string()));
                told.extend(changes.map(|change| json!(self.changes.place(&change))));
                before = Some(headers);
            }
            hops.push(json!(told));
        }
        json!(hops)
    }
}

/// A network: its picture, or its text where there is no sound value to draw.
fn lab(wiring: &str, topology: Option<&Topology>) -> Value {
    match topology.filter(|topology| topology.check().is_ok()) {
        Some(topology) => {
            json!({ "name": topology.name, "svg": draw::figure(topology), "text": wiring })
        }
        None => json!({ "text": wiring }),
    }
}

/// A drawing as rows of symbols if it is of the same hosts, and else as it was written.
fn drawn(observed: &Grid, expected: &str) -> Value {
    match expected.parse::<Drawing>() {
        Ok(drawing) if drawing.hosts == observed.hosts => {
            let rows = drawing.symbols.iter().map(|row| row.iter().collect::<String>());
            rows.collect()
        }
        _ => json!(expected),
    }
}

/// The pair whose way tells most, and what it tells: one that differs, or else one that is held up.
fn telling(observed: &Grid, expected: &str) -> Value {
    // Only a grid that is a square can be asked for pairs.
    let hosts = observed.hosts.len();
    if observed.cells.len() != hosts || observed.cells.iter().any(|row| row.len() != hosts) {
        return Value::Null;
    }
    let drawing = expected.parse::<Drawing>().ok();
    let differing = drawing.and_then(|drawing| {
        let found = observed.differences(&drawing).ok()?;
        found.first().map(|(from, to, _, _)| (*from, *to))
    });
    let Some((from, to)) = differing.or_else(|| way::telling(observed)) else { return Value::Null };
    json!([observed.index(from), observed.index(to), way::explain(observed, from, to)])
}
