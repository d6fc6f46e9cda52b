//! A bond of two links, and what the links above it are to be told and to take over.
//!
//! ```text
//!              / b1 --- e:e0
//!   p:bond0 <
//!              \ b2 --- f:f0     one of the two is in use
//! ```
//!
//! No cases here.

use hairpin_harness::options::{bond, link};
use hairpin_harness::topology::LinkName;
use hairpin_harness::{CaseLab, Errno, Stop, Tiding, Topology};

/// The two links, which are not in the bond yet.
pub(crate) const PORTS: [&str; 2] = ["p:b1", "p:b2"];

/// The state of RFC 2863 of a link that runs.
const UP: u64 = 6;

/// The bond, with nothing above it.
pub(crate) fn bonded() -> Topology {
    let lan = Topology::new("bonded").netns("p").host("e").host("f").bond("p:bond0");
    lan.cable("p:b1", "e:e0").cable("p:b2", "f:f0").down("p:b1").down("p:b2")
}

fn index(lab: &CaseLab, link: &str) -> u64 {
    lab.topology().ifindex(&LinkName::from(link)).into()
}

/// Puts a link into the bond. While the kernel has yet to see that such a link runs, a bond that begins
/// to use it tells nobody.
pub(crate) async fn join(lab: &mut CaseLab, port: &str) -> Result<(), Stop> {
    let bond = index(lab, "p:bond0");
    lab.set_option(port, link::CONTROLLER, bond).await?;
    lab.set_up(port, true).await?;
    lab.expect_to_become(port, link::OPERSTATE, UP).await
}

/// Holds that a link is told all that there is to tell when the bond that it stands on uses another of its links.
pub(crate) async fn expect_told(lab: &mut CaseLab, above: &str) -> Result<(), Stop> {
    expect_told_of(lab, above, &[Tiding::Failover, Tiding::Neighbours, Tiding::Memberships]).await
}

/// Holds that it is told so much.
pub(crate) async fn expect_told_of(
    lab: &mut CaseLab,
    above: &str,
    all: &[Tiding],
) -> Result<(), Stop> {
    for port in PORTS {
        join(lab, port).await?;
    }
    lab.expect_to_become(above, link::CARRIER, 1).await?;
    lab.expect_option("p:bond0", bond::ACTIVE, index(lab, PORTS[0])).await?;
    for port in [PORTS[1], PORTS[0]] {
        let notices = lab.notices(&LinkName::from(above).netns)?;
        let other = index(lab, port);
        lab.set_option("p:bond0", bond::ACTIVE, other).await?;
        lab.expect_tidings(&notices, above, all).await?;
    }
    Ok(())
}

/// Holds that the bond can take larger segments as it gets its first link, and that a link above it
/// follows; gives how large those are.
pub(crate) async fn expect_larger_segments(lab: &mut CaseLab, above: &str) -> Result<u64, Stop> {
    let before = lab.option("p:bond0", link::TSO_MAX_SIZE).await?;
    join(lab, PORTS[0]).await?;
    let most = lab.option("p:bond0", link::TSO_MAX_SIZE).await?;
    lab.claim("a cable takes more than none", most > before, format!("{before:?} {most:?}"))?;
    let most = most.unwrap_or_default();
    lab.expect_to_become(above, link::TSO_MAX_SIZE, most).await?;
    Ok(most)
}

/// Holds that the bond cannot become what the loopback is, which is no Ethernet, while a link stands on
/// it, and that it can once that link is gone: it was the last one that was made. Then it takes none.
pub(crate) async fn expect_to_stay_ethernet(lab: &mut CaseLab, kind: &str) -> Result<(), Stop> {
    expect_no_other_kind(lab).await?;
    lab.delete_last().await?;
    expect_other_kind(lab).await?;
    let born = lab.newborn(kind, "p", Some("bond0"), &[]).await;
    lab.expect_refusal(&format!("a {kind} on what is no Ethernet"), born, Errno::EINVAL)
}

/// Holds that the bond cannot become what the loopback is.
pub(crate) async fn expect_no_other_kind(lab: &mut CaseLab) -> Result<(), Stop> {
    let joined = lab.set_bond_of_loopback(&LinkName::from("p:bond0")).await;
    lab.expect_refusal("the loopback as the first of its links", joined, Errno::EBUSY)
}

/// Holds that it can: nothing is above it.
pub(crate) async fn expect_other_kind(lab: &mut CaseLab) -> Result<(), Stop> {
    let joined = lab.set_bond_of_loopback(&LinkName::from("p:bond0")).await;
    lab.expect_done("with nothing above it", joined)
}
