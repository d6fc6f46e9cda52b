//! What stands in a namespace's box: a tree of its links, then what concerns the whole of it.

use crate::topology::{Kind, Link, Netns, Topology};

/// What a piece of text is, for pictures with colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// A link's name.
    Name,
    /// What the link is.
    Kind,
    /// An Ethernet or IP address.
    Address,
    /// A setting that is not the usual one.
    Setting,
    /// What concerns the namespace: routes, sysctls, the firewall.
    Note,
}

/// One line of a box.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// How far it stands to the right, in characters.
    pub(super) indent: usize,
    /// Its pieces, with a gap of two characters in between.
    pub(super) pieces: Vec<(Ink, String)>,
    /// The place of its link among the topology's links, if this is the first line of one.
    pub(super) link: Option<usize>,
}

impl Row {
    fn new(indent: usize, ink: Ink, text: impl Into<String>) -> Self {
        Self { indent, pieces: vec![(ink, text.into())], link: None }
    }

    /// Each piece with the place of its first character.
    pub(super) fn placed(&self) -> impl Iterator<Item = (usize, Ink, &str)> {
        self.pieces.iter().scan(self.indent, |at, (ink, text)| {
            let here = *at;
            *at += text.chars().count() + GAP;
            Some((here, *ink, text.as_str()))
        })
    }

    /// Whether it begins a link that is drawn below another.
    pub(super) const fn is_below(&self) -> bool {
        self.link.is_some() && self.indent >= BELOW
    }

    fn width(&self) -> usize {
        self.placed().map(|(at, _, text)| at + text.chars().count()).max().unwrap_or(0)
    }
}

/// Characters between two pieces of a line.
const GAP: usize = 2;
/// How far a link below another stands to the right.
pub(super) const BELOW: usize = 3;
/// How far what is told of a link stands to the right of its name.
const MORE: usize = 2;

/// The box of a namespace.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The head: its name, and whether it is a host.
    pub(super) title: String,
    pub(super) host: bool,
    pub(super) rows: Vec<Row>,
}

impl Block {
    /// The boxes of all namespaces.
    pub(super) fn all(topology: &Topology) -> Vec<Self> {
        topology.netns.iter().map(|netns| Self::of(topology, netns)).collect()
    }

    fn of(topology: &Topology, netns: &Netns) -> Self {
        let mut rows = Vec::new();
        let links = links_of(topology, &netns.name);
        let mut done = Vec::new();
        for &(place, link) in &links {
            if below(topology, link).is_none() {
                tree(topology, &links, place, 0, &mut rows, &mut done);
            }
        }
        // Links that stand on each other in a circle have no first one; a kernel refuses them.
        for &(place, _) in &links {
            tree(topology, &links, place, 0, &mut rows, &mut done);
        }
        rows.extend(notes(netns).into_iter().map(|note| Row::new(0, Ink::Note, note)));
        Self { title: netns.name.clone(), host: netns.host, rows }
    }

    /// The width of what stands in it.
    pub(super) fn width(&self) -> usize {
        let rows = self.rows.iter().map(Row::width).max().unwrap_or(0);
        rows.max(self.title.chars().count() + self.tag().len() + GAP)
    }

    /// What kind of namespace it is, in a word.
    pub(super) const fn tag(&self) -> &'static str {
        if self.host { "host" } else { "netns" }
    }
}

fn links_of<'t>(topology: &'t Topology, netns: &str) -> Vec<(usize, &'t Link)> {
    topology.links.iter().enumerate().filter(|(_, link)| link.name.netns == netns).collect()
}

/// The link of the same namespace below which this one is drawn: its bridge, or its parent.
pub(super) fn below(topology: &Topology, link: &Link) -> Option<usize> {
    let in_same = |name: &str| {
        let of_name =
            |other: &Link| other.name.netns == link.name.netns && other.name.link == *name;
        topology.links.iter().position(of_name)
    };
    let parent = link.kind.parent().filter(|parent| parent.netns == link.name.netns);
    match &link.port {
        Some((bridge, _)) => in_same(bridge),
        None => in_same(&parent?.link),
    }
}

fn tree(
    topology: &Topology,
    links: &[(usize, &Link)],
    place: usize,
    depth: usize,
    rows: &mut Vec<Row>,
    done: &mut Vec<usize>,
) {
    if done.contains(&place) {
        return;
    }
    done.push(place);
    rows.extend(lines(topology, place, depth * BELOW));
    for &(other, link) in links {
        if below(topology, link) == Some(place) {
            tree(topology, links, other, depth + 1, rows, done);
        }
    }
}

/// The lines of one link: what it is, its addresses, its settings.
fn lines(topology: &Topology, place: usize, indent: usize) -> Vec<Row> {
    let link = &topology.links[place];
    let mut head = Row::new(indent, Ink::Name, &link.name.link);
    head.pieces.push((Ink::Kind, kind(link)));
    head.link = Some(place);
    if !link.up {
        head.pieces.push((Ink::Setting, "down".into()));
    }
    let mut rows = vec![head];
    let more = |ink| move |text: String| Row::new(indent + MORE, ink, text);
    rows.push(more(Ink::Address)(topology.mac_of(&link.name).to_string()));
    rows.extend(link.addresses.iter().map(ToString::to_string).map(more(Ink::Address)));
    rows.extend(settings(link).into_iter().map(more(Ink::Setting)));
    rows
}

/// What a link is, in words: its driver and its mode.
pub(super) fn kind(link: &Link) -> String {
    match &link.kind {
        Kind::Macvlan { settings, .. } => format!("macvlan {}", settings.mode),
        Kind::Vlan { id, .. } => format!("vlan {id}"),
        other => other.driver().into(),
    }
}

/// What is set on a link beyond the usual, one a line.
pub(super) fn settings(link: &Link) -> Vec<String> {
    let mut out = Vec::new();
    match &link.kind {
        Kind::Bridge(bridge) => {
            out.extend(bridge.vlan_filtering.then(|| "vlan filtering".into()));
            out.extend(bridge.ageing.map(|ageing| format!("ageing {ageing}")));
            let snooping = |on| format!("mcast snooping {}", on_off(on));
            out.extend(bridge.mcast_snooping.map(snooping));
            out.extend(bridge.nf_call.then(|| "nf call".into()));
        }
        Kind::Macvlan { settings, .. } => {
            out.extend(settings.nopromisc.then(|| "nopromisc".into()));
            out.extend(settings.nodst.then(|| "nodst".into()));
            out.extend(settings.senders.iter().map(|mac| format!("hears {mac}")));
            out.extend(settings.bc_queue.map(|frames| format!("bc queue {frames}")));
        }
        _ => {}
    }
    if let Some((_, flags)) = &link.port {
        let flag = |(name, on): (&str, bool)| format!("{} {}", name.replace('_', " "), on_off(on));
        out.extend(flags.named().into_iter().map(flag));
    }
    out.extend(link.mtu.map(|mtu| format!("mtu {mtu}")));
    out
}

const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// What concerns the whole namespace.
pub(super) fn notes(netns: &Netns) -> Vec<String> {
    let mut out: Vec<String> =
        netns.routes.iter().map(|route| format!("{} via {}", route.to, route.via)).collect();
    out.extend(netns.sysctls.iter().map(|(name, value)| format!("{name}={value}")));
    let policy = |firewall: &crate::Firewall| {
        format!("forward policy {:?}", firewall.forward).to_lowercase()
    };
    out.extend(netns.firewall.as_ref().map(policy));
    out
}
