//! The order of Debian package versions, as deb-version(7) defines it.

use std::cmp::Ordering;

/// Compares two package versions.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    let ((le, lu, lr), (re, ru, rr)) = (split(left), split(right));
    le.cmp(&re).then_with(|| part(lu, ru)).then_with(|| part(lr, rr))
}

/// Epoch, upstream version, revision.
fn split(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch.parse().unwrap_or(0), upstream, revision)
}

/// Compares in turn a run without digits and a number, until they differ.
fn part(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let words = text(cut(&mut left, false), cut(&mut right, false));
        let order = words.then_with(|| number(cut(&mut left, true), cut(&mut right, true)));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Cuts off the leading run of digits, or of anything else.
fn cut<'a>(from: &mut &'a str, digits: bool) -> &'a str {
    let end = from.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(from.len());
    let (head, tail) = from.split_at(end);
    *from = tail;
    head
}

/// `~` sorts before the end, the end before letters, letters before all else.
fn text(left: &str, right: &str) -> Ordering {
    let weight = |c: Option<char>| match c {
        Some('~') => -1,
        None => 0,
        Some(c) if c.is_ascii_alphabetic() => c as i64,
        Some(c) => c as i64 + 256,
    };
    let (mut left, mut right) = (left.chars(), right.chars());
    loop {
        let (l, r) = (left.next(), right.next());
        match weight(l).cmp(&weight(r)) {
            Ordering::Equal if l.is_none() && r.is_none() => return Ordering::Equal,
            Ordering::Equal => {}
            order => return order,
        }
    }
}

fn number(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_dpkgs_order() {
        let rising = [
            "6.12.90-1~bpo12+1",
            "6.12.90-1",
            "6.12.90-2~bpo12+1",
            "6.12.90-2",
            "6.12.100-1",
            "6.12.115-1",
            "6.12.115-2~deb12u1",
            "6.12.115-2",
            "7.3~rc7-1~exp1",
            "7.3-1",
            "7.3.4-1~bpo13+1",
            "1:1.0-1",
        ];
        for (at, left) in rising.iter().enumerate() {
            for (other, right) in rising.iter().enumerate() {
                assert_eq!(compare(left, right), at.cmp(&other), "{left} against {right}");
            }
        }
    }
}
