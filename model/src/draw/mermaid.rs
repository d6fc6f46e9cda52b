//! The picture as a Mermaid flowchart, which many pages of source hosts draw.

use super::blocks::{below, kind, notes, settings};
use super::edges::{Join, edges};
use crate::topology::{Link, Topology};

/// The labs as one flowchart, each in a frame of its own if there are several.
pub fn mermaid(labs: &[Topology]) -> String {
    let mut out = String::from("flowchart LR\n");
    for (i, lab) in labs.iter().enumerate() {
        let several = labs.len() > 1;
        if several {
            out.push_str(&format!("  subgraph lab{i}[\"{}\"]\n", escaped(&lab.name)));
        }
        draw(&mut out, lab, i);
        if several {
            out.push_str("  end\n");
        }
    }
    out
}

fn draw(out: &mut String, lab: &Topology, nth: usize) {
    let id = |place: usize| format!("l{nth}_{place}");
    for (i, netns) in lab.netns.iter().enumerate() {
        let kind = if netns.host { "host" } else { "netns" };
        let title = [vec![format!("{} ({kind})", netns.name)], notes(netns)].concat();
        out.push_str(&format!("  subgraph n{nth}_{i}[\"{}\"]\n", lines(&title)));
        for (place, link) in lab.links.iter().enumerate() {
            if link.name.netns == netns.name {
                out.push_str(&format!("    {}[\"{}\"]\n", id(place), lines(&about(lab, link))));
            }
        }
        out.push_str("  end\n");
    }
    for (place, link) in lab.links.iter().enumerate() {
        if let Some(on) = below(lab, link) {
            let word = if link.port.is_some() { "port" } else { "on" };
            out.push_str(&format!("  {} -- {word} --- {}\n", id(place), id(on)));
        }
    }
    for edge in edges(lab) {
        let line = match edge.join {
            Join::Cable => "---",
            Join::Child => "-.->",
        };
        out.push_str(&format!("  {} {line} {}\n", id(edge.from), id(edge.to)));
    }
}

/// A link in lines.
fn about(lab: &Topology, link: &Link) -> Vec<String> {
    let mut out = vec![format!("{} {}", link.name.link, kind(link))];
    if !link.up {
        out.push("down".into());
    }
    out.push(lab.mac_of(&link.name).to_string());
    out.extend(link.addresses.iter().map(ToString::to_string));
    out.extend(settings(link));
    out
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br/>")
}

/// Text that a label shows as it is.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '#' => out.push_str("#35;"),
            '"' => out.push_str("#quot;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            c => out.push(c),
        }
    }
    out
}
