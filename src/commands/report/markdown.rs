//! A GitHub job summary: counts, then what went wrong. A summary over the limit is refused whole,
//! so this one ends before, and says what it left out.

use hairpin_model::event::Outcome;

use super::reason;
use crate::measure::{Measured, table};
use crate::results::{Case, Run};

/// Bytes, of the service's 1 MiB for each step: other tools may write there too.
const LIMIT: usize = 900 << 10;

/// Lines of a program's output that are shown.
const OUTPUT_LINES: usize = 40;

const COLUMNS: [Outcome; 7] = [
    Outcome::Pass,
    Outcome::Fail,
    Outcome::Crash,
    Outcome::Hang,
    Outcome::Error,
    Outcome::Known,
    Outcome::Skip,
];

/// The runs as one page.
pub(super) fn text(runs: &[Run]) -> String {
    within(runs, LIMIT)
}

fn within(runs: &[Run], limit: usize) -> String {
    let mut out = counts(runs);
    let all = || runs.iter().flat_map(|run| run.cases.iter().map(move |case| (run, case)));
    let bad: Vec<_> = all().filter(|(_, case)| case.outcome.is_bad()).collect();
    if !bad.is_empty() {
        out.push_str("\n### What went wrong\n\n");
    }
    for (at, (run, case)) in bad.iter().enumerate() {
        let part = failure(run, case);
        if out.len() + part.len() > limit - 200 {
            let left: usize = bad.len() - at;
            out.push_str(&format!(
                "\n{left} more did not fit here; the event files have them all.\n"
            ));
            return out;
        }
        out.push_str(&part);
    }
    out
}

fn counts(runs: &[Run]) -> String {
    let mut out = String::from("## Hairpin\n\n| kernel |");
    for outcome in COLUMNS {
        out.push_str(&format!(" {} |", outcome.word()));
    }
    out.push_str(&format!("\n|---|{}\n", "--:|".repeat(COLUMNS.len())));
    for run in runs.iter().filter(|run| !run.is_only_measured()) {
        let counts = run.counts();
        let flaw = run.flaw().map_or_else(String::new, |flaw| format!(" ({flaw})"));
        out.push_str(&format!("| {} ({}){flaw} |", escaped(&run.name), escaped(&run.kernel)));
        for outcome in COLUMNS {
            out.push_str(&format!(" {} |", counts.get(&outcome).copied().unwrap_or_default()));
        }
        out.push('\n');
    }
    out + &costs(runs)
}

/// What the runs measured, a line a kernel.
fn costs(runs: &[Run]) -> String {
    let measured =
        runs.iter().filter(|run| run.is_measured()).filter_map(|run| Measured::of(run).ok());
    let lines: Vec<String> =
        measured.map(|m| format!("- {}\n", escaped(&table::line(&m)))).collect();
    if lines.is_empty() {
        return String::new();
    }
    let head = "\n### What networks cost\n\nThroughput/round trip, in those of a plain veth.\n\n";
    head.to_owned() + &lines.concat()
}

fn failure(run: &Run, case: &Case) -> String {
    let flaky = if case.is_flaky() {
        format!(", {} of {} times", case.times, case.runs)
    } else {
        String::new()
    };
    let head = format!(
        "- **{}** on {}: `{}`{flaky}: {}\n",
        case.outcome.word(),
        escaped(&run.name),
        case.id,
        escaped(&reason(case))
    );
    let printed = anstream::adapter::strip_str(&case.output).to_string();
    let lines: Vec<&str> = printed.lines().collect();
    if lines.is_empty() {
        return head;
    }
    let last = lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n    ");
    format!(
        "{head}\n  <details><summary>output</summary>\n\n  ````text\n    {last}\n  ````\n  </details>\n\n"
    )
}

/// Text that a table or a list shows as it is.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '#' | '[' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::run;
    use super::*;

    #[test]
    fn counts_come_first_and_then_what_went_wrong() {
        insta::assert_snapshot!(text(&[run()]), @r##"
        ## Hairpin

        | kernel | pass | fail | crash | hang | error | known | skip |
        |---|--:|--:|--:|--:|--:|--:|--:|
        | 6.12 (6.12.1) | 1 | 2 | 1 | 1 | 1 | 1 | 1 |

        ### What went wrong

        - **fail** on 6.12: `area.rule-3`: why \# &lt;3> &amp; more

          <details><summary>output</summary>

          ````text
            thread panicked
          ````
          </details>

        - **error** on 6.12: `area.rule-4`: why \# &lt;4> &amp; more
        - **crash** on 6.12: `area.rule-5`: why \# &lt;5> &amp; more
        - **hang** on 6.12: `area.rule-6`: why \# &lt;6> &amp; more
        - **fail** on 6.12: `area.rule-9`, 1 of 3 times: why \# &lt;9> &amp; more
        "##);
    }

    #[test]
    fn a_page_ends_before_its_limit_and_says_what_it_left_out() {
        let mut many = run();
        let failed = many.cases[3].clone();
        many.cases.extend((0..50).map(|_| failed.clone()));
        let page = within(&[many], 3000);
        assert!(page.len() <= 3000, "{}", page.len());
        assert!(
            page.ends_with("more did not fit here; the event files have them all.\n"),
            "{page}"
        );
    }
}
