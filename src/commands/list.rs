//! `hairpin list`: the rules with their cases, sources and needs.

mod page;

use std::path::PathBuf;
use std::time::Duration;

use hairpin_model::Error;
use hairpin_model::rule::RuleEntry;
use serde::Serialize;

use crate::commands::check::unknown;
use crate::exit::Exit;
use crate::observed::Observed;
use crate::run::stop::Stop;
use crate::select::select;
use crate::show::{DIM, Out, STRONG, count, paint, story, width, wrap};
use crate::suite::locate::SuiteArgs;
use crate::suite::{Case, Suite};

const EXAMPLES: &str = "\
Examples:
  hairpin list                  every rule: promise, source, needs, cases
  hairpin list macvlan M7       an area, and a sentence of the article
  hairpin list --json | jq -r '.rules[].cases[].id'
  hairpin list --markdown --observed fixtures/observed.toml > docs/rules.md";

/// How long the suite program may think about what it holds.
const DEADLINE: Duration = Duration::from_secs(30);
/// The version of the JSON: raised when a field changes its meaning or goes away.
const VERSION: u32 = 1;

/// The options of `hairpin list`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Areas, beginnings of ids, ids, globs, sentences of the article; all cases without one.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    #[command(flatten)]
    suite: SuiteArgs,
    /// One JSON object, for programs. Fields are only ever added.
    #[arg(long)]
    json: bool,
    /// A page in Markdown.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// What kernels have shown, for the page (report --format observed).
    #[arg(long, value_name = "FILE", requires = "markdown")]
    observed: Option<PathBuf>,
}

/// The listing for programs.
#[derive(Serialize)]
struct Listing<'a> {
    v: u32,
    program: String,
    rules: Vec<ListedRule<'a>>,
}

#[derive(Serialize)]
struct ListedRule<'a> {
    #[serde(flatten)]
    rule: &'a RuleEntry,
    cases: Vec<ListedCase<'a>>,
}

#[derive(Serialize)]
struct ListedCase<'a> {
    id: &'a str,
    test: &'a str,
}

/// Prints the rules.
pub(crate) fn run(args: &Args) -> Result<Exit, Error> {
    let program = args.suite.locate(false)?;
    let suite = Suite::load(&program, DEADLINE, &Stop::new()?)?;
    let cases = match select(&suite, &args.filters) {
        Ok(cases) => cases,
        Err(unmatched) => return Ok(unknown(&unmatched)),
    };
    let rules: Vec<(&RuleEntry, Vec<&Case>)> = suite
        .rules
        .iter()
        .enumerate()
        .map(|(i, rule)| (rule, cases.iter().copied().filter(|case| case.rule == i).collect()))
        // A rule without a case is a hole in the suite: shown, unless something else was asked.
        .filter(|(_, cases): &(_, Vec<&Case>)| args.filters.is_empty() || !cases.is_empty())
        .collect();
    let text = match (args.json, args.markdown) {
        (true, _) => json(&suite, &rules),
        (_, true) => markdown(&rules, args)?,
        _ => table(&rules),
    };
    Out::stdout().text(&text);
    Ok(if rules.is_empty() { Exit::NothingRan } else { Exit::Fine })
}

fn json(suite: &Suite, rules: &[(&RuleEntry, Vec<&Case>)]) -> String {
    let rules = rules.iter().map(|(rule, cases)| ListedRule {
        rule,
        cases: cases.iter().map(|c| ListedCase { id: c.id.as_str(), test: &c.test }).collect(),
    });
    let program = suite.program.display().to_string();
    let listing = Listing { v: VERSION, program, rules: rules.collect() };
    serde_json::to_string_pretty(&listing).expect("texts and numbers always serialise") + "\n"
}

fn markdown(rules: &[(&RuleEntry, Vec<&Case>)], args: &Args) -> Result<String, Error> {
    let mut made = String::from("hairpin list --markdown");
    let observed = match &args.observed {
        None => Observed::default(),
        Some(file) => {
            made.push_str(&format!(" --observed {}", file.display()));
            Observed::read(file)?
        }
    };
    Ok(page::text(rules, &observed, &made))
}

fn table(rules: &[(&RuleEntry, Vec<&Case>)]) -> String {
    let wide = width();
    let mut out = String::new();
    let mut area = "";
    for (rule, cases) in rules {
        let own = rule.id.split('.').next().unwrap_or_default();
        if own != area {
            let gap = if area.is_empty() { "" } else { "\n" };
            out.push_str(&format!("{gap}{}\n", paint(STRONG, own)));
            area = own;
        }
        out.push_str(&entry(rule, cases, wide));
    }
    let n: usize = rules.iter().map(|(_, cases)| cases.len()).sum();
    out + &format!("\n{}, {}\n", count(rules.len(), "rule"), count(n, "case"))
}

/// One rule: its id with its variants, its promise, its source and needs.
fn entry(rule: &RuleEntry, cases: &[&Case], wide: usize) -> String {
    let names = match (cases.len(), variants(rule, cases)) {
        (0, _) => "no case".to_owned(),
        (_, names) => names.join(" "),
    };
    let mut out = format!("  {}", rule.id);
    if !names.is_empty() {
        out.push_str(&format!("  {}", paint(DIM, names)));
    }
    out.push('\n');
    let mut about = story::source(rule);
    if !rule.needs.is_empty() {
        about.push_str(&format!("; needs {}", rule.needs.join(", ")));
    }
    out.extend(wrap(&rule.promise, wide - 6).iter().map(|line| format!("      {line}\n")));
    out.extend(wrap(&about, wide - 6).iter().map(|line| format!("      {}\n", paint(DIM, line))));
    out
}

/// The names by which the cases of a rule differ.
fn variants<'c>(rule: &RuleEntry, cases: &[&'c Case]) -> Vec<&'c str> {
    let own = |case: &&'c Case| case.id.as_str().strip_prefix(&*rule.id)?.strip_prefix('.');
    cases.iter().filter_map(own).collect()
}
