//! A neighbour that has another Ethernet address than before. A link keeps the header that it wrote last
//! for a neighbour and writes it again, so it has to be told.
//!
//! No cases here. The lab must be quiet, and its machine outside `e` with the address 192.0.2.9.

use std::net::IpAddr;

use hairpin_harness::topology::LinkName;
use hairpin_harness::{CaseLab, Mac, Stop};

use crate::counted::settled;

/// An address that no link has.
const NOBODY: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x51]);

/// How many datagrams are sent.
const TIMES: u64 = 3;

/// Holds that what a link's host sends to e goes to the address that e is known at by then.
pub(crate) async fn expect_followed(lab: &mut CaseLab, link: &str) -> Result<(), Stop> {
    let (host, e) = (LinkName::from(link).netns, IpAddr::from([192, 0, 2, 9]));
    for known in [true, false, true] {
        let mac = if known { lab.mac("e:e0") } else { NOBODY };
        lab.add_neighbour(link, e, mac).await?;
        let before = lab.ip_counter("e", "InReceives")?;
        lab.send_datagrams(&host, (e, 9).into(), 100, TIMES as usize)?;
        settled(lab).await?;
        let came = lab.ip_counter("e", "InReceives")? - before;
        let wanted = if known { TIMES } else { 0 };
        lab.claim(&format!("e at {mac}: it hears {wanted}"), came == wanted, came)?;
    }
    Ok(())
}
