//! One edit of one line of a function of a C source, as kernel sources are laid out. Pure: text in, text out.
//!
//! Nothing of C is understood but this: a definition begins with an unindented line that names it, and ends with the
//! next unindented `}`. An edit that fits nowhere, or in two places, is refused.

use std::fmt;
use std::ops::Range;

use super::data::Mutant;

/// Why an edit does not fit a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The file has no such function.
    NoFunction,
    /// The words to find are not in it, or those before them.
    NotFound(String),
    /// They are there that many times.
    Ambiguous(usize),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFunction => f.write_str("the file has no such function"),
            Self::NotFound(words) => write!(f, "`{words}` is not in the function"),
            Self::Ambiguous(times) => write!(f, "the words are {times} times in the function"),
        }
    }
}

/// The source with the mutant's edit.
pub(crate) fn apply(source: &str, mutant: &Mutant) -> Result<String, Misfit> {
    let bodies = definitions(source, &mutant.function);
    if bodies.is_empty() {
        return Err(Misfit::NoFunction);
    }
    let mut found = Vec::new();
    for body in bodies {
        let Some(from) = start(source, &body, mutant.after.as_deref()) else { continue };
        let places = source[from..body.end].match_indices(&mutant.find).map(|(at, _)| from + at);
        // Behind other words, the first place is meant.
        found.extend(places.take(if mutant.after.is_some() { 1 } else { usize::MAX }));
    }
    match found.as_slice() {
        [at] => {
            let (before, rest) = source.split_at(*at);
            Ok([before, &mutant.put, &rest[mutant.find.len()..]].concat())
        }
        [] => {
            let words = mutant.after.as_deref().filter(|words| !source.contains(words));
            Err(Misfit::NotFound(words.unwrap_or(&mutant.find).to_owned()))
        }
        many => Err(Misfit::Ambiguous(many.len())),
    }
}

/// Where to look from: the body's beginning, or behind the words.
fn start(source: &str, body: &Range<usize>, after: Option<&str>) -> Option<usize> {
    match after {
        None => Some(body.start),
        Some(words) => Some(body.start + source[body.clone()].find(words)? + words.len()),
    }
}

/// The definitions of that name: from the line that names it to the end of its last line.
fn definitions(source: &str, name: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open: Option<usize> = None;
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let end = at + line.len();
        match open {
            // A prototype, or the mention of a name, is over with its `;` before any `{`.
            Some(start) if !source[start..at].contains('{') && is_over(line) => open = None,
            Some(start) if line.starts_with('}') => {
                found.push(start..end);
                open = None;
            }
            Some(_) => {}
            None if begins(line, name) && !is_over(line) => open = Some(at),
            None => {}
        }
        at = end;
    }
    found
}

fn is_over(line: &str) -> bool {
    line.trim_end().ends_with(';')
}

/// Whether an unindented line of code has the name as a whole word.
fn begins(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.starts_with(is_word)
        && line.match_indices(name).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            !before.ends_with(is_word) && after.starts_with(['(', '[', ' '])
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
static int twice(int x);

static int other(int x)
{
\treturn twice(x) + 1;
}

static struct thing
*twice_as(int x)
{
\treturn x + x;
}

static int twice(int x)
{
\tif (x)
\t\treturn x + x;
\tx = 3;
\treturn x + x;
}

static const struct thing table[] = {
\t.open = twice,
};
";

    fn mutant(function: &str, after: Option<&str>, find: &str) -> Mutant {
        let after = after.map_or(String::new(), |words| format!("after = \"{words}\"\n"));
        let text = format!(
            "id = \"x.y\"\nfile = \"f.c\"\nfunction = \"{function}\"\n{after}find = \"{find}\"\n\
             put = \"PUT\"\nbreaks = \"it\"\n"
        );
        toml::from_str(&text).unwrap()
    }

    fn edited(function: &str, after: Option<&str>, find: &str) -> Result<String, Misfit> {
        let text = apply(SOURCE, &mutant(function, after, find))?;
        let at = text.find("PUT").unwrap();
        let line = text[..at].lines().count();
        Ok(format!("line {line}: {}", text.lines().nth(line - 1).unwrap().trim()))
    }

    #[test]
    fn only_the_named_definition_is_edited() {
        assert_eq!(edited("other", None, "+ 1").unwrap(), "line 5: return twice(x) PUT;");
        assert_eq!(edited("twice", None, "x = 3").unwrap(), "line 18: PUT;");
        assert_eq!(edited("table", None, "twice").unwrap(), "line 23: .open = PUT,");
    }

    #[test]
    fn words_that_fit_twice_need_a_place() {
        assert_eq!(edited("twice", None, "x + x"), Err(Misfit::Ambiguous(2)));
        let last = edited("twice", Some("x = 3"), "x + x").unwrap();
        assert_eq!(last, "line 19: return PUT;");
        assert_eq!(edited("twice", Some("if (x)"), "x + x").unwrap(), "line 17: return PUT;");
    }

    #[test]
    fn what_fits_nowhere_is_refused_with_the_words() {
        assert_eq!(edited("thrice", None, "x"), Err(Misfit::NoFunction));
        assert_eq!(edited("twic", None, "x"), Err(Misfit::NoFunction));
        assert_eq!(edited("other", None, "x = 3"), Err(Misfit::NotFound("x = 3".into())));
        assert_eq!(edited("twice", Some("y"), "x = 3"), Err(Misfit::NotFound("y".into())));
    }

    proptest::proptest! {
        /// Whatever is edited, all but the words that were found stays as it was.
        #[test]
        fn an_edit_changes_nothing_else(from in 0..SOURCE.len(), length in 1..9_usize) {
            let Some(find) = SOURCE.get(from..(from + length).min(SOURCE.len())) else { return Ok(()) };
            if find.contains(['\n', '"', '\\', '\t']) { return Ok(()) }
            for function in ["other", "twice", "table"] {
                if let Ok(text) = apply(SOURCE, &mutant(function, None, find)) {
                    let back = text.replacen("PUT", find, 1);
                    proptest::prop_assert_eq!(back, SOURCE);
                }
            }
        }
    }
}
