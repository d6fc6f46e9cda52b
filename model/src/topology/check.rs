//! What is wrong with a topology, told before the kernel is asked.
//!
//! Only what can be known from the value alone: a mode that the kernel refuses is the kernel's to
//! refuse, and a lab reports its words.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Kind, Link, LinkName, Topology};
use crate::error::Error;

/// The longest name of a link, in bytes (`IFNAMSIZ` less its end mark).
const LONGEST_NAME: usize = 15;

/// Something that a builder method was given and could not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unread {
    kind: String,
    text: String,
    place: String,
}

impl Unread {
    pub(super) fn new(kind: &str, text: &str, place: &str) -> Self {
        Self { kind: kind.into(), text: text.into(), place: place.into() }
    }

    fn error(&self, topology: &str) -> Error {
        let (what, help) = match self.kind.as_str() {
            "link" | "namespace" => (
                format!("no {} `{}` has been added", self.kind, self.text),
                "add it before you set something on it",
            ),
            "address" => (
                format!("`{}` is no address with a prefix length", self.text),
                "write it as `192.0.2.1/24` or `2001:db8::1/64`",
            ),
            _ => (
                format!("`{}` is no route", self.text),
                "write a prefix and a router: `198.51.100.0/24`, `192.0.2.1`",
            ),
        };
        Error::new(what, format!("topology `{topology}`, `{}`", self.place), help)
    }
}

