//! The rules as a page in Markdown: `docs/rules.md`.

use hairpin_model::rule::RuleEntry;

use super::variants;
use crate::observed::{Observed, Shown};
use crate::show::{count, story, wrap};
use crate::suite::Case;

const HEAD: &str = "\
# Rules

Every promise that the suite holds kernels to: who makes it and how strongly that binds, its cases,
what a kernel needs for it, and the kernels that have shown it. The words are explained in
[ARCHITECTURE.md](../ARCHITECTURE.md#words). A rule is *skipped* where the kernel lacks what it needs.
";

/// The width of the page's text.
const WIDE: usize = 110;

/// A rule with its cases.
pub(super) type Listed<'s> = (&'s RuleEntry, Vec<&'s Case>);

/// The page; `made` is the command that makes it again.
pub(super) fn text(rules: &[Listed<'_>], observed: &Observed, made: &str) -> String {
    let cases: usize = rules.iter().map(|(_, cases)| cases.len()).sum();
    let kernels: Vec<String> = observed
        .kernels()
        .iter()
        .map(|kernel| format!("{} (`{}`)", kernel.name, kernel.release))
        .collect();
    let mut out = format!("{HEAD}\n<!-- Made by: {made} -->\n\n");
    let counts = format!("{}, {}.", count(rules.len(), "rule"), count(cases, "case"));
    let on = if kernels.is_empty() { "none".into() } else { kernels.join(", ") };
    out.push_str(&lines(&format!("{counts} Kernels that were run: {on}."), ""));
    out.push_str(&gaps(rules, observed));
    let mut topic = "";
    for listed in rules {
        let own = listed.0.id.rsplit_once('.').map_or(&*listed.0.id, |(topic, _)| topic);
        if own != topic {
            out.push_str(&format!("\n## {own}\n\n"));
            topic = own;
        }
        out.push_str(&entry(listed, observed));
    }
    out
}

/// The rules that no kernel has shown, which a reader should not have to look for.
fn gaps(rules: &[Listed<'_>], observed: &Observed) -> String {
    let unseen = |(rule, _): &&Listed<'_>| {
        observed.kernels_where(&rule.id, Shown::Kept).is_empty()
            && observed.kernels_where(&rule.id, Shown::Known).is_empty()
    };
    let mut out = String::new();
    for (rule, _) in rules.iter().filter(unseen) {
        let ran = observed.kernels_where(&rule.id, Shown::NotRun).len() < observed.kernels().len();
        let why = if ran { on(rule, observed) } else { "not run yet".into() };
        out.push_str(&lines(&format!("`{}`: {why}", rule.id), "- "));
    }
    if out.is_empty() { out } else { format!("\n## Shown by no kernel\n\n{out}") }
}

fn entry((rule, cases): &Listed<'_>, observed: &Observed) -> String {
    let name = rule.id.rsplit('.').next().unwrap_or(&rule.id);
    let of = match variants(rule, cases).as_slice() {
        [] if cases.is_empty() => " (no case)".into(),
        [] => String::new(),
        names => format!(" ({})", names.join(", ")),
    };
    let mut out = lines(&format!("**{name}**{of}: {}", escaped(&rule.promise)), "- ");
    let needs = match rule.needs.as_slice() {
        [] => String::new(),
        needs => format!(" Needs {}.", needs.join(", ")),
    };
    out.push_str(&lines(&format!("Source: {}.{needs}", escaped(&story::source(rule))), "  - "));
    out + &lines(&format!("Kernels: {}.", on(rule, observed)), "  - ")
}

/// Where a rule was shown, and what became of it elsewhere.
fn on(rule: &RuleEntry, observed: &Observed) -> String {
    let all = observed.kernels().len();
    let told = [
        (Shown::Kept, ""),
        (Shown::Known, "broken as is known on "),
        (Shown::Broken, "BROKEN on "),
        (Shown::Skipped, "skipped on "),
        (Shown::NotRun, "not run on "),
    ];
    let part = |(shown, words): &(Shown, &str)| {
        let kernels = observed.kernels_where(&rule.id, *shown);
        match kernels.len() {
            0 => None,
            n if n == all => Some(format!("{words}all")),
            _ => Some(format!("{words}{}", kernels.join(" "))),
        }
    };
    let parts: Vec<String> = told.iter().filter_map(part).collect();
    if parts.is_empty() { "none".into() } else { parts.join("; ") }
}

/// A paragraph or an item of a list, in lines.
fn lines(text: &str, mark: &str) -> String {
    let blank = " ".repeat(mark.len());
    let wrapped = wrap(text, WIDE - mark.len());
    let line =
        |(at, line): (usize, &String)| format!("{}{line}\n", if at == 0 { mark } else { &blank });
    wrapped.iter().enumerate().map(line).collect()
}

/// Text in which nothing is taken for Markdown.
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('*', "\\*").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::testing::suite;

    #[test]
    fn a_rule_tells_where_it_was_shown_and_gaps_come_first() {
        let suite = suite();
        let listed = |at: usize| {
            let cases = suite.cases.iter().filter(|case| case.rule == at).collect();
            (&suite.rules[at], cases)
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("observed.toml");
        let kernel = |name: &str| format!("{{ name = \"{name}\", release = \"{name}.1\" }}");
        let kernels = format!("kernels = [{}, {}]", kernel("5.10"), kernel("6.1"));
        let rows = "\"bridge.l2.same-bridge\" = \"+k\"\n\
                    \"macvlan.vepa.siblings-need-reflection\" = \"s-\"";
        std::fs::write(&file, format!("{kernels}\n[rules]\n{rows}")).unwrap();
        let page = text(&[listed(0), listed(1)], &Observed::read(&file).unwrap(), "this");
        insta::assert_snapshot!(page.replace(HEAD, "HEAD\n"));
    }
}
