//! What links and firewalls of a lab count as given up while it is observed.
//!
//! Evidence for a reader, and never a verdict: a driver counts what it wants to, and nobody counts
//! whose frame it was.

use hairpin_model::Error;
use hairpin_model::firewall::{Action, Firewall, Hook, Policy};
use hairpin_model::grid::Counted;

use super::losses::devices;
use crate::lab::Lab;
use crate::nft::{self, Counter, Place};

/// Where in a link's line of the kernel's table its counters of such frames are, and what of.
const COLUMNS: [(usize, &str); 4] = [
    (2, "received frames with errors"),
    (3, "received frames dropped"),
    (10, "sent frames with errors"),
    (11, "sent frames dropped"),
];

/// All such counters of a lab that are not zero, as of some moment.
pub(super) struct Counts(Vec<Counted>);

impl Counts {
    /// As of now.
    pub(super) fn now(lab: &Lab) -> Result<Self, Error> {
        let mut counts = Vec::new();
        for node in lab.nodes() {
            let netns = lab.topology().netns.iter().find(|netns| netns.name == node.name);
            let count = || -> Result<(), Error> {
                counts.extend(of_links(&node.name, &devices()?));
                if let Some(firewall) = netns.and_then(|netns| netns.firewall.as_ref()) {
                    counts.extend(of_firewall(&node.name, firewall, &nft::counters()?));
                }
                Ok(())
            };
            node.ns.enter(count)?;
        }
        Ok(Self(counts))
    }

    /// What was counted since.
    pub(super) fn since(self, lab: &Lab) -> Result<Vec<Counted>, Error> {
        Ok(self.until(Self::now(lab)?))
    }

    /// What was counted between two moments. A counter that went back is another's, of that name.
    fn until(self, now: Self) -> Vec<Counted> {
        let before = |counted: &Counted| {
            let same = |other: &&Counted| (&other.at, &other.what) == (&counted.at, &counted.what);
            self.0.iter().find(same).map_or(0, |other| other.many)
        };
        let more = |counted: Counted| {
            let many = counted.many.checked_sub(before(&counted)).unwrap_or(counted.many);
            (many > 0).then_some(Counted { many, ..counted })
        };
        now.0.into_iter().filter_map(more).collect()
    }
}

/// The counters in a namespace's table of links.
fn of_links(netns: &str, table: &str) -> Vec<Counted> {
    let mut counts = Vec::new();
    for (link, numbers) in table.lines().filter_map(|line| line.split_once(':')) {
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        for (column, what) in COLUMNS {
            let many = numbers.get(column).and_then(|many| many.parse().ok()).unwrap_or(0);
            if many > 0 {
                let at = format!("{netns}:{}", link.trim());
                counts.push(Counted { at, many, what: what.into() });
            }
        }
    }
    counts
}

/// The counters of what a firewall does not let pass.
fn of_firewall(netns: &str, firewall: &Firewall, counters: &[Counter]) -> Vec<Counted> {
    let taken = |counter: &Counter| {
        let by = match counter.place {
            Place::Rule(n) => {
                let rule = firewall.rules.get(n).filter(|rule| rule.action != Action::Accept)?;
                rule.to_string()
            }
            Place::Policy(Hook::Forward) if firewall.forward == Policy::Drop => {
                "the policy of forward: drop".into()
            }
            _ => return None,
        };
        let what = format!("packets taken by {by}");
        (counter.packets > 0).then(|| Counted { at: netns.into(), many: counter.packets, what })
    };
    counters.iter().filter_map(taken).collect()
}

#[cfg(test)]
mod tests {
    use hairpin_model::firewall::{Match, Protocol};

    use super::*;

    fn counted(at: &str, many: u64, what: &str) -> Counted {
        Counted { at: at.into(), many, what: what.into() }
    }

    #[test]
    fn each_kind_of_loss_is_told_of_its_link() {
        let table = "Inter-|   Receive\n face |bytes\n    lo: 0 0 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n\
                     \x20eth0: 9 9 1 2 0 0 0 0 9 9 3 4 0 0 0 0\n";
        let told: Vec<String> = of_links("a", table).iter().map(ToString::to_string).collect();
        let expected = [
            "a:eth0 counted 1 received frames with errors",
            "a:eth0 counted 2 received frames dropped",
            "a:eth0 counted 3 sent frames with errors",
            "a:eth0 counted 4 sent frames dropped",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn only_what_a_firewall_holds_back_is_told() {
        let closed = Match::any().from_link("br0").port(Protocol::Tcp, 80);
        let firewall = Firewall::new()
            .forward(Policy::Drop)
            .rule(Hook::Forward, closed, Action::Drop)
            .rule(Hook::Forward, Match::any(), Action::Accept);
        let places = [
            Place::Rule(0),
            Place::Rule(1),
            Place::Policy(Hook::Forward),
            Place::Policy(Hook::Input),
        ];
        let counters = places.map(|place| Counter { place, packets: 2, bytes: 99 });
        let told = of_firewall("r", &firewall, &counters);
        let expected = [
            counted("r", 2, "packets taken by forward in by br0 tcp port 80: drop"),
            counted("r", 2, "packets taken by the policy of forward: drop"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_was_counted_before_is_not_told_again() {
        let counts = |many| Counts(vec![counted("a:x", many, "sent frames dropped")]);
        assert_eq!(counts(3).until(counts(3)), []);
        assert_eq!(counts(3).until(counts(5)), [counted("a:x", 2, "sent frames dropped")]);
        assert_eq!(counts(3).until(counts(1)), [counted("a:x", 1, "sent frames dropped")]);
    }
}
