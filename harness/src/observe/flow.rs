//! Single flows of TCP and UDP, for rules that speak of ports. `datagram` and `stream` ask; here is
//! what is asked for, and the argument that both share.
//!
//! What did not arrive is blocked if a later control from the same sender has been answered by
//! another port, of the receiver or of a host on the way (the sender and the way are sound), and
//! then one from a third host came out of the very socket that it is missing from (the receiver
//! is). That is said only of controls that were sent when it waited for no neighbour any more: what
//! waits for one is overtaken by what need not (`waiting`). A connection is one way only if, besides, the receiver itself reached that place on the way.
//! See the parent module.

mod datagram;
mod stream;
mod waiting;
mod way;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hairpin_model::firewall::Protocol;
use hairpin_model::grid::{Cell, Counted, Refusal, Verdict};
use hairpin_model::{Error, Family};

use super::counted::Counts;
use super::losses::Losses;
use crate::lab::Lab;

/// How long a control may take before it counts as lost; see `frame`.
const DEADLINE: Duration = Duration::from_secs(5);

/// A flow to be asked for.
///
/// ```
/// # use hairpin_harness::{Family, Flow, firewall::Protocol};
/// let flow = Flow::new(Protocol::Tcp, Family::V4).between("e", "c1").port(80).control("r");
/// let published = flow.asking(([203, 0, 113, 1], 8080).into()).aside("r", 81);
/// assert_eq!(published.to_string(), "TCP over IPv4 from e to c1 port 80, asked for at 203.0.113.1:8080");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// TCP or UDP.
    pub transport: Protocol,
    /// The family.
    pub family: Family,
    /// Who sends.
    pub from: &'a str,
    /// Who listens, on all of its addresses.
    pub to: &'a str,
    /// The port that it listens on.
    pub port: u16,
    /// What the sender asks for, if not the receiver's own address and port: a published port.
    pub asked: Option<SocketAddr>,
    /// UDP: how many bytes the IP packet has; `None` is as few as can be. It is not to be cut in
    /// pieces on the way.
    pub bytes: Option<usize>,
    /// Where the sender's control goes, a host and its port, if not the receiver's next port: a
    /// host on the way, that nothing keeps the sender from.
    pub aside: Option<(&'a str, u16)>,
    /// A third host, whose control nothing keeps from the port.
    pub control: &'a str,
}

impl<'a> Flow<'a> {
    /// A flow between hosts that are yet to be named.
    pub const fn new(transport: Protocol, family: Family) -> Self {
        Self {
            transport,
            family,
            from: "",
            to: "",
            port: 80,
            asked: None,
            bytes: None,
            aside: None,
            control: "",
        }
    }

    /// Who sends, and who listens.
    #[must_use]
    pub const fn between(mut self, from: &'a str, to: &'a str) -> Self {
        (self.from, self.to) = (from, to);
        self
    }

    /// The port that the receiver listens on.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// What the sender asks for instead of the receiver's own address and port.
    #[must_use]
    pub const fn asking(mut self, published: SocketAddr) -> Self {
        self.asked = Some(published);
        self
    }

    /// How long the IP packet is (UDP).
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Where the sender's control goes.
    #[must_use]
    pub const fn aside(mut self, host: &'a str, port: u16) -> Self {
        self.aside = Some((host, port));
        self
    }

    /// Whose control comes out of the receiver's socket.
    #[must_use]
    pub const fn control(mut self, host: &'a str) -> Self {
        self.control = host;
        self
    }

    /// Where the sender's control goes.
    fn beside(&self) -> (&'a str, u16) {
        self.aside.unwrap_or((self.to, self.port.wrapping_add(1)))
    }
}

impl fmt::Display for Flow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        };
        let family = match self.family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        write!(
            f,
            "{transport} over {family} from {} to {} port {}",
            self.from, self.to, self.port
        )?;
        if let Some(bytes) = self.bytes {
            write!(f, ", {bytes} bytes")?;
        }
        self.asked.map_or(Ok(()), |asked| write!(f, ", asked for at {asked}"))
    }
}

