//! What the kernel notes of a frame that is written, which filters and segmentation go by.
//!
//! ```text
//!   c1 (macvtap) --- p0 [br0] s1 --- e
//! ```

use hairpin_fixtures::lan::{macvtap_lan, quiet};
use hairpin_harness::{Mode, Noted, Rule, Shot, Source, Strength, check};
use rstest::rstest;

use super::NEEDS;

pub(crate) const RULES: &[Rule] = &[KIND, PAUSE];

const KIND: Rule = Rule {
    id: "macvtap.noted.its-kind-and-where-its-network-header-is",
    promise: "of a frame that is written the kernel notes the ethertype, that of the outer tag if it \
              has tags, and that the network header is behind them all",
    source: Source {
        cite: "tap_get_user, drivers/net/tap.c; packet(7), sll_protocol",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::ip(&[0x08, 0x00], 0x0800, 14)]
#[case::another(&[0x88, 0xb5], 0x88b5, 14)]
#[case::tagged(&[0x81, 0x00, 0x60, 0x05, 0x08, 0x00], 0x8100, 18)]
#[case::twice(&[0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x60, 0x05, 0x08, 0x00], 0x88a8, 22)]
fn its_kind_and_where_its_network_header_is(
    #[case] kinds: &[u8],
    #[case] ethertype: u16,
    #[case] network: u16,
) {
    check(&KIND, async |case| {
        let lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        let frame = [&lab.mac("e:e0").0[..], &lab.mac("c1:c0").0, kinds, &[0x45; 60]].concat();
        let seen = lab.noted(&queue, &frame)?;
        let wanted = Noted { ethertype, network };
        lab.claim(&format!("{wanted:?}"), seen == wanted, format!("{seen:?}"))
    });
}

const PAUSE: Rule = Rule {
    id: "macvtap.noted.pause-frames-are-for-the-wire",
    promise: "a frame that asks for a pause and is written to a link in bridge mode goes to the wire \
              alone, and one of another kind to its siblings, too",
    source: Source {
        cite: "tap_get_user, drivers/net/tap.c; macvlan_broadcast; IEEE 802.3, annex 31B",
        strength: Strength::Standard,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn pause_frames_are_for_the_wire() {
    check(&PAUSE, async |case| {
        let mut lab = case.lab(&quiet(macvtap_lan(Mode::Bridge))).await?;
        let queue = lab.open_queue("c1:c0")?;
        for (ethertype, heard) in [(0x8808, "e broadcast"), (0x8809, "c2 broadcast, e broadcast")] {
            let shot = Shot::broadcast().ethertype(ethertype);
            lab.expect_shot_from(&queue, &shot, heard).await?;
        }
        Ok(())
    });
}
