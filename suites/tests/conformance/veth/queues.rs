//! Cables with several queues: each queue does what all do.
//!
//! ```text
//!   a:eth0 ------------ b:eth0
//!                       b:eth1 ------------ c:eth0
//! ```
//!
//! Datagrams from different ports go by different queues, as their hash has it.

use hairpin_fixtures::lan::without_ipv6;
use hairpin_harness::{
    CaseLab, Counters, Mac, Need, Offload, Rule, Source, Stop, Strength, Topology, Xdp, check,
};
use rstest::rstest;

pub(crate) const RULES: &[Rule] = &[PROGRAM, JOINS, NAMES];

pub(super) const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Xdp, Need::Since(6, 1)];

/// Whom the programs look out for; no link has it.
pub(super) const MARKED: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x21]);

/// How many datagrams are sent from ports of their own: that all take one queue of four will not happen.
const MANY: u64 = 40;

/// Cables with so many queues each way.
pub(super) fn addressed(queues: u32) -> Topology {
    without_ipv6(
        Topology::new("queues")
            .host("a")
            .host("b")
            .host("c")
            .cable("a:eth0", "b:eth0")
            .cable("b:eth1", "c:eth0")
            .queues("a:eth0", queues)
            .queues("b:eth0", queues)
            .address("a:eth0", "192.0.2.1/24")
            .address("b:eth0", "192.0.2.2/24")
            .address("c:eth0", "198.51.100.3/24"),
    )
}

/// What each receive queue of b has counted of one kind.
fn of_queues(lab: &CaseLab, kind: &str) -> Result<Vec<u64>, Stop> {
    let own = lab.own_counters("b:eth0")?;
    Ok((0..4)
        .map(|queue| own.get(&format!("rx_queue_{queue}_{kind}")).copied().unwrap_or(0))
        .collect())
}

/// Sends many from a to `to`; gives what b's queues count of them, and b itself.
async fn spread(lab: &mut CaseLab, to: Mac, kind: &str) -> Result<(Vec<u64>, Counters), Stop> {
    lab.add_neighbour("a:eth0", [192, 0, 2, 2].into(), to).await?;
    let before = (of_queues(lab, kind)?, lab.counters("b:eth0").await?);
    for _ in 0..MANY {
        lab.send_datagrams("a", ([192, 0, 2, 2], 9).into(), 100, 1)?;
    }
    // What is counted with these frames is told once they are.
    let since = lab.counters_after("b:eth0", before.1, MANY).await?;
    let each = of_queues(lab, kind)?.iter().zip(before.0).map(|(now, then)| now - then).collect();
    Ok((each, since))
}

/// Holds that all of many are counted so, by as many queues as there are, or that none is.
async fn expect_spread(
    lab: &mut CaseLab,
    what: &str,
    (to, kind): (Mac, &str),
    (queues, is): (usize, bool),
) -> Result<(), Stop> {
    let (each, kernels) = spread(lab, to, kind).await?;
    let sum: u64 = each.iter().sum();
    let used = each.iter().filter(|count| **count > 0).count();
    let holds = if is { sum == MANY && (used > 1) == (queues > 1) } else { sum == 0 };
    lab.claim(&format!("{what}: {kind} of {queues} queues: {is}"), holds, format!("{each:?}"))?;
    let came = kernels.rx_packets;
    lab.claim(&format!("{what}: b counts all"), came == MANY, came)
}

