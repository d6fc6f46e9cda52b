//! Host mode: containers that share a network namespace instead of having one of their own.
//!
//! ```text
//!    h (two processes, one namespace) eth0 ------ eth0 x
//!    192.0.2.1                                    192.0.2.2
//! ```

use std::net::{SocketAddr, TcpListener};

use hairpin_harness::{CaseLab, Error, Need, Rule, Source, Stop, Strength, Topology, check};

pub(crate) const RULES: &[Rule] = &[SAME_LINKS, PORT_IS_THE_HOSTS, LOOPBACK_IS_SHARED];

const NEEDS: &[Need] = &[Need::Driver("veth")];

fn pair() -> Topology {
    Topology::new("host-mode")
        .host("h")
        .host("x")
        .cable("h:eth0", "x:eth0")
        .address("h:eth0", "192.0.2.1/24")
        .address("x:eth0", "192.0.2.2/24")
        .address("h:eth0", "2001:db8::1/64")
        .address("x:eth0", "2001:db8::2/64")
}

const SAME_LINKS: Rule = Rule {
    id: "host.shared.same-links-and-routes",
    promise: "a process that joins another's network namespace sees the same namespace, links, \
              addresses and routes; one that makes its own sees none of them",
    source: Source { cite: "network_namespaces(7); setns(2)", strength: Strength::Documented },
    article: &["H1"],
    needs: NEEDS,
};

mod shared {
    use super::*;

    #[test]
    fn same_links_and_routes() {
        check(&SAME_LINKS, async |case| {
            let lab = case.lab(&pair()).await?;
            let first = lab.sights("h")?;
            let second = lab.sights("h")?;
            lab.claim(
                "both see one namespace, its links and routes",
                first == second,
                format!("{first:?}\n{second:?}"),
            )?;
            let sees_eth0 = first.links.contains("eth0") && !first.routes.is_empty();
            lab.claim("they see eth0 and a route", sees_eth0, format!("{first:?}"))?;
            let other = lab.sights("x")?;
            lab.claim(
                "another namespace is another one",
                other.namespace != first.namespace,
                other.namespace,
            )
        });
    }

    #[test]
    fn port_is_taken_once() {
        check(&PORT_IS_THE_HOSTS, async |case| {
            let lab = case.lab(&pair()).await?;
            for address in ["192.0.2.1:80", "[2001:db8::1]:80"] {
                let address: SocketAddr = address.parse().expect("an address of the documentation");
                expect_refused(&lab, address)?;
                let server = bind(&lab, "h", address)?.map_err(|error| bind_failed(&error))?;
                let reached = lab.connect("x", address)?;
                lab.claim(
                    &format!("x reaches the process at {address}"),
                    reached.is_ok(),
                    format!("{reached:?}"),
                )?;
                let again = bind(&lab, "h", address)?;
                let taken =
                    again.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::AddrInUse);
                lab.claim("a second process cannot have the port", taken, format!("{again:?}"))?;
                drop(server);
                let free = bind(&lab, "h", address)?;
                lab.claim(
                    "it can once the first has let it go",
                    free.is_ok(),
                    format!("{free:?}"),
                )?;
            }
            Ok(())
        });
    }

    #[test]
    fn loopback_is_shared() {
        check(&LOOPBACK_IS_SHARED, async |case| {
            let lab = case.lab(&pair()).await?;
            for address in ["127.0.0.1:8080", "[::1]:8080"] {
                let address: SocketAddr = address.parse().expect("a loopback address");
                let server = bind(&lab, "h", address)?.map_err(|error| bind_failed(&error))?;
                let inside = lab.connect("h", address)?;
                lab.claim(
                    &format!("a second process of h reaches {address}"),
                    inside.is_ok(),
                    format!("{inside:?}"),
                )?;
                let outside = lab.connect("x", address)?;
                lab.claim("the same address in x is not it", outside.is_err(), "it was reached")?;
                let again = bind(&lab, "h", address)?;
                lab.claim("the port is taken in h", again.is_err(), "it was bound twice")?;
                let elsewhere = bind(&lab, "x", address)?;
                lab.claim("and free in x", elsewhere.is_ok(), format!("{elsewhere:?}"))?;
                drop(server);
            }
            Ok(())
        });
    }
}

const PORT_IS_THE_HOSTS: Rule = Rule {
    id: "host.shared.port-is-taken-once",
    promise: "a port that a process in the host's namespace listens on is reached at the host's \
              own address, and no second process there can have it",
    source: Source { cite: "bind(2), EADDRINUSE; ip(7)", strength: Strength::Documented },
    article: &["H2"],
    needs: NEEDS,
};

const LOOPBACK_IS_SHARED: Rule = Rule {
    id: "host.shared.loopback-is-shared",
    promise: "processes of one namespace reach each other by 127.0.0.1 and ::1 and collide on \
              their ports; those of another namespace do neither",
    source: Source { cite: "network_namespaces(7)", strength: Strength::Documented },
    article: &["H3"],
    needs: NEEDS,
};

fn bind(
    lab: &CaseLab,
    host: &str,
    address: SocketAddr,
) -> Result<std::io::Result<TcpListener>, Error> {
    lab.inside(host, || TcpListener::bind(address))
}

fn bind_failed(error: &std::io::Error) -> Error {
    Error::new(
        format!("cannot bind: {error}"),
        "a host of the lab",
        "the port should be free in a new lab",
    )
}

/// Before anybody listens, the port is not there: what answers later is the process.
fn expect_refused(lab: &CaseLab, address: SocketAddr) -> Result<(), Stop> {
    let found = lab.inside("h", || std::net::TcpStream::connect(address))?;
    lab.claim("nobody listens yet", found.is_err(), "somebody does")
}
