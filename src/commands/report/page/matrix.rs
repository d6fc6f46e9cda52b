//! The tables that are there without the script: the kernels, cases by kernels, and reasons.

use std::collections::{BTreeMap, BTreeSet};

use hairpin_model::event::Outcome;

use super::book::{Book, Column, Row};
use super::text::{breakable, escaped, in_address};
use super::{costs, history};
use crate::results::Case;
use crate::show::count;

/// The words that a cell may have, in the order of the kernels' table.
const WORDS: [&str; 8] = ["pass", "fail", "crash", "hang", "error", "fixed", "known", "skip"];

/// Kernels that are listed above the matrix without being asked for.
pub(super) const UNFOLDED: usize = 12;

/// The names of the filters, by the letters of [`history::Marks`].
const FILTERS: [(&str, &str); 6] = [
    ("", "all"),
    ("d", "only differing"),
    ("f", "failed"),
    ("n", "newly failed"),
    ("k", "flaky"),
    ("s", "skipped"),
];

/// Everything above the details.
pub(super) fn overview(book: &Book) -> String {
    let reasons = Reasons::of(book);
    // Nobody ran a case: the tables stay, empty, for the script.
    let hidden = if book.columns.is_empty() && !book.costs.is_empty() { " hidden" } else { "" };
    let mut out = kernels(book, hidden);
    out.push_str(&costs::overview(book));
    out.push_str(&format!("<section aria-labelledby=\"cases\"{hidden}>\n"));
    out.push_str("<h2 id=\"cases\">Cases by kernels</h2>\n");
    out.push_str(&controls(book));
    out.push_str(&cases(book, &reasons));
    out.push_str("</section>\n");
    out.push_str(&reasons.list(book));
    out
}

fn kernels(book: &Book, hidden: &str) -> String {
    // A long list is folded, so that the matrix is not far below.
    let open = if book.columns.len() > UNFOLDED { "" } else { " open" };
    let mut out = format!(
        "<section aria-labelledby=\"kernels\"{hidden}>\n\
         <details{open}><summary><h2 id=\"kernels\">Kernels</h2></summary>\n\
         <div class=\"wide\" role=\"region\" aria-label=\"table of kernels\" tabindex=\"0\">\n\
         <table class=\"counts\">\n<thead><tr><th scope=\"col\">kernel</th><th scope=\"col\">release</th>",
    );
    let used: Vec<&str> = WORDS.into_iter().filter(|word| is_used(book, word)).collect();
    for word in &used {
        out.push_str(&format!("<th scope=\"col\">{word}</th>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for column in &book.columns {
        let flaw = column.run.flaw().map_or_else(String::new, |flaw| format!(" ({flaw})"));
        out.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}{flaw}</td>",
            kernel_link(column, &column.label),
            escaped(&column.run.kernel)
        ));
        for word in &used {
            let n = column.run.cases.iter().filter(|case| case.word() == *word).count();
            let class = if n > 0 { format!("o-{word}") } else { "o-none".into() };
            out.push_str(&format!("<td class=\"n {class}\">{n}</td>"));
        }
        out.push_str("</tr>\n");
    }
    out + "</tbody>\n</table>\n</div>\n</details>\n</section>\n"
}

fn is_used(book: &Book, word: &str) -> bool {
    let of_rows = book.rows.iter().flat_map(|row| row.cells.iter().flatten());
    matches!(word, "pass" | "fail") || of_rows.into_iter().any(|case| case.word() == word)
}

fn kernel_link(column: &Column, text: &str) -> String {
    format!("<a href=\"#kernel={}\">{}</a>", in_address(&column.label), escaped(text))
}

