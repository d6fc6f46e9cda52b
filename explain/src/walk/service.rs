//! The two ends: whether somebody is there who answers, and whether the answer is the one that was
//! waited for.

use std::net::{IpAddr, Ipv6Addr};

use hairpin_model::Family;
use hairpin_model::firewall::Protocol;

use super::{Gone, Walk};
use crate::cause::Cause;
use crate::ruleset::Load;
use crate::snapshot::{Listener, Space};
use crate::wire::Packet;

impl Walk<'_> {
    /// Whether a request is answered where it came to.
    pub(super) fn serves(&mut self, at: usize, packet: Packet) -> Result<(), Gone> {
        let protocol = match packet.load {
            Load::Tcp => Protocol::Tcp,
            Load::Udp => Protocol::Udp,
            Load::Echo | Load::Discovery => return self.echoes(at, packet.destination),
        };
        let (space, to) = (self.space(at), packet.destination);
        if space.listens(protocol, to, packet.port, false) {
            return Ok(());
        }
        if space.listens(protocol, to, packet.port, true) {
            self.both.insert((at, packet.port));
            return Ok(());
        }
        let closed = Cause::Closed(at, packet.load, to, packet.port);
        if self.wire.stops(closed) { Err(Gone) } else { Ok(()) }
    }

    fn echoes(&mut self, at: usize, to: IpAddr) -> Result<(), Gone> {
        let (family, ignores) = match to {
            IpAddr::V4(_) => (Family::V4, "ipv4/icmp_echo_ignore_all"),
            IpAddr::V6(_) => (Family::V6, "ipv6/icmp/echo_ignore_all"),
        };
        let ignored = self.space(at).number(ignores) == 1;
        let stopped = ignored && self.wire.stops(Cause::EchoIgnored(at, family));
        if stopped { Err(Gone) } else { Ok(()) }
    }

    /// Who asked one does not know another who answers.
    pub(super) fn check_answer(
        &mut self,
        at: usize,
        asked: (IpAddr, u16),
        from: (IpAddr, u16),
    ) -> Result<(), Gone> {
        if asked == from {
            return Ok(());
        }
        let by = self.redirected.iter().find(|one| one.old == asked).map(|one| one.space);
        let stopped = self.wire.stops(Cause::Crossed(at, asked, from, by.unwrap_or(at)));
        if stopped { Err(Gone) } else { Ok(()) }
    }
}

impl Space {
    /// Whether a socket waits for that; `both`: one of IPv6 that may be for IPv4 too.
    fn listens(&self, protocol: Protocol, to: IpAddr, port: u16, both: bool) -> bool {
        let takes = |ip: IpAddr| match (ip, to) {
            (IpAddr::V6(ip), IpAddr::V4(_)) if both => ip.is_unspecified(),
            (IpAddr::V6(ip), IpAddr::V4(to)) => ip == to.to_ipv6_mapped(),
            (IpAddr::V4(ip), IpAddr::V4(to)) => ip.is_unspecified() || ip == to,
            (IpAddr::V6(ip), IpAddr::V6(to)) => ip == Ipv6Addr::UNSPECIFIED || ip == to,
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        };
        self.at_port(protocol, port).any(|one| takes(one.ip))
    }

    /// The sockets that wait at a port, at whatever address.
    pub(crate) fn at_port(&self, protocol: Protocol, port: u16) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().filter(move |one| one.protocol == protocol && one.port == port)
    }
}
