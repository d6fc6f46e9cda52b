//! The end of what a kernel said, for cases that ended badly.

use std::path::Path;

use hairpin_model::CaseId;

use super::book::Column;

/// Lines of it that are shown, and bytes.
const LINES: usize = 60;
const BYTES: usize = 6 << 10;

/// The end of a case's console; nothing if there is none.
pub(super) fn excerpt(column: &Column, case: &str) -> Option<String> {
    // An id is a part of a path here, and events may come from anywhere.
    if !CaseId::is_well_formed(case) {
        return None;
    }
    let kernel = column.file.file_stem()?;
    let beside = column.file.with_extension("consoles");
    let within =
        column.file.parent().unwrap_or_else(|| Path::new("")).join("consoles").join(kernel);
    let file = [beside, within].map(|folder| folder.join(format!("{case}.txt")));
    let text = file.iter().find_map(|file| std::fs::read(file).ok())?;
    Some(end(&String::from_utf8_lossy(&text)))
}

/// The last lines of a text, without colours.
pub(super) fn end(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    let lines: Vec<&str> = plain.lines().map(str::trim_end).collect();
    let mut out = lines[lines.len().saturating_sub(LINES)..].join("\n");
    if let Some(cut) = out.len().checked_sub(BYTES) {
        let cut = (cut..=out.len()).find(|at| out.is_char_boundary(*at)).unwrap_or(cut);
        out.drain(..cut);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Run;

    #[test]
    fn only_the_end_is_shown() {
        let long: String =
            (0..5000).map(|n| format!("line {n} \u{1b}[31mred\u{1b}[0m\r\n")).collect();
        let shown = end(&long);
        assert!(shown.ends_with("line 4999 red") && shown.lines().count() == LINES);
        assert!(end(&"ü".repeat(BYTES)).len() <= BYTES);
    }

    #[test]
    fn a_console_is_found_beside_its_events_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("consoles/6.12");
        std::fs::create_dir_all(&kept).unwrap();
        std::fs::write(kept.join("a.b.txt"), "BUG: here\n").unwrap();
        std::fs::write(folder.path().join("secret.txt"), "no").unwrap();
        let file = folder.path().join("6.12.jsonl");
        let column = Column { label: "6.12".into(), of: 0, run: Run::default(), file };
        assert_eq!(excerpt(&column, "a.b").as_deref(), Some("BUG: here"));
        assert_eq!(excerpt(&column, "../../secret"), None);
        assert_eq!(excerpt(&column, "a.c"), None);
    }
}
