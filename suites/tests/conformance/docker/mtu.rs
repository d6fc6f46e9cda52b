//! A link on the way that takes less than the sender's own.
//!
//! ```text
//!   c1 -- 1500 -- br1 [r] up -- 1400 -- e
//! ```

use hairpin_fixtures::docker::routed_lan;
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{
    Action, CaseLab, Error, Family, Firewall, Flow, Hook, Match, Need, Refusal, Rule, Source,
    Strength, Verdict, check,
};
use rstest::rstest;

use super::FILTERED;

pub(crate) const RULES: &[Rule] = &[TOLD, BLACK_HOLE];

const TOLD: Rule = Rule {
    id: "docker.mtu.the-sender-is-told",
    promise: "a packet of exactly the MTU of the way passes; of one that is a byte longer and must \
              not be cut the sender is told that it is too big",
    source: Source { cite: "RFC 1191, 4; RFC 4443, 3.2; RFC 8201", strength: Strength::Standard },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge")],
};

const BLACK_HOLE: Rule = Rule {
    id: "docker.mtu.without-the-word-it-is-a-black-hole",
    promise: "where the router's word does not come back, what is longer than the way takes is lost \
              without a word, while shorter packets pass",
    source: Source { cite: "RFC 2923, 2.1", strength: Strength::Standard },
    article: &[],
    needs: FILTERED,
};

/// A datagram from c1 to e in a packet of that length.
fn packet(family: Family, bytes: usize) -> Flow<'static> {
    Flow::new(Protocol::Udp, family).between("c1", "e").control("r").bytes(bytes)
}

/// Takes the LAN down to 1400 bytes.
async fn shrink(lab: &mut CaseLab) -> Result<(), Error> {
    lab.set_mtu("e:eth0", 1400).await?;
    lab.set_mtu("r:up", 1400).await
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn the_sender_is_told(#[case] family: Family) {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&routed_lan()).await?;
        lab.expect_flow(&packet(family, 1401), '+').await?;
        shrink(&mut lab).await?;
        lab.expect_flow(&packet(family, 1400), '+').await?;
        let told = lab.expect_flow(&packet(family, 1401), 'R').await?.cell.verdict;
        let too_big = Verdict::Refused(Refusal::Other("packet too big".into()));
        lab.claim("it is told that the packet is too big", told == too_big, told)?;
        lab.expect_flow(&packet(family, 1400), '+').await?;
        Ok(())
    });
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn without_the_word_it_is_a_black_hole(#[case] family: Family) {
    check(&BLACK_HOLE, async |case| {
        let mut lab = case.lab(&routed_lan()).await?;
        lab.expect_flow(&packet(family, 1401), '+').await?;
        shrink(&mut lab).await?;
        let silent = Match::any().to_link("br1");
        lab.set_firewall("r", Firewall::new().rule(Hook::Output, silent, Action::Drop))?;
        lab.expect_flow(&packet(family, 1400), '+').await?;
        lab.expect_flow(&packet(family, 1401), '#').await?;
        lab.set_firewall("r", Firewall::new())?;
        lab.expect_flow(&packet(family, 1401), 'R').await?;
        Ok(())
    });
}
