//! XDP programs that can handle frames in pieces, and frames of more than a page.
//!
//! ```text
//!   a:eth0 ------------ b:eth0
//!                       b:eth1 ------------ c:eth0
//! ```

use hairpin_harness::options::link;
use hairpin_harness::{CaseLab, Errno, Mac, Need, Rule, Shot, Source, Stop, Strength, Xdp, check};
use rstest::rstest;

use super::xdp::cables;

pub(crate) const RULES: &[Rule] = &[ROOM, DONE, ELSEWHERE];

const NEEDS: &[Need] = &[Need::Driver("veth"), Need::Xdp, Need::Since(5, 18)];

/// Whom the programs look out for.
const MARKED: Mac = Mac([0x02, 0x68, 0x70, 0xff, 0x00, 0x22]);

const ROOM: Rule = Rule {
    id: "veth.pieces.a-program-leaves-more-room",
    promise: "a program that can handle frames in pieces lets the other end's MTU be as large as \
              seventeen pages more, one that cannot does not, and is refused beside such an MTU",
    source: Source {
        cite: "veth_xdp_set, xdp_has_frags, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_program_leaves_more_room() {
    check(&ROOM, async |case| {
        let mut lab = case.lab(&cables()).await?;
        lab.set_xdp("b:eth0", MARKED, &Xdp::Pass).await?;
        let one_page = lab.option("a:eth0", link::MAX_MTU).await?.unwrap_or_default();
        lab.clear_xdp("b:eth0").await?;
        lab.set_mtu("a:eth0", 9000).await?;
        let done = lab.set_xdp("b:eth0", MARKED, &Xdp::Pass).await;
        lab.expect_refusal("a program for one piece", done, Errno::ERANGE)?;
        lab.set_xdp_for_pieces("b:eth0", MARKED, &Xdp::Pass).await?;
        lab.expect_option("a:eth0", link::MAX_MTU, one_page + 17 * 4096).await?;
        lab.clear_xdp("b:eth0").await?;
        lab.expect_option("a:eth0", link::MAX_MTU, 65_535).await
    });
}

const DONE: Rule = Rule {
    id: "veth.pieces.come-whole",
    promise: "frames of any length up to a large MTU pass a program that can handle pieces as they are, \
              or with their end cut off or their beginning made longer; all are \
              counted with their bytes",
    source: Source {
        cite: "veth_convert_skb_to_xdp_buff and veth_xdp_rcv_skb, drivers/net/veth.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// Within one page; more than its room behind the head; pages that are full to the last byte and not.
const LENGTHS: [usize; 6] = [100, 3000, 3700, 5000, 8000, 9014];

/// Large MTUs everywhere, and programs for pieces where frames may go on.
async fn prepare(lab: &mut CaseLab, does: &Xdp) -> Result<(), Stop> {
    for end in ["a:eth0", "b:eth0", "b:eth1", "c:eth0"] {
        lab.set_mtu(end, 9000).await?;
    }
    lab.set_xdp_for_pieces("b:eth0", MARKED, does).await?;
    Ok(lab.set_xdp_for_pieces("c:eth0", MARKED, &Xdp::Pass).await?)
}

#[rstest]
#[case::pass(Xdp::Pass, "b other", 0)]
#[case::drop(Xdp::Drop, "nobody", 0)]
#[case::shorten(Xdp::Shorten(7), "b other", -7)]
#[case::lengthen(Xdp::Lengthen(4), "b other", 4)]
fn come_whole(#[case] does: Xdp, #[case] to: &str, #[case] more: isize) {
    check(&DONE, async |case| {
        let mut lab = case.lab(&cables()).await?;
        prepare(&mut lab, &does).await?;
        expect_lengths(&mut lab, to, more).await
    });
}

/// Holds where frames of each length arrive, how much longer they are there, and that b counts them.
async fn expect_lengths(lab: &mut CaseLab, to: &str, more: isize) -> Result<(), Stop> {
    for bytes in LENGTHS {
        let heard = match more {
            0 => to.to_owned(),
            more => format!("{to} changed ({} bytes)", bytes.saturating_add_signed(more)),
        };
        let before = lab.counters("b:eth0").await?;
        lab.expect_shot("a", &Shot::to(MARKED).bytes(bytes), &heard).await?;
        let seen = lab.counters("b:eth0").await? - before;
        // All but the shot are as short as Ethernet has them, and headers are not counted here.
        let wanted = 46 * (seen.rx_packets.saturating_sub(1)) + bytes as u64 - 14;
        let holds = seen.rx_bytes == wanted && seen.rx_dropped == 0;
        lab.claim(&format!("b counts {wanted} bytes"), holds, format!("{seen:?}"))?;
    }
    Ok(())
}

const ELSEWHERE: Rule = Rule {
    id: "veth.pieces.go-elsewhere",
    promise: "frames of any length that a program has sent by another cable arrive there whole, if the \
              program at the far end can handle pieces, too",
    source: Source {
        cite: "veth_xdp_xmit and veth_xdp_rcv_one, drivers/net/veth.c; \
               NETDEV_XDP_ACT_NDO_XMIT_SG (6.3)",
        strength: Strength::Code,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Xdp, Need::Since(6, 3)],
};

#[test]
fn go_elsewhere() {
    check(&ELSEWHERE, async |case| {
        let mut lab = case.lab(&cables()).await?;
        prepare(&mut lab, &Xdp::Redirect("b:eth1".into())).await?;
        expect_lengths(&mut lab, "c other", 0).await
    });
}
