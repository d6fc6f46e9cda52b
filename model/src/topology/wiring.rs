//! A topology as text: a line a link, a block a namespace.
//!
//! This is the drawing for failures and logs, made from the value. The pictures at the head of
//! suite files are drawn by hand, because only a person knows what matters in them.

use std::fmt::Write as _;

use super::{Kind, Link, Topology};

impl Topology {
    /// The wiring, a block for each namespace and a line for each link.
    pub fn wiring(&self) -> String {
        let mut out = String::new();
        for netns in &self.netns {
            let kind = if netns.host { "host " } else { "netns" };
            let mut notes: Vec<String> =
                netns.sysctls.iter().map(|(name, value)| format!("{name}={value}")).collect();
            notes.extend(netns.routes.iter().map(|r| format!("route {} via {}", r.to, r.via)));
            if let Some(firewall) = &netns.firewall {
                notes.push(format!("forward policy {:?}", firewall.forward).to_lowercase());
            }
            line(&mut out, &format!("{kind} {:<6} {}", netns.name, notes.join(", ")));
            for link in self.links_of(&netns.name) {
                line(&mut out, &format!("  {}", self.describe(link)));
            }
        }
        out
    }

    fn describe(&self, link: &Link) -> String {
        let what = match &link.kind {
            Kind::Veth { peer } => format!("--- {peer}"),
            Kind::Bridge(_) => "bridge".into(),
            Kind::Macvlan { parent, settings } => format!("macvlan {} on {parent}", settings.mode),
            Kind::Macvtap { parent, settings } => format!("macvtap {} on {parent}", settings.mode),
            Kind::Ipvlan { parent, mode, flag, .. } => {
                format!("{} {mode} {flag} on {parent}", link.kind.driver())
            }
            Kind::Dummy => "dummy".into(),
            Kind::Bond => "bond".into(),
            Kind::Vlan { parent, id, bridge_binding } => {
                format!("vlan {id}{} on {parent}", if *bridge_binding { " bound" } else { "" })
            }
        };
        let mut words = vec![format!("{:<8} {what}", link.name.link)];
        if let Some((bridge, flags)) = &link.port {
            words.push(format!("port of {bridge}"));
            words.extend(
                flags
                    .named()
                    .iter()
                    .map(|(flag, on)| format!("{flag} {}", if *on { "on" } else { "off" })),
            );
        }
        words.extend(link.addresses.iter().map(ToString::to_string));
        if !link.up {
            words.push("down".into());
        }
        words.join("  ")
    }
}

/// Adds a line without trailing blanks.
fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    writeln!(out, "{}", text.trim_end()).expect("a String takes every text");
}

#[cfg(test)]
mod tests {
    use crate::topology::{Mode, PortFlags, Topology};

    #[test]
    fn the_wiring_is_text() {
        let lan = Topology::new("lan")
            .host("c1")
            .netns("p")
            .netns("sw")
            .bridge("sw:br0")
            .cable("sw:s0", "p:p0")
            .port_with("sw:s0", "br0", PortFlags::default().hairpin(true))
            .macvlan("c1:c0", "p:p0", Mode::Vepa)
            .address("c1:c0", "192.0.2.11/24")
            .sysctl("p", "ipv4.ip_forward", "1");
        insta::assert_snapshot!(lan.wiring(), @r"
        host  c1
          c0       macvlan vepa on p:p0  192.0.2.11/24
        netns p      ipv4.ip_forward=1
          p0       --- sw:s0
        netns sw
          br0      bridge
          s0       --- p:p0  port of br0  hairpin on
        ");
    }
}
