//! A namespace's firewall: says a [`Firewall`] to the kernel's nf_tables and reads its counters.
//!
//! Everything is in one table, `inet hairpin`, of the network namespace that the calling thread
//! is in; what others have there is neither read nor changed. Each call is one transaction: it
//! is done whole or not at all. Nothing here waits, and nothing needs the `nft` command.
//!
//! ```text
//!            hook (priority)      chain of `inet hairpin`         rules
//!   in  ──▶  prerouting (-100)    prerouting, if dnat is used     Firewall::dnat
//!            input          (0)   input, accepts                  Firewall::rules, then a counter
//!            forward        (0)   forward, accepts or drops       Firewall::rules, then a counter
//!            output      (-100)   local-out, if local_dnat is used Firewall::local_dnat
//!            output         (0)   output, accepts                 Firewall::rules, then a counter
//!   out ◀──  postrouting  (100)   postrouting, if masquerading    Firewall::masquerade
//! ```
//!
//! Each rule counts what it takes, and the counter at a chain's end counts what was left to its
//! policy. A drop is therefore seen as such, and need not be concluded from silence.

mod counter;
mod error;
mod expr;
mod message;
mod ruleset;
mod socket;
mod watch;

use hairpin_model::{
    Firewall,
    firewall::{Action, Hook, Match, Protocol},
};

pub use counter::Counter;
pub use error::Error;
pub use ruleset::Place;
use socket::Netfilter;
pub use watch::Watch;

/// A part of nftables that a kernel can be built without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// nf_tables itself, with tables for IPv4 and IPv6 alike, and with counters (up to Linux 5.17
    /// those are `CONFIG_NFT_COUNTER`, an option of their own).
    Tables,
    /// The answer by ICMP.
    Reject,
    /// Matching by the state of connections.
    Conntrack,
    /// Masquerading and published ports.
    Nat,
}

impl Part {
    /// The options that a kernel has it by.
    pub fn config(self) -> &'static [&'static str] {
        match self {
            Self::Tables => &["CONFIG_NF_TABLES", "CONFIG_NF_TABLES_INET"],
            Self::Reject => &["CONFIG_NFT_REJECT", "CONFIG_NFT_REJECT_INET"],
            Self::Conntrack => &["CONFIG_NF_CONNTRACK", "CONFIG_NFT_CT"],
            Self::Nat => &["CONFIG_NF_NAT", "CONFIG_NFT_NAT", "CONFIG_NFT_MASQ"],
        }
    }

    /// A firewall that needs this part, and no other but [`Part::Tables`].
    fn example(self) -> Firewall {
        let port = Match::any().port(Protocol::Udp, 1);
        match self {
            Self::Tables => Firewall::new(),
            Self::Reject => Firewall::new().rule(Hook::Input, Match::any(), Action::Reject),
            Self::Conntrack => {
                Firewall::new().rule(Hook::Input, Match::any().established(), Action::Accept)
            }
            Self::Nat => Firewall::new()
                .masquerade(Match::any())
                .dnat(port.clone(), ([192, 0, 2, 1], 1).into())
                .dnat(port.clone(), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 1).into())
                .local_dnat(port, ([192, 0, 2, 1], 1).into()),
        }
    }
}

/// Puts this firewall in place of what Hairpin's table held, with all counters at zero.
/// Connections that are already tracked and translated stay so.
pub fn apply(firewall: &Firewall) -> Result<(), Error> {
    let batch = ruleset::replace(firewall)?;
    Netfilter::open()?.transact(&batch, &batch.commit())
}

/// Has the kernel count what a watch is for, from zero.
pub(crate) fn set_watch(watch: &Watch) -> Result<(), Error> {
    let batch = watch.batch();
    Netfilter::open()?.transact(&batch, &batch.commit())
}

/// How many packets a watch has counted; `None` if it was not set.
pub(crate) fn watched(watch: &Watch) -> Result<Option<u64>, Error> {
    let (family, attrs) = watch.rules();
    let rules = Netfilter::open()?.rules(family, &attrs, "the rule of a watch")?;
    Ok(rules.iter().find_map(|rule| Counter::read(rule)).map(|counter| counter.packets))
}

