//! Routing policies that refuse (`ip rule add … prohibit`, ip-rule(8)): what fits one is not looked up
//! any further. So a case asks by what fields a packet is looked up.
//!
//! They come behind the table of a namespace's own addresses, unless a case has that moved.

use std::fmt;
use std::net::IpAddr;

use hairpin_model::{Error, Family};

use super::Lab;
use crate::attrs::Attrs;
use crate::netlink::Refused;
use crate::netlink::plain::{self, ACK, CREATE, EXCL, Question};
use crate::octets::octets;

/// What a policy is for: all that the fields named here fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// The sender's address.
    pub from: Option<IpAddr>,
    /// The type of service, or IPv6's traffic class.
    pub tos: u8,
    /// The mark that the packet has within the kernel.
    pub mark: Option<u32>,
    /// What the packet carries: 17 for UDP.
    pub protocol: Option<u8>,
    /// The link by which alone it may leave, if its way is looked up so.
    pub leaving: Option<&'static str>,
    /// The link by which it came in.
    pub entering: Option<&'static str>,
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whatever is")?;
        self.from.map_or(Ok(()), |from| write!(f, " from {from}"))?;
        if self.tos > 0 {
            write!(f, " tos {:#x}", self.tos)?;
        }
        self.mark.map_or(Ok(()), |mark| write!(f, " marked {mark}"))?;
        self.protocol.map_or(Ok(()), |protocol| write!(f, " of protocol {protocol}"))?;
        self.leaving.map_or(Ok(()), |link| write!(f, " to leave by {link}"))?;
        self.entering.map_or(Ok(()), |link| write!(f, " from outside by {link}"))
    }
}

const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const PROHIBIT: u8 = 8;

const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_OIFNAME: u16 = 17;
const FRA_IP_PROTO: u16 = 22;

/// Before the tables of routes, behind that of own addresses.
const PRIORITY: u32 = 100;
/// Where the policy for own addresses is, and where it is behind those that refuse.
const FIRST: u32 = 0;
const LATER: u32 = 200;

/// The table of a namespace's own addresses, and the action that looks into a table.
const LOCAL: u8 = 255;
const TO_TABLE: u8 = 1;

impl Lab {
    /// Has a namespace refuse to look up what fits, or no longer. Of what is looked up for one link to
    /// leave by, over IPv4, the kernel then holds that its receiver is beside that link.
    pub fn prohibit(
        &mut self,
        netns: &str,
        family: Family,
        selector: &Selector,
        on: bool,
    ) -> Result<(), Error> {
        let done = self.policy(netns, on, &header(family, selector), attrs(selector))?;
        done.map_err(|refused| refused.error(&format!("prohibit {selector}: {on}"), netns))?;
        self.tell(|| format!("{netns} prohibits {selector}: {on}"));
        Ok(())
    }

    /// Has a namespace look at its policies that refuse before it knows its own addresses, so that they
    /// are for what comes in, too.
    pub fn policies_before_own_addresses(
        &mut self,
        netns: &str,
        family: Family,
    ) -> Result<(), Error> {
        let header = vec![number(family), 0, 0, 0, LOCAL, 0, 0, TO_TABLE, 0, 0, 0, 0];
        for (on, priority) in [(true, LATER), (false, FIRST)] {
            let attrs = Attrs::new().bytes(FRA_PRIORITY, &priority.to_ne_bytes());
            let done = self.policy(netns, on, &header, attrs)?;
            done.map_err(|refused| refused.error("move the rule for own addresses", netns))?;
        }
        self.tell(|| format!("{netns} looks at policies before its own addresses"));
        Ok(())
    }

    /// Gives a namespace a policy, or takes it away; the inner result is the kernel's answer.
    fn policy(
        &self,
        netns: &str,
        on: bool,
        header: &[u8],
        attrs: Attrs,
    ) -> Result<Result<(), Refused>, Error> {
        let (kind, flags) = if on { (RTM_NEWRULE, CREATE | EXCL) } else { (RTM_DELRULE, 0) };
        let asked = Question { kind, flags: flags | ACK, header, attrs };
        Ok(plain::ask(&self.node(netns)?.ns, &asked).map(drop))
    }
}

/// A family as the kernel numbers it.
fn number(family: Family) -> u8 {
    let family = match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    u8::try_from(family).expect("a family is a small number")
}

/// `fib_rule_hdr`: family, prefix lengths, type of service, table, two of nothing, action, flags.
fn header(family: Family, selector: &Selector) -> Vec<u8> {
    let bits = |ip: IpAddr| if ip.is_ipv4() { 32 } else { 128 };
    let from = selector.from.map_or(0, bits);
    vec![number(family), 0, from, selector.tos, 0, 0, 0, PROHIBIT, 0, 0, 0, 0]
}

fn attrs(selector: &Selector) -> Attrs {
    let mut attrs = Attrs::new().bytes(FRA_PRIORITY, &PRIORITY.to_ne_bytes());
    if let Some(from) = selector.from {
        attrs = attrs.bytes(FRA_SRC, &octets(from));
    }
    if let Some(mark) = selector.mark {
        attrs = attrs.bytes(FRA_FWMARK, &mark.to_ne_bytes());
    }
    if let Some(protocol) = selector.protocol {
        attrs = attrs.bytes(FRA_IP_PROTO, &[protocol]);
    }
    if let Some(link) = selector.entering {
        attrs = attrs.text(FRA_IIFNAME, link);
    }
    match selector.leaving {
        Some(link) => attrs.text(FRA_OIFNAME, link),
        None => attrs,
    }
}
