//! Text in lines: wrapping, numbers with their nouns, labelled paragraphs.

use std::time::Duration;

/// The text in lines of at most that many characters; words longer than a line stay whole.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A line wrapped; that of a list, which begins with `- `, hangs behind its dash.
fn hang(line: &str, width: usize) -> Vec<String> {
    match line.strip_prefix("- ") {
        None => wrap(line, width),
        Some(item) => wrap(item, width.saturating_sub(2))
            .into_iter()
            .enumerate()
            .map(|(i, line)| format!("{} {line}", if i == 0 { '-' } else { ' ' }))
            .collect(),
    }
}

/// A number with its noun: `1 case`, `2 cases`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// A duration for people: `3.1 ms`, `3.1 s`, `2 min 5 s`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.1} s"),
        s => format!("{} min {} s", s as u64 / 60, s as u64 % 60),
    }
}

/// The place of a label and of what it labels in a story.
pub(crate) const LABEL: usize = 10;

/// Adds a paragraph with its label: the text wrapped, its lines one under the other.
pub(crate) fn paragraph(out: &mut String, label: &str, text: &str, width: usize) {
    let room = width.saturating_sub(LABEL + 2);
    for (i, line) in text.lines().flat_map(|line| hang(line, room)).enumerate() {
        let label = if i == 0 { label } else { "" };
        out.push_str(&labelled(label, &line));
    }
}

/// One line with its label, which is dimmed.
pub(crate) fn labelled(label: &str, line: &str) -> String {
    let label = super::paint(super::DIM, format!("{label:LABEL$}"));
    format!("  {label}{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_by_words() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("a incomprehensibilities b", 5), ["a", "incomprehensibilities", "b"]);
        assert!(wrap("", 5).is_empty());
    }

    #[test]
    fn durations_are_for_people() {
        let spans = [0.0021, 0.25, 3.12, 125.0].map(|s| span(Duration::from_secs_f64(s)));
        assert_eq!(spans, ["2.1 ms", "0.2 s", "3.1 s", "2 min 5 s"]);
    }
}