const PROGRAM: Rule = Rule {
    id: "veth.queues.a-program-acts-in-each",
    promise: "a program acts in each queue that an end receives by: in those that it had when it was \
              given, in those that it is told to use later, and in none once it is taken away; all that \
              comes is counted",
    source: Source {
        cite: "veth_enable_xdp, veth_enable_range_safe, veth_disable_xdp and veth_get_stats64, \
               drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

async fn set_queues(lab: &mut CaseLab, queues: u32) -> Result<(), Stop> {
    lab.set_channels("b:eth0", queues, 1)?;
    lab.set_channels("a:eth0", 1, queues)?;
    lab.expect_to_settle("a:eth0", true).await?;
    lab.expect_to_settle("b:eth0", true).await
}

#[rstest]
#[case::alone(false)]
#[case::beside_joining(true)]
fn a_program_acts_in_each(#[case] joins: bool) {
    check(&PROGRAM, async |case| {
        let mut lab = case.lab(&addressed(4)).await?;
        lab.set_offload("b:eth0", Offload::Gro, joins)?;
        // So that its frames go by the poll of an end that joins without a program, too.
        lab.set_offload("a:eth0", Offload::Tso, false)?;
        let marked = (MARKED, "xdp_drops");
        lab.set_xdp("b:eth0", MARKED, &Xdp::Drop).await?;
        expect_spread(&mut lab, "given to four", marked, (4, true)).await?;
        lab.clear_xdp("b:eth0").await?;
        expect_spread(&mut lab, "taken away", marked, (4, false)).await?;
        set_queues(&mut lab, 1).await?;
        lab.set_xdp("b:eth0", MARKED, &Xdp::Drop).await?;
        expect_spread(&mut lab, "given to one", marked, (1, true)).await?;
        set_queues(&mut lab, 4).await?;
        expect_spread(&mut lab, "told to use four", marked, (4, true)).await
    });
}

const JOINS: Rule = Rule {
    id: "veth.queues.each-joins",
    promise: "an end that joins what comes takes it by its own poll in each queue, also in those that it \
              is told to use later, and in none once it joins no more",
    source: Source {
        cite: "veth_napi_enable, veth_enable_range_safe and veth_set_features, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_joins() {
    check(&JOINS, async |case| {
        let mut lab = case.lab(&addressed(4)).await?;
        // A sender that cuts its segments itself has its frames go by the receiver's poll.
        lab.set_offload("a:eth0", Offload::Tso, false)?;
        // The station that they are for does not matter here, and b answers none of these.
        let polled = (MARKED, "xdp_packets");
        expect_spread(&mut lab, "it does not join", polled, (4, false)).await?;
        lab.set_offload("b:eth0", Offload::Gro, true)?;
        expect_spread(&mut lab, "it joins", polled, (4, true)).await?;
        set_queues(&mut lab, 1).await?;
        expect_spread(&mut lab, "with one queue", polled, (1, true)).await?;
        set_queues(&mut lab, 4).await?;
        expect_spread(&mut lab, "with four again", polled, (4, true)).await?;
        lab.set_offload("b:eth0", Offload::Gro, false)?;
        expect_spread(&mut lab, "it joins no more", polled, (4, false)).await
    });
}

const NAMES: Rule = Rule {
    id: "veth.queues.each-has-counters-of-its-own",
    promise: "the driver's own counters are seven for each queue that receives and two for each that \
              sends, with the queue's number in their names, as many as are in use",
    source: Source {
        cite: "veth_get_strings and veth_get_sset_count, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn each_has_counters_of_its_own() {
    const RECEIVES: [&str; 7] = [
        "drops",
        "xdp_bytes",
        "xdp_drops",
        "xdp_packets",
        "xdp_redirect",
        "xdp_tx",
        "xdp_tx_errors",
    ];
    check(&NAMES, async |case| {
        let mut lab = case.lab(&addressed(4)).await?;
        for (rx, tx) in [(4, 4), (2, 3), (1, 1)] {
            lab.set_channels("b:eth0", rx, tx)?;
            let mut wanted: Vec<String> = vec!["peer_ifindex".into()];
            let receiving = |queue| RECEIVES.map(|kind| format!("rx_queue_{queue}_{kind}"));
            wanted.extend((0..rx).flat_map(receiving));
            let sending =
                |queue| ["", "_errors"].map(|end| format!("tx_queue_{queue}_xdp_xmit{end}"));
            wanted.extend((0..tx).flat_map(sending));
            // Later kernels tell of pools of pages, too.
            let own = lab.own_counters("b:eth0")?.into_keys().filter(|name| !name.contains("_pp_"));
            let seen: Vec<String> = own.collect();
            wanted.sort();
            lab.claim(
                &format!("{rx} and {tx} queues: {wanted:?}"),
                seen == wanted,
                format!("{seen:?}"),
            )?;
        }
        Ok(())
    });
}
