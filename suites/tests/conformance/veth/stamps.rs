//! When a frame went: a cable's end stamps what it sends for who asked.
//!
//! ```text
//!   a:eth0 ------------ b:eth0
//! ```

use hairpin_harness::{Rule, Source, Strength, check};

use super::NEEDS;
use super::queues::addressed;

pub(crate) const RULES: &[Rule] = &[TOLD, MADE];

const TOLD: Rule = Rule {
    id: "veth.stamps.of-what-comes-and-goes",
    promise: "both ends say that there are time stamps by software of what comes and of what goes, and \
              that they have no clock of their own",
    source: Source {
        cite: "veth_ethtool_ops, get_ts_info, drivers/net/veth.c; ethtool_op_get_ts_info",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn of_what_comes_and_goes() {
    // SOF_TIMESTAMPING_TX_SOFTWARE, SOF_TIMESTAMPING_RX_SOFTWARE and SOF_TIMESTAMPING_SOFTWARE.
    const BY_SOFTWARE: u32 = 0x02 | 0x08 | 0x10;
    check(&TOLD, async |case| {
        let lab = case.lab(&addressed(1)).await?;
        for end in ["a:eth0", "b:eth0"] {
            let seen = lab.time_stamps(end)?;
            let claim = format!("{end}: by software, both ways, no clock");
            lab.claim(&claim, seen == (BY_SOFTWARE, -1), format!("{seen:?}"))?;
        }
        Ok(())
    });
}

const MADE: Rule = Rule {
    id: "veth.stamps.what-is-sent",
    promise: "a socket that asks for it is told when an end has sent its datagram, and one that does not \
              is told nothing",
    source: Source {
        cite: "veth_xmit, skb_tx_timestamp, drivers/net/veth.c; timestamping.rst, 1.3.1",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_is_sent() {
    check(&MADE, async |case| {
        let mut lab = case.lab(&addressed(1)).await?;
        for (from, to, number) in [("a:eth0", "b:eth0", 2), ("b:eth0", "a:eth0", 1)] {
            let mac = lab.mac(to);
            lab.add_neighbour(from, [192, 0, 2, number].into(), mac).await?;
            for asked in [true, false] {
                let host = &from[..1];
                let seen = lab.stamps(host, ([192, 0, 2, number], 9).into(), asked)?;
                let claim = format!("{from} asked {asked}: stamped {asked}");
                lab.claim(&claim, seen == asked, seen)?;
            }
        }
        Ok(())
    });
}
