//! Packets that wait for a neighbour: whoever is sent to a known one overtakes them, so controls prove
//! nothing of them before that neighbour has answered, or has been given up.

use std::net::IpAddr;
use std::time::Duration;

use hairpin_model::{Error, Family};

use crate::lab::Lab;
use crate::netlink::plain::EventKind;

/// How long to wait for one. A kernel asks three times, a second each.
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody that a namespace asks for.
type Asked = (usize, IpAddr);

/// Waits until nothing of what was sent before can wait for a neighbour.
///
/// What is released at one hop may wait at the next, so after an answer it looks again, for as many
/// hops as there are namespaces. What was given up goes no further, and whatever is asked for on its
/// account does not concern us.
pub(super) async fn await_neighbours(lab: &Lab, family: Family) -> Result<(), Error> {
    for _ in lab.nodes() {
        let mut answered = false;
        for one in asked(lab, family).await? {
            answered |= await_end(lab, family, one).await?;
        }
        if !answered {
            break;
        }
    }
    Ok(())
}

/// Waits until somebody is asked for no longer; whether he has answered.
async fn await_end(lab: &Lab, family: Family, (place, ip): Asked) -> Result<bool, Error> {
    let netns = &lab.nodes()[place].name;
    let mut answered = false;
    let ends = async || {
        let told = unresolved(lab, place, family).await?;
        let still = told.iter().find(|(other, _)| *other == ip).map(|(_, is_asked)| *is_asked);
        answered = still.is_none();
        Ok(still != Some(true))
    };
    if lab.comes_to_hold(netns, &[EventKind::Neighbour], PATIENCE, ends).await? {
        return Ok(answered);
    }
    Err(Error::new(
        format!("{ip} is asked for since {} s", PATIENCE.as_secs()),
        format!("namespace `{netns}`"),
        "are `mcast_solicit` or `retrans_time_ms` longer than usual there?",
    ))
}

async fn asked(lab: &Lab, family: Family) -> Result<Vec<Asked>, Error> {
    let mut all = Vec::new();
    for place in 0..lab.nodes().len() {
        let told = unresolved(lab, place, family).await?;
        all.extend(told.into_iter().filter(|(_, is_asked)| *is_asked).map(|(ip, _)| (place, ip)));
    }
    Ok(all)
}

async fn unresolved(lab: &Lab, place: usize, family: Family) -> Result<Vec<(IpAddr, bool)>, Error> {
    let node = &lab.nodes()[place];
    let told = node.netlink.unresolved(family).await;
    told.map_err(|refused| refused.error("show the neighbours", &node.name))
}