impl Topology {
    /// Says the first thing that is wrong with this topology, if there is one.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(unread) = self.unread.first() {
            return Err(unread.error(&self.name));
        }
        self.check_netns()?;
        self.check_link_names()?;
        for link in &self.links {
            self.check_kind(link)?;
            self.check_port(link)?;
        }
        self.check_addresses()
    }

    fn wrong(&self, what: String, place: &dyn std::fmt::Display, help: &str) -> Error {
        Error::new(what, format!("topology `{}`, `{place}`", self.name), help)
    }

    fn check_netns(&self) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        for netns in &self.netns {
            let fits = !netns.name.is_empty()
                && netns.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            if !fits {
                let what = format!("`{}` is no name for a namespace", netns.name);
                return Err(self.wrong(what, &netns.name, "use letters, digits, `-`, `_` and `.`"));
            }
            if !seen.insert(&netns.name) {
                let what = format!("two namespaces are named `{}`", netns.name);
                return Err(self.wrong(what, &netns.name, "give each its own name"));
            }
        }
        Ok(())
    }

    fn check_link_names(&self) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        for Link { name, .. } in &self.links {
            if !self.netns.iter().any(|netns| netns.name == name.netns) {
                let what = format!("no namespace `{}` for the link `{}`", name.netns, name.link);
                return Err(self.wrong(
                    what,
                    name,
                    "name links `netns:link`, the namespace first added",
                ));
            }
            if name.link.len() > LONGEST_NAME {
                let what = format!(
                    "`{}` is {} bytes long, a link's name has at most {LONGEST_NAME}",
                    name.link,
                    name.link.len()
                );
                return Err(self.wrong(what, name, "shorten it"));
            }
            // The kernel makes a number of its own of `%d`.
            let bad = |c: char| "/:%".contains(c) || c.is_whitespace();
            if name.link.is_empty()
                || name.link == "."
                || name.link == ".."
                || name.link.contains(bad)
            {
                let what = format!("the kernel takes no link named `{}`", name.link);
                return Err(self.wrong(what, name, "use letters, digits, `-`, `_` and `.`"));
            }
            if name.link == "lo" || !seen.insert(name) {
                let what = format!("two links are named `{name}`");
                return Err(self.wrong(
                    what,
                    name,
                    "give each its own name (every netns has an `lo`)",
                ));
            }
        }
        Ok(())
    }

    fn check_kind(&self, link: &Link) -> Result<(), Error> {
        if let Kind::Vlan { id, parent, .. } = &link.kind {
            if !(1..=4094).contains(id) {
                let what = format!("there is no VLAN {id}");
                return Err(self.wrong(what, &link.name, "VLAN ids are 1 to 4094"));
            }
            if parent.netns != link.name.netns {
                let what =
                    format!("a VLAN stands on a link of its own namespace, not on `{parent}`");
                return Err(self.wrong(what, &link.name, "put both in one namespace"));
            }
        }
        let Some(parent) = link.kind.parent() else {
            return Ok(());
        };
        let place = |name: &LinkName| self.links.iter().position(|l| l.name == *name);
        if place(parent) < place(&link.name) && place(parent).is_some() {
            return Ok(());
        }
        let what = format!("`{}` has an unknown parent `{parent}`", link.name);
        Err(self.wrong(what, &link.name, "add the parent before its children"))
    }

    fn check_port(&self, link: &Link) -> Result<(), Error> {
        let Some((bridge, _)) = &link.port else {
            return Ok(());
        };
        let bridge = LinkName::new(link.name.netns.clone(), bridge.clone());
        match self.link(&bridge).map(|found| &found.kind) {
            Some(Kind::Bridge(_)) => Ok(()),
            Some(_) => {
                let what = format!("`{bridge}` is no bridge");
                Err(self.wrong(what, &link.name, "a port joins a bridge of its own namespace"))
            }
            None => {
                let what = format!("`{}` is a port of an unknown bridge `{bridge}`", link.name);
                Err(self.wrong(what, &link.name, "add the bridge to the port's own namespace"))
            }
        }
    }

    fn check_addresses(&self) -> Result<(), Error> {
        let mut owner: BTreeMap<std::net::IpAddr, &LinkName> = BTreeMap::new();
        for link in &self.links {
            for address in &link.addresses {
                if let Some(other) = owner.insert(address.addr(), &link.name) {
                    let what =
                        format!("`{other}` and `{}` both have {}", link.name, address.addr());
                    return Err(self.wrong(
                        what,
                        &link.name,
                        "give each link an address of its own",
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::topology::{Mode, Topology};

    fn two() -> Topology {
        Topology::new("two").host("a").host("b").cable("a:eth0", "b:eth0")
    }

    fn complaint(topology: &Topology) -> String {
        topology.check().unwrap_err().to_string()
    }

    #[test]
    fn a_sound_topology_passes() {
        two().address("a:eth0", "192.0.2.1/24").check().unwrap();
    }

    #[test]
    fn a_name_over_15_bytes_is_refused() {
        let long = two().bridge("a:a-very-long-bridge");
        insta::assert_snapshot!(complaint(&long), @r"
        `a-very-long-bridge` is 18 bytes long, a link's name has at most 15
          where: topology `two`, `a:a-very-long-bridge`
          help:  shorten it
        ");
    }

    #[test]
    fn an_unknown_parent_is_refused() {
        let orphan = two().macvlan("a:c0", "b:nowhere", Mode::Vepa);
        insta::assert_snapshot!(complaint(&orphan), @r"
        `a:c0` has an unknown parent `b:nowhere`
          where: topology `two`, `a:c0`
          help:  add the parent before its children
        ");
    }

    #[test]
    fn a_duplicate_address_is_refused() {
        let twice = two().address("a:eth0", "192.0.2.1/24").address("b:eth0", "192.0.2.1/24");
        insta::assert_snapshot!(complaint(&twice), @r"
        `a:eth0` and `b:eth0` both have 192.0.2.1
          where: topology `two`, `b:eth0`
          help:  give each link an address of its own
        ");
    }

    #[test]
    fn every_other_mistake_has_its_own_message() {
        let wrong = [
            two().host("a"),
            two().host("no good"),
            two().bridge("br0"),
            two().bridge("a:eth0"),
            two().bridge("a:br%d"),
            two().port("a:eth0", "br0"),
            two().port("a:eth0", "eth0"),
            two().address("a:eth0", "192.0.2.1"),
            two().address("a:eth9", "192.0.2.1/24"),
            two().route("a", "default", "192.0.2.1"),
            two().sysctl("c", "ipv4.ip_forward", "1"),
            two().vlan("a:v", "a:eth0", 4095),
            two().vlan("a:v", "b:eth0", 5),
        ];
        let whats: Vec<String> = wrong.iter().map(|t| t.check().unwrap_err().what).collect();
        insta::assert_snapshot!(whats.join("\n"), @r"
        two namespaces are named `a`
        `no good` is no name for a namespace
        no namespace `` for the link `br0`
        two links are named `a:eth0`
        the kernel takes no link named `br%d`
        `a:eth0` is a port of an unknown bridge `a:br0`
        `a:eth0` is no bridge
        `192.0.2.1` is no address with a prefix length
        no link `a:eth9` has been added
        `default via 192.0.2.1` is no route
        no namespace `c` has been added
        there is no VLAN 4095
        a VLAN stands on a link of its own namespace, not on `b:eth0`
        ");
    }
}
