//! Consoles that real kernels wrote, through the scanner.

use super::Console;

fn heard(text: &str) -> Console {
    let mut console = Console::default();
    console.feed(text.as_bytes());
    console.finish();
    console
}

#[test]
fn nothing_is_no_evidence() {
    assert_eq!(heard("").evidence(), []);
}
