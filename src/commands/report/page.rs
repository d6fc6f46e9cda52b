//! The report page: one static file that works from disk, with no server and no network.
//!
//! The matrix is plain HTML and can be read without the script. The details of cases are stored once
//! each, packed, and are unpacked and shown by the script when a reader asks for them.
//!
//! | module | idea |
//! |---|---|
//! | [`book`] | what the page tells: runs side by side |
//! | [`history`] | what differs, what failed newly, where a case turned |
//! | [`matrix`] | the tables that are there without the script |
//! | [`details`] | cases, stories and networks as packed data |
//! | [`consoles`] | the end of what a kernel said |
//! | [`costs`] | what networks cost, and what changed beyond the noise |
//! | [`text`] | text as HTML, links, and bytes as text |

mod book;
mod consoles;
mod costs;
mod details;
mod history;
mod matrix;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use hairpin_model::draw;
use hairpin_model::event::Outcome;
use serde_json::json;

pub(super) use book::Book;
use text::{digest, escaped};

use crate::show::count;
use crate::tally::ORDER;

const STYLE: &str = include_str!("page/page.css");

/// The script, one idea a file. With [`outcomes`] before them they are one function, so that no name leaves it.
const SCRIPT: &[&str] = &[
    include_str!("page/script/base.js"),
    include_str!("page/script/filter.js"),
    include_str!("page/script/grid.js"),
    include_str!("page/script/ladder.js"),
    include_str!("page/script/case.js"),
    include_str!("page/script/kernel.js"),
    include_str!("page/script/costs.js"),
    include_str!("page/script/compare.js"),
    include_str!("page/script/route.js"),
];

/// The page.
pub(super) fn html(book: &Book) -> String {
    let script = format!("(() => {{\n\"use strict\";\n{}{}}})();\n", outcomes(), SCRIPT.concat());
    let style = format!("{STYLE}{}{}", draw::STYLE, hidden_runs(book));
    let title = title(book);
    let mut out = head(&title, &style, &script);
    out.push_str("<body>\n<a class=\"skip\" href=\"#main\">to the content</a>\n");
    out.push_str(&format!("<header><h1>{}</h1></header>\n", escaped(&title)));
    out.push_str("<main id=\"main\" tabindex=\"-1\">\n<div id=\"overview\">\n");
    out.push_str(&unread(book));
    out.push_str(&matrix::overview(book));
    out.push_str("</div>\n<article id=\"view\" hidden></article>\n</main>\n");
    out.push_str(&format!(
        "<script type=\"text/plain\" id=\"details\">{}</script>\n",
        details::packed(book)
    ));
    out.push_str(&format!("<script>{script}</script>\n</body>\n</html>\n"));
    out
}

/// What the script holds outcomes against each other by: the same as the command does.
fn outcomes() -> String {
    let mut ranked = ORDER;
    ranked.sort();
    let words = ranked.iter().enumerate().map(|(rank, outcome)| (outcome.word(), rank, *outcome));
    // A failure in its way, see `results::word`.
    let fixed = words.clone().filter(|(_, _, outcome)| *outcome == Outcome::Fail);
    let all: Vec<_> =
        words.chain(fixed.map(|(_, rank, outcome)| ("fixed", rank, outcome))).collect();
    let ranks: BTreeMap<_, _> = all.iter().map(|(word, rank, _)| (word, rank)).collect();
    let bad: Vec<_> =
        all.iter().filter(|(_, _, outcome)| outcome.is_bad()).map(|(word, _, _)| word).collect();
    format!("const RANK = {};\nconst BAD = {};\n", json!(ranks), json!(bad))
}

/// What hides the columns of a run: its number is a class of theirs.
fn hidden_runs(book: &Book) -> String {
    (0..book.runs.len()).map(|run| format!(".hide-{run} .r{run}{{display:none}}\n")).collect()
}

fn title(book: &Book) -> String {
    if book.rows.is_empty() && !book.costs.is_empty() {
        let kernels: BTreeSet<&str> =
            book.costs.iter().map(|cost| &*cost.measured.kernel).collect();
        return format!("Hairpin: what networks cost on {}", count(kernels.len(), "kernel"));
    }
    let names: BTreeSet<&str> = book.columns.iter().map(|column| &*column.run.name).collect();
    let on = match book.columns.as_slice() {
        [one] => format!("kernel {}", one.run.kernel),
        _ => count(names.len(), "kernel"),
    };
    let runs = match book.runs.len() {
        0 | 1 => String::new(),
        many => format!(", {many} runs"),
    };
    format!("Hairpin: {} on {on}{runs}", count(book.rows.len(), "case"))
}

/// Nothing is fetched, and no script runs but the page's own: what comes from events cannot become
/// one even if it were not escaped.
fn head(title: &str, style: &str, script: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; \
         form-action 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>{style}</style>\n</head>\n",
        digest(style),
        digest(script),
        escaped(title)
    )
}

/// The lines that could not be read.
fn unread(book: &Book) -> String {
    /// Lines that are told one by one.
    const TOLD: usize = 10;
    if book.unread.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<section class=\"banner\" aria-labelledby=\"unread\">\n\
         <h2 id=\"unread\">Not everything could be read</h2>\n\
         <p>What could be read is shown. These lines could not:</p>\n<ul>\n",
    );
    for error in book.unread.iter().take(TOLD) {
        out.push_str(&format!(
            "<li><code>{}</code>: {}</li>\n",
            escaped(&error.place),
            escaped(&error.what)
        ));
    }
    if let Some(more) = book.unread.len().checked_sub(TOLD).filter(|more| *more > 0) {
        out.push_str(&format!("<li>and {}</li>\n", count(more, "more line")));
    }
    out + "</ul>\n</section>\n"
}
