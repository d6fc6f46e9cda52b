//! The words for a cause: what happens, the promise behind it, and what helps.
//!
//! Commands are told in the machine's own names, ready to be run. What stops what is not decided
//! here.

mod child;
mod link;
mod packet;
mod port;
mod service;

use crate::cause::Cause;
use crate::snapshot::{Kind, LinkId, Snapshot};

/// What is known of a cause beyond its name.
pub(crate) struct Told {
    /// What happens, in one sentence.
    pub(crate) why: String,
    /// Whether drivers are made so, or somebody set it up.
    pub(crate) design: bool,
    /// The suite's rule and a case filter that proves it.
    pub(crate) rule: Option<&'static str>,
    /// What helps, the safest first: words, then a command.
    pub(crate) remedies: Vec<(String, String)>,
    /// What is often tried and does not help.
    pub(crate) no_remedy: Option<&'static str>,
}

impl Cause {
    /// Tells of the cause in a machine's own names.
    pub(crate) fn told(&self, snapshot: &Snapshot) -> Told {
        let names = Names(snapshot);
        match self {
            Self::Apart(_)
            | Self::Siblings(..)
            | Self::OwnAddressOnly(..)
            | Self::Passthru(..)
            | Self::NotListed(..)
            | Self::NoQueue(_)
            | Self::Dummy(_) => self.child(&names),
            Self::PortState(_)
            | Self::Isolated(_)
            | Self::NoHairpin(_)
            | Self::NoBroadcast(_)
            | Self::NoMulticast(_)
            | Self::NoFlood(_)
            | Self::Locked(..)
            | Self::Pinned(..) => self.port(&names),
            Self::Closed(..) | Self::Crossed(..) => self.service(&names),
            Self::TooLong(..) | Self::Down(_) | Self::NoCarrier(_) | Self::NoVlan(..) => {
                self.link(&names)
            }
            _ => self.packet(&names),
        }
    }
}

fn design(why: String, rule: &'static str) -> Told {
    let rule = Some(rule).filter(|rule| !rule.is_empty());
    Told { why, design: true, rule, remedies: Vec::new(), no_remedy: None }
}

fn config(why: String, rule: Option<&'static str>) -> Told {
    Told { why, design: false, rule, remedies: Vec::new(), no_remedy: None }
}

impl Told {
    fn remedy(mut self, words: &str, command: String) -> Self {
        self.remedies.push((words.to_owned(), command));
        self
    }

    fn not(mut self, words: &'static str) -> Self {
        self.no_remedy = Some(words);
        self
    }
}

/// The names of a machine's things.
struct Names<'s>(&'s Snapshot);

impl Names<'_> {
    pub(crate) fn link(&self, id: LinkId) -> String {
        self.0.name(id)
    }

    fn bare(&self, id: LinkId) -> String {
        self.0.link(id).map_or_else(|| format!("#{}", id.1), |link| link.name.clone())
    }

    fn space(&self, at: usize) -> &str {
        &self.0.spaces[at].name
    }

    /// What to put before a command for it to be run there.
    fn within(&self, at: usize) -> String {
        let space = &self.0.spaces[at];
        match (at, space.name.strip_prefix("pid:"), space.name.strip_prefix("/run/netns/")) {
            (0, ..) => String::new(),
            (_, Some(pid), _) => format!("nsenter -t {pid} -n "),
            (_, _, Some(name)) => format!("ip netns exec {name} "),
            _ => format!("nsenter --net={} ", space.name),
        }
    }

    /// What `ip link … netns` takes for it; the reader's own is that of process 1, as a rule.
    fn netns(&self, at: usize) -> &str {
        let name = self.space(at);
        let word = name.strip_prefix("pid:").or_else(|| name.strip_prefix("/run/netns/"));
        if at == 0 { "1" } else { word.unwrap_or(name) }
    }

    /// `macvlan` or `macvtap`.
    fn kind(&self, child: LinkId) -> &'static str {
        match self.0.link(child).map(|link| &link.kind) {
            Some(Kind::Macvtap(_)) => "macvtap",
            _ => "macvlan",
        }
    }
}
