//! What Docker's firewall does with ports and addresses: the picture is at the head of
//! `hairpin_fixtures::docker`.
//!
//! ```text
//!   c1 --- br1 [r: DNAT, masquerade, filter] br2 --- c3
//! ```

use std::net::{IpAddr, SocketAddr, TcpListener};

use hairpin_fixtures::docker_host;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{
    Action, CaseLab, Error, Family, Firewall, Flow, Hook, Match, Need, Rule, Source, Strength,
    check,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[PUBLISHED, MASQUERADED, FILTERED_PORT, REJECTED_PORT];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Driver("bridge"), Need::Nftables];

const PUBLISHED: Rule = Rule {
    id: "nat.port.published-reaches-the-container",
    promise: "a TCP port of the machine that is published for a container reaches the container, \
              and without that is refused",
    source: Source {
        cite: "nft(8), dnat; Docker: port publishing",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

mod port {
    use super::*;

    #[rstest]
    #[case::v4(Family::V4)]
    #[case::v6(Family::V6)]
    fn published_reaches_the_container(#[case] family: Family) {
        check(&PUBLISHED, async |case| {
            let mut lab = case.lab(&docker_host()).await?;
            let server = listen(&lab, "c1", at(&lab, "c1", family, 80))?;
            let public = at(&lab, "r", family, 8080);
            let before = lab.connect("c3", public)?;
            lab.claim(
                "before it is published it is refused",
                before.is_err(),
                format!("{before:?}"),
            )?;
            let container = at(&lab, "c1", family, 80);
            let published = Match::any().port(Protocol::Tcp, 8080).to(public.ip().into());
            lab.set_firewall("r", Firewall::new().dnat(published, container))?;
            let reached = lab.connect("c3", public)?;
            lab.claim("published, it is reached", reached.is_ok(), format!("{reached:?}"))?;
            let (_, peer) = server.accept().map_err(|error| unexpected("accept", &error))?;
            let c3 = at(&lab, "c3", family, 0).ip();
            lab.claim("the container sees who asks", peer.ip() == c3, peer)
        });
    }

    #[rstest]
    #[case::v4(Family::V4)]
    #[case::v6(Family::V6)]
    fn masquerade_hides_the_container(#[case] family: Family) {
        check(&MASQUERADED, async |case| {
            let mut lab = case.lab(&docker_host()).await?;
            let server = listen(&lab, "c3", at(&lab, "c3", family, 80))?;
            let plain = seen_by(&lab, &server, family)?;
            let c1 = at(&lab, "c1", family, 0).ip();
            lab.claim("without it the server sees the container", plain == c1, plain)?;
            lab.set_firewall("r", Firewall::new().masquerade(Match::any().to_link("br2")))?;
            let hidden = seen_by(&lab, &server, family)?;
            let router: IpAddr = match family {
                Family::V4 => [198, 51, 100, 1].into(),
                Family::V6 => [0x2001, 0xdb8, 2, 0, 0, 0, 0, 1].into(),
            };
            lab.claim("with it the server sees the machine", hidden == router, hidden)
        });
    }

    #[rstest]
    #[case::v4(Family::V4, Protocol::Udp)]
    #[case::v6(Family::V6, Protocol::Udp)]
    #[case::tcp_v4(Family::V4, Protocol::Tcp)]
    #[case::tcp_v6(Family::V6, Protocol::Tcp)]
    fn dropped_alone(#[case] family: Family, #[case] transport: Protocol) {
        check(&FILTERED_PORT, async |case| {
            let mut lab = case.lab(&docker_host()).await?;
            let flow = Flow::new(transport, family).between("c1", "c3").port(53).control("r");
            lab.expect_flow(&flow, '+').await?;
            let drop = Match::any().port(transport, 53);
            lab.set_firewall("r", Firewall::new().rule(Hook::Forward, drop, Action::Drop))?;
            lab.expect_flow(&flow, '#').await?;
            Ok(())
        });
    }

    #[rstest]
    #[case::v4(Family::V4, Protocol::Udp, Action::Reject, 'P')]
    #[case::v6(Family::V6, Protocol::Udp, Action::Reject, 'P')]
    #[case::tcp_v4(Family::V4, Protocol::Tcp, Action::Reject, 'P')]
    #[case::tcp_v6(Family::V6, Protocol::Tcp, Action::Reject, 'P')]
    #[case::reset_v4(Family::V4, Protocol::Tcp, Action::Reset, 'X')]
    #[case::reset_v6(Family::V6, Protocol::Tcp, Action::Reset, 'X')]
    fn rejected_tells_the_sender(
        #[case] family: Family,
        #[case] transport: Protocol,
        #[case] action: Action,
        #[case] told: char,
    ) {
        check(&REJECTED_PORT, async |case| {
            let mut lab = case.lab(&docker_host()).await?;
            let flow = Flow::new(transport, family).between("c1", "c3").port(53).control("r");
            let reject = Match::any().port(transport, 53);
            lab.set_firewall("r", Firewall::new().rule(Hook::Forward, reject, action))?;
            lab.expect_flow(&flow, told).await?;
            lab.set_firewall("r", Firewall::new())?;
            lab.expect_flow(&flow, '+').await?;
            Ok(())
        });
    }
}

const MASQUERADED: Rule = Rule {
    id: "nat.port.masquerade-hides-the-container",
    promise: "masquerading gives what leaves a bridge network the machine's own address",
    source: Source { cite: "nft(8), masquerade", strength: Strength::Documented },
    article: &[],
    needs: NEEDS,
};

const FILTERED_PORT: Rule = Rule {
    id: "nat.port.dropped-alone",
    promise: "a rule that drops one TCP or UDP port in FORWARD drops it without a word, and no \
              other port",
    source: Source { cite: "nft(8), drop", strength: Strength::Documented },
    article: &["B4"],
    needs: NEEDS,
};

const REJECTED_PORT: Rule = Rule {
    id: "nat.port.rejected-tells-the-sender",
    promise: "a rule that rejects a port answers the sender with port unreachable, or with a TCP \
              reset where it says so",
    source: Source {
        cite: "nft(8), reject; RFC 792; RFC 4443, 3.1; RFC 9293, 3.10.7",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

fn at(lab: &CaseLab, host: &str, family: Family, port: u16) -> SocketAddr {
    let address = lab.topology().address_of(host, family);
    SocketAddr::new(address.expect("every host here has both families"), port)
}

fn listen(lab: &CaseLab, host: &str, at: SocketAddr) -> Result<TcpListener, Error> {
    lab.inside(host, || TcpListener::bind(at))?.map_err(|error| unexpected("listen", &error))
}

/// Has c1 connect to c3, and gives the address that c3 sees.
fn seen_by(lab: &CaseLab, server: &TcpListener, family: Family) -> Result<IpAddr, Error> {
    let connection = lab.connect("c1", at(lab, "c3", family, 80))?;
    connection.map_err(|error| unexpected("connect", &error))?;
    let (_, peer) = server.accept().map_err(|error| unexpected("accept", &error))?;
    Ok(peer.ip())
}

fn unexpected(what: &str, error: &std::io::Error) -> Error {
    Error::new(
        format!("cannot {what}: {error}"),
        "a host of the lab",
        "nothing should be in the way here",
    )
}
