//! Text as HTML, links, and bytes as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// Text that stands in HTML, also within a quoted attribute, as nothing but text.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Text as a part of an address: what has a meaning there is written in numbers.
pub(super) fn in_address(text: &str) -> String {
    const MEANS_SOMETHING: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    utf8_percent_encode(text, MEANS_SOMETHING).to_string()
}

/// Text in which a line may be broken after each dot and dash.
pub(super) fn breakable(id: &str) -> String {
    escaped(id).replace('.', ".<wbr>").replace('-', "-<wbr>")
}

/// What identifies a script or a style of the page.
pub(super) fn digest(text: &str) -> String {
    base64(&Sha256::digest(text))
}

/// Bytes in letters that mean nothing in HTML.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_the_rfc_has_them() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn nothing_of_a_text_has_a_meaning_any_more() {
        assert_eq!(escaped("</script>\"'&"), "&lt;/script&gt;&quot;&#39;&amp;");
        assert_eq!(in_address("a b&c=d/ü"), "a%20b%26c%3Dd%2F%C3%BC");
        assert_eq!(breakable("a.b-c"), "a.<wbr>b-<wbr>c");
    }
}
