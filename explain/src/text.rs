//! The explanation for a person: the verdict first, then the way, why, and what helps.

use std::fmt::Write;

use crate::verdict::{Explanation, Reason};

/// Writes the explanation, without colours.
pub fn text(explained: &Explanation) -> String {
    let mut out = format!("{} -> {}   {}\n", explained.from, explained.to, explained.answer);
    if !explained.way.is_empty() {
        out.push_str("\n  way\n");
    }
    for line in &explained.way {
        line_of(&mut out, "|", line);
    }
    let mut reasons = explained.reasons.iter();
    if let Some(first) = reasons.next() {
        line_of(&mut out, "X", &first.why);
        reason(&mut out, first);
    }
    for further in reasons {
        let _infallible = write!(out, "\n  once that is lifted\n");
        line_of(&mut out, "X", &further.why);
        reason(&mut out, further);
    }
    list(&mut out, "what is missing for an answer", &explained.missing);
    list(&mut out, "taken for granted", &explained.assumed);
    if let Some(probed) = &explained.probed {
        list(&mut out, "one packet", &probed.lines());
    }
    out
}

fn line_of(out: &mut String, mark: &str, line: &str) {
    for (n, part) in wrapped(line).iter().enumerate() {
        let mark = if n == 0 { mark } else { " " };
        let _infallible = writeln!(out, "    {mark} {part}");
    }
}

/// The words in lines that fit a page.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 92;
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is a line");
        if last.is_empty() || last.len() + 1 + word.len() <= WIDTH {
            last.push_str(if last.is_empty() { "" } else { " " });
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn reason(out: &mut String, reason: &Reason) {
    if let Some(rule) = &reason.rule {
        out.push('\n');
        labelled(out, "rule", rule);
        reason.promise.iter().for_each(|promise| labelled(out, "", promise));
        reason.source.iter().for_each(|source| labelled(out, "source", source));
        labelled(out, "proof", &format!("hairpin check {rule}"));
    }
    if !reason.remedies.is_empty() {
        out.push_str("\n  what helps, the safest first\n");
    }
    for (n, remedy) in reason.remedies.iter().enumerate() {
        let _infallible =
            write!(out, "    {}. {}\n       {}\n", n + 1, remedy.words, remedy.command);
    }
    if let Some(words) = &reason.no_remedy {
        let _infallible = writeln!(out, "  no help: {words}");
    }
}

/// A label, and what it labels beside it.
fn labelled(out: &mut String, label: &str, words: &str) {
    for (n, part) in wrapped(words).iter().enumerate() {
        let label = if n == 0 { label } else { "" };
        let _infallible = writeln!(out, "  {label:<6}  {part}");
    }
}

fn list(out: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _infallible = write!(out, "\n  {title}\n");
    for line in lines {
        line_of(out, "-", line);
    }
}
