//! Packets that wait for a neighbour: whoever is sent to a known one overtakes them, so controls prove
//! nothing of them before that neighbour has answered, or has been given up.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hairpin_model::{Error, Family};

use crate::lab::Lab;

/// How long to wait. A kernel asks for a neighbour three times, a second each, and a packet may wait
/// for one at each of several hops.
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody that a namespace asks for.
type Asked = (usize, IpAddr);

/// Waits until nothing of what was sent before can wait for a neighbour.
///
/// What is released at one hop may wait at the next, so after an answer it looks again. What was given
/// up goes no further, and whatever is asked for on its account does not concern us.
pub(super) async fn await_neighbours(lab: &Lab, family: Family) -> Result<(), Error> {
    let until = Instant::now() + PATIENCE;
    loop {
        let asked = asked(lab, family).await?;
        if asked.is_empty() || !await_ends(lab, family, &asked, until).await? {
            return Ok(());
        }
    }
}

/// Waits until these are asked for no longer; whether any of them has answered.
async fn await_ends(
    lab: &Lab,
    family: Family,
    asked: &[Asked],
    until: Instant,
) -> Result<bool, Error> {
    let mut answered = false;
    for (place, ip) in asked {
        let node = &lab.nodes()[*place];
        loop {
            let told = unresolved(lab, *place, family).await?;
            match told.iter().find(|(other, _)| other == ip) {
                Some((_, true)) if Instant::now() > until => {
                    return Err(Error::new(
                        format!("{ip} is asked for since {} s", PATIENCE.as_secs()),
                        format!("namespace `{}`", node.name),
                        "are `mcast_solicit` or `retrans_time_ms` longer than usual there?",
                    ));
                }
                Some((_, true)) => tokio::task::yield_now().await,
                Some((_, false)) => break,
                None => {
                    answered = true;
                    break;
                }
            }
        }
    }
    Ok(answered)
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