/// Filters and search: nothing without the script, so hidden until it runs.
fn controls(book: &Book) -> String {
    let mut out =
        String::from("<form id=\"controls\" hidden>\n<fieldset>\n<legend>show</legend>\n");
    for (letter, name) in FILTERS {
        let on = if letter.is_empty() { " checked" } else { "" };
        out.push_str(&format!(
            "<label><input type=\"radio\" name=\"only\" value=\"{letter}\"{on}> {name} \
             <span class=\"of\" data-of=\"{letter}\"></span></label>\n"
        ));
    }
    out.push_str("</fieldset>\n<div class=\"row\">\n<label>search <input type=\"search\" id=\"search\" autocomplete=\"off\" placeholder=\"id, promise, reason\"></label>\n");
    if book.runs.len() > 1 {
        out.push_str("<label>run <select id=\"run\"><option value=\"\">all</option>");
        for (at, run) in book.runs.iter().enumerate() {
            out.push_str(&format!("<option value=\"{at}\">{}</option>", escaped(run)));
        }
        out.push_str("</select></label>\n");
    }
    if book.columns.len() > 1 {
        out.push_str("<a href=\"#compare\">compare two runs</a>\n");
    }
    out.push_str("</div>\n</form>\n<p id=\"shown\" role=\"status\"></p>\n");
    if book.columns.len() > 1 {
        let before = match book.runs.len() {
            1 => "on the kernel before",
            _ => "in the run before, on the same kernel",
        };
        out.push_str(&format!(
            "<p class=\"dim\">Newly failed: bad, and not as bad {before}.</p>\n"
        ));
    }
    out + "<noscript><p>Filters, search, and the details of cases need scripts; the tables do not.</p></noscript>\n"
}

fn cases(book: &Book, reasons: &Reasons<'_>) -> String {
    let mut out = String::from(
        "<div class=\"wide\" role=\"region\" aria-label=\"table of cases\" tabindex=\"0\">\n\
         <table id=\"matrix\">\n<thead>\n",
    );
    out.push_str(&heads(book));
    out.push_str("</thead>\n");
    for area in book.rows.chunk_by(|a, b| a.area() == b.area()) {
        out.push_str(&format!(
            "<tbody>\n<tr class=\"area\"><th scope=\"rowgroup\" colspan=\"{}\"><span>{} \
             <small>{}</small></span></th></tr>\n",
            book.columns.len() + 1,
            escaped(area[0].area()),
            count(area.len(), "case")
        ));
        for row in area {
            line(&mut out, book, row, reasons);
        }
        out.push_str("</tbody>\n");
    }
    out + "</table>\n</div>\n"
}