/// Takes Hairpin's table away, if it is there.
pub fn clear() -> Result<(), Error> {
    let batch = ruleset::remove();
    Netfilter::open()?.transact(&batch, &batch.commit())
}

/// The counters of all rules and policies, in the order in which the chains were made. Empty
/// when no firewall is set.
pub fn counters() -> Result<Vec<Counter>, Error> {
    let rules = Netfilter::open()?.rules(
        message::NFPROTO_INET,
        &ruleset::all_rules(),
        "the list of rules",
    )?;
    Ok(rules.iter().filter_map(|rule| Counter::read(rule)).collect())
}

/// Whether the kernel has all that a [`Firewall`] can ask for. Not to be allowed to try is an
/// error, and not an answer.
pub fn supported() -> Result<bool, Error> {
    missing().map(|parts| parts.is_empty())
}

/// The parts of nftables that the kernel lacks. It has the kernel check examples of them without
/// committing any, so nothing changes in the namespace (though the kernel may load modules).
pub fn missing() -> Result<Vec<Part>, Error> {
    if lacks(Part::Tables)? {
        // All else is built upon it.
        return Ok(vec![Part::Tables, Part::Reject, Part::Conntrack, Part::Nat]);
    }
    let mut missing = Vec::new();
    for part in [Part::Reject, Part::Conntrack, Part::Nat] {
        if lacks(part)? {
            missing.push(part);
        }
    }
    Ok(missing)
}

fn lacks(part: Part) -> Result<bool, Error> {
    let batch = ruleset::replace(&part.example())?;
    let tried = Netfilter::open().and_then(|kernel| kernel.transact(&batch, &batch.trial()));
    is_lack(tried)
}

fn is_lack(tried: Result<(), Error>) -> Result<bool, Error> {
    match tried {
        Ok(()) => Ok(false),
        Err(error) if error.is_lack() => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use nix::{
        errno::Errno,
        sched::{CloneFlags, unshare},
    };

    use super::*;
    use message::{ACK, Attrs, CREATE, Verb};

    fn refusal(errno: Errno) -> Error {
        Error::Refused { errno, text: None, place: "chain `forward`".into() }
    }

    #[test]
    fn what_the_kernel_lacks_is_told_from_what_it_forbids() {
        for errno in [Errno::ENOENT, Errno::EOPNOTSUPP, Errno::EPROTONOSUPPORT] {
            assert_eq!(is_lack(Err(refusal(errno))), Ok(true));
        }
        for errno in [Errno::EPERM, Errno::EINVAL, Errno::ENOBUFS] {
            assert_eq!(is_lack(Err(refusal(errno))), Err(refusal(errno)));
        }
        assert_eq!(is_lack(Ok(())), Ok(false));
    }

    #[test]
    fn a_refusal_reads_as_what_where_help() {
        insta::assert_snapshot!(hairpin_model::Error::from(refusal(Errno::EPERM)), @r"
        the kernel says EPERM: Operation not permitted
          where: chain `forward`
          help:  enter a network namespace that you own: as root, or by a user namespace
        ");
    }

    #[test]
    fn a_refused_rule_is_named_and_undoes_the_whole_transaction() {
        std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace can be made (as root)");
            apply(&Firewall::new()).expect("a firewall can be set");
            let mut batch = ruleset::replace(&Part::Nat.example()).expect("it can be said");
            let stray = Attrs::new().text(1, "hairpin").text(2, "nowhere");
            batch.push(Verb::NewRule, CREATE, &stray, "the stray rule".into());
            batch.push(Verb::NewTable, ACK, &Attrs::new().text(1, "hairpin"), "the end".into());

            for bytes in [batch.trial(), batch.commit()] {
                let kernel = Netfilter::open().expect("netfilter can be talked to");
                let error = kernel.transact(&batch, &bytes).expect_err("there is no such chain");
                let place = "the stray rule".into();
                assert_eq!(error, Error::Refused { errno: Errno::ENOENT, text: None, place });
            }
            assert_eq!(counters().expect("the counters can be read").len(), 3);
        })
        .join()
        .expect("the test's thread ends well");
    }
}