/// What became of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The verdict and its proof.
    pub cell: Cell,
    /// The sender's address and port as the receiver sees them, if it was reached.
    pub source: Option<SocketAddr>,
    /// What was counted as given up meanwhile, where it was not simply delivered; no proof of anything.
    pub counted: Vec<Counted>,
}

impl Passage {
    fn new(verdict: Verdict) -> Self {
        Self::reached(verdict, None)
    }

    fn reached(verdict: Verdict, source: Option<SocketAddr>) -> Self {
        Self { cell: Cell::new(verdict), source, counted: Vec::new() }
    }

    /// What the controls let us say of a flow that did not come through.
    fn missing(verdict: Verdict, flow: &Flow<'_>, controls: Controls) -> Self {
        let (aside, port) = flow.beside();
        let verdict = match controls {
            Controls { sent: false, .. } => {
                Verdict::Inconclusive(format!("nothing of `{}` arrives at `{aside}`", flow.from))
            }
            Controls { heard: false, .. } => {
                Verdict::Inconclusive(format!("the socket of `{}` heard no control", flow.to))
            }
            _ => verdict,
        };
        let mut cell = Cell::new(verdict);
        if !matches!(cell.verdict, Verdict::Inconclusive(_)) {
            let of = if aside == flow.to { String::new() } else { format!(" of `{aside}`") };
            cell.proof = Some(format!(
                "a later one reached port {port}{of}, its socket then heard `{}`",
                flow.control
            ));
        }
        Self { cell, source: None, counted: Vec::new() }
    }
}

/// Which controls came through.
#[derive(Clone, Copy)]
struct Controls {
    /// The sender's.
    sent: bool,
    /// The one for the receiver's own socket.
    heard: bool,
}

/// Asks for one flow and proves what became of it.
pub(crate) async fn flow(lab: &mut Lab, flow: &Flow<'_>) -> Result<Passage, Error> {
    let own = SocketAddr::new(address(lab, flow.to, flow.family)?, flow.port);
    let (aside, port) = flow.beside();
    let aside = SocketAddr::new(address(lab, aside, flow.family)?, port);
    let at = Places { asked: flow.asked.unwrap_or(own), own, aside };
    way::begin(lab).await?;
    let losses = Losses::now(lab).await?;
    let counts = Counts::now(lab)?;
    let mut passage = match flow.transport {
        Protocol::Tcp => stream::ask(lab, flow, at).await?,
        Protocol::Udp => datagram::ask(lab, flow, at).await?,
    };
    losses.doubt(lab, std::iter::once(&mut passage.cell)).await?;
    way::tell(lab, flow.from, at, &mut passage.cell).await?;
    if !passage.cell.verdict.is_whole() {
        passage.counted = counts.since(lab)?;
    }
    Ok(passage)
}

/// Where everything goes.
#[derive(Clone, Copy)]
struct Places {
    /// The probe.
    asked: SocketAddr,
    /// The third host's control.
    own: SocketAddr,
    /// The sender's control.
    aside: SocketAddr,
}

fn address(lab: &Lab, host: &str, family: Family) -> Result<IpAddr, Error> {
    lab.topology().address_of(host, family).ok_or_else(|| {
        Error::new(
            format!("`{host}` has no {family:?} address"),
            format!("topology `{}`", lab.topology().name),
            "name a host of the flow's own, with an address of that family",
        )
    })
}

/// Every address of a host, at that port.
fn any(family: Family, port: u16) -> SocketAddr {
    let ip = match family {
        Family::V4 => IpAddr::from([0; 4]),
        Family::V6 => IpAddr::from([0; 16]),
    };
    SocketAddr::new(ip, port)
}

/// An errno of the sender's socket as a refusal.
fn refusal(error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => Refusal::Port,
        Some(libc::EHOSTUNREACH) => Refusal::Host,
        Some(libc::ENETUNREACH) => Refusal::NoRoute,
        Some(libc::EPERM | libc::EACCES) => Refusal::Prohibited,
        Some(libc::EMSGSIZE) => Refusal::Other("packet too big".into()),
        _ => Refusal::Other(error.to_string()),
    }
}