/// The kernels, below their runs if there are several.
fn heads(book: &Book) -> String {
    let mut out = String::new();
    if book.runs.len() > 1 {
        out.push_str("<tr><td></td>");
        for (at, run) in book.runs.iter().enumerate() {
            let wide = book.columns.iter().filter(|column| column.of == at).count();
            out.push_str(&format!(
                "<th scope=\"colgroup\" colspan=\"{wide}\" class=\"r{at}\">{}</th>",
                escaped(run)
            ));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("<tr><th scope=\"col\">case</th>");
    for column in &book.columns {
        let link = kernel_link(column, &column.run.name);
        out.push_str(&format!("<th scope=\"col\"{}>{link}</th>", of_run(book, column)));
    }
    out + "</tr>\n"
}

/// What the script hides the columns of a run by.
fn of_run(book: &Book, column: &Column) -> String {
    if book.runs.len() > 1 { format!(" class=\"r{}\"", column.of) } else { String::new() }
}

fn line(out: &mut String, book: &Book, row: &Row, reasons: &Reasons<'_>) {
    let promise = book.rules.get(&row.rule).map(|rule| rule.promise.as_str()).unwrap_or_default();
    let runs = (0..book.runs.len()).map(Some).filter(|_| book.runs.len() > 1);
    let marks: Vec<String> = std::iter::once(None)
        .chain(runs)
        .map(|run| history::marks(book, row, run).letters())
        .collect();
    out.push_str(&format!(
        "<tr data-f=\"{}\"{}><th scope=\"row\"><a href=\"#case={}\">{}</a><small>{}</small></th>",
        marks.join(" "),
        reasons.mark(row),
        in_address(&row.id),
        breakable(&row.id),
        escaped(promise)
    ));
    for (cell, column) in row.cells.iter().zip(&book.columns) {
        out.push_str(&field(book, row, cell.as_ref(), column));
    }
    out.push_str("</tr>\n");
}

/// One cell. What somebody has to look at is a link, the rest is not: the keyboard is to go from one
/// to the next.
fn field(book: &Book, row: &Row, cell: Option<&Case>, column: &Column) -> String {
    let run = if book.runs.len() > 1 { format!(" r{}", column.of) } else { String::new() };
    let Some(case) = cell else { return format!("<td class=\"o-none{run}\">–</td>") };
    let word = case.word();
    let times =
        if case.is_flaky() { format!(" {}/{}", case.times, case.runs) } else { String::new() };
    if matches!(case.outcome, Outcome::Pass | Outcome::Skip) && !case.is_flaky() {
        return format!("<td class=\"o-{word}{run}\">{word}</td>");
    }
    format!(
        "<td class=\"o-{word}{run}\"><a href=\"#case={}&amp;on={}\">{word}{times}</a></td>",
        in_address(&row.id),
        in_address(&column.label)
    )
}

/// Each reason once, after the word of what ended so, with the kernels and how many cases it stands for.
struct Reasons<'b> {
    /// In order.
    found: Vec<((&'static str, &'b str), Cause<'b>)>,
}

/// What ended for one reason.
#[derive(Default)]
struct Cause<'b> {
    columns: BTreeSet<usize>,
    cases: BTreeSet<&'b str>,
}

impl<'b> Reasons<'b> {
    fn of(book: &'b Book) -> Self {
        let mut found: BTreeMap<(&str, &str), Cause<'b>> = BTreeMap::new();
        for row in &book.rows {
            for (at, case) in row.cells.iter().enumerate() {
                let Some((case, reason)) =
                    case.as_ref().and_then(|c| Some((c, c.reason.as_ref()?)))
                else {
                    continue;
                };
                let cause = found.entry((case.word(), reason)).or_default();
                cause.columns.insert(at);
                cause.cases.insert(&row.id);
            }
        }
        Self { found: found.into_iter().collect() }
    }

    /// The places of a row's reasons in the list, which the search looks into.
    fn mark(&self, row: &Row) -> String {
        let keys: BTreeSet<(&str, &str)> = row
            .cells
            .iter()
            .flatten()
            .filter_map(|case| Some((case.word(), case.reason.as_deref()?)))
            .collect();
        let place = |key| self.found.binary_search_by_key(key, |(of, _)| *of).ok();
        let places: Vec<String> =
            keys.iter().filter_map(place).map(|place| place.to_string()).collect();
        if places.is_empty() { String::new() } else { format!(" data-r=\"{}\"", places.join(" ")) }
    }

    fn list(&self, book: &Book) -> String {
        if self.found.is_empty() {
            return String::new();
        }
        let mut out = String::from(
            "<section aria-labelledby=\"reasons\">\n<h2 id=\"reasons\">Reasons</h2>\n<ul id=\"why\">\n",
        );
        for ((word, reason), cause) in &self.found {
            let cases = match cause.cases.first() {
                Some(id) if cause.cases.len() == 1 => {
                    format!("<a href=\"#case={}\">{}</a>", in_address(id), breakable(id))
                }
                _ => count(cause.cases.len(), "case"),
            };
            let on: Vec<&str> = cause.columns.iter().map(|at| &*book.columns[*at].label).collect();
            out.push_str(&format!(
                "<li><b class=\"o-{word}\">{word}</b> {cases}: <span>{}</span> \
                 <small>on {}</small></li>\n",
                escaped(reason),
                escaped(&on.join(", "))
            ));
        }
        out + "</ul>\n</section>\n"
    }
}
