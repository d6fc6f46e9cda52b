//! Who may speak with whom, and as whom.
//!
//! ```text
//!   c1, c2 --- br1 [r] br2 --- c3
//!                  up --- e
//! ```

use hairpin_fixtures::docker::{
    apart, docker_lan, docker_rules, internal, masqueraded, public, routed_lan,
};
use hairpin_harness::Class::{Ping4, Ping6};
use hairpin_harness::firewall::Protocol;
use hairpin_harness::{
    Action, CaseLab, Class, Family, Firewall, Flow, Hook, Match, Need, Rule, Source, Stop,
    Strength, check,
};
use rstest::rstest;

use super::FILTERED;

pub(crate) const RULES: &[Rule] = &[OUT_ONLY, APART, HIDDEN, ROUTED, INTERNAL, ICC_RULE, ICC_OFF];

const OUT_ONLY: Rule = Rule {
    id: "docker.policy.out-and-what-answers-only",
    promise: "with FORWARD at DROP and the rules that Docker adds, containers reach the outside and \
              their neighbours, while nobody outside reaches them, though it knows the way",
    source: Source {
        cite: "Docker: packet filtering and firewalls; nft(8), ct state",
        strength: Strength::Documented,
    },
    article: &[],
    needs: FILTERED,
};

const APART: Rule = Rule {
    id: "docker.policy.isolation-cuts-two-bridges-only",
    promise: "rules that drop what goes from one bridge to the other cut the two apart, both ways, \
              and nothing else",
    source: Source {
        cite: "Docker: packet filtering and firewalls, DOCKER-ISOLATION",
        strength: Strength::Documented,
    },
    article: &[],
    needs: FILTERED,
};

const HIDDEN: Rule = Rule {
    id: "docker.policy.masquerade-is-what-brings-answers-back",
    promise: "a machine outside that knows no way to a network sees the router's address in what is \
              masqueraded, and can answer; otherwise it sees the container's and cannot",
    source: Source { cite: "nft(8), masquerade; RFC 3022", strength: Strength::Documented },
    article: &[],
    needs: FILTERED,
};

const ROUTED: Rule = Rule {
    id: "docker.policy.routed-shows-the-container",
    promise: "without NAT, a machine outside that was told the way sees the container's own address, \
              and reaches it by itself",
    source: Source {
        cite: "Docker: packet filtering and firewalls, gateway mode routed",
        strength: Strength::Documented,
    },
    article: &[],
    needs: FILTERED,
};

const INTERNAL: Rule = Rule {
    id: "docker.policy.internal-reaches-the-machine-only",
    promise: "containers of an internal network reach each other and the machine, at its gateway \
              address and, once they have a route, at its other addresses; nothing goes further",
    source: Source {
        cite: "docker-network-create(1), --internal; ip-sysctl.rst: an address is the host's, not \
               the link's",
        strength: Strength::Documented,
    },
    article: &[],
    needs: FILTERED,
};

const ICC_RULE: Rule = Rule {
    id: "docker.policy.icc-rule-alone-does-nothing",
    promise: "a FORWARD rule that drops what goes from a bridge to the same bridge does not touch \
              neighbours while bridged packets are not handed to the IP firewall",
    source: Source {
        cite: "ip-sysctl.rst, bridge-nf-call-iptables; Docker: inter-container communication",
        strength: Strength::Documented,
    },
    article: &[],
    needs: FILTERED,
};

const ICC_OFF: Rule = Rule {
    id: "docker.policy.icc-off-with-br-netfilter",
    promise: "with br_netfilter that rule cuts neighbours apart, and leaves them their gateway and \
              the outside",
    source: Source {
        cite: "ip-sysctl.rst, bridge-nf-call-iptables; Docker: inter-container communication",
        strength: Strength::Documented,
    },
    article: &[],
    needs: &[Need::Driver("veth"), Need::Driver("bridge"), Need::Nftables, Need::BrNetfilter],
};

/// Everybody reaches everybody: the twin of what rulesets forbid.
async fn expect_all(lab: &mut CaseLab, class: Class) -> Result<(), Stop> {
    let all = "
            c1 c2 c3 r e
        c1  .  +  +  + +
        c2  +  .  +  + +
        c3  +  +  .  + +
        r   +  +  +  . +
        e   +  +  +  + .";
    lab.expect(class, all).await?;
    Ok(())
}

/// What inter-container communication off adds.
fn icc_off() -> Firewall {
    Firewall::new().rule(Hook::Forward, Match::any().from_link("br1").to_link("br1"), Action::Drop)
}

#[rstest]
#[case::v4(Ping4)]
#[case::v6(Ping6)]
fn out_and_what_answers_only(#[case] class: Class) {
    check(&OUT_ONLY, async |case| {
        let mut lab = case.lab(&routed_lan().firewall("r", docker_rules())).await?;
        let out_only = "
                    c1 c2 c3 r e
                c1  .  +  #  + +
                c2  +  .  #  + +
                c3  #  #  .  + +
                r   +  +  +  . +
                e   #  #  #  + .";
        lab.expect(class, out_only).await?;
        lab.set_firewall("r", masqueraded())?;
        expect_all(&mut lab, class).await?;
        Ok(())
    });
}

#[rstest]
#[case::v4(Ping4)]
#[case::v6(Ping6)]
fn isolation_cuts_two_bridges_only(#[case] class: Class) {
    check(&APART, async |case| {
        let mut lab = case.lab(&routed_lan().firewall("r", apart(Firewall::new()))).await?;
        let isolated = "
                    c1 c2 c3 r e
                c1  .  +  #  + +
                c2  +  .  #  + +
                c3  #  #  .  + +
                r   +  +  +  . +
                e   +  +  +  + .";
        lab.expect(class, isolated).await?;
        lab.set_firewall("r", Firewall::new())?;
        expect_all(&mut lab, class).await?;
        Ok(())
    });
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn masquerade_is_what_brings_answers_back(#[case] family: Family) {
    check(&HIDDEN, async |case| {
        let mut lab = case.lab(&docker_lan()).await?;
        let flow = |transport| Flow::new(transport, family).between("c1", "e").control("r");
        let (udp, tcp) = (flow(Protocol::Udp), flow(Protocol::Tcp).aside("r", 81));
        let plain = lab.expect_flow(&udp, '+').await?.source.map(|source| source.ip());
        let own = lab.topology().address_of("c1", family);
        lab.claim("without it e sees the container", plain == own, format!("{plain:?}"))?;
        lab.expect_flow(&tcp, '>').await?;
        lab.set_firewall("r", masqueraded())?;
        let hidden = lab.expect_flow(&tcp, '+').await?.source.map(|source| source.ip());
        let router = Some(public(family, 0).ip());
        lab.claim("with it e sees the machine", hidden == router, format!("{hidden:?}"))
    });
}

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn routed_shows_the_container(#[case] family: Family) {
    check(&ROUTED, async |case| {
        let mut lab = case.lab(&routed_lan()).await?;
        let out = Flow::new(Protocol::Tcp, family).between("c1", "e").control("r");
        let seen = lab.expect_flow(&out, '+').await?.source.map(|source| source.ip());
        let own = lab.topology().address_of("c1", family);
        lab.claim("e sees the container", seen == own, format!("{seen:?}"))?;
        let into = Flow::new(Protocol::Tcp, family).between("e", "c1").control("r");
        lab.expect_flow(&into, '+').await?;
        Ok(())
    });
}

#[rstest]
#[case::v4(Family::V4, "0.0.0.0/0", "192.0.2.1")]
#[case::v6(Family::V6, "::/0", "2001:db8:1::1")]
fn internal_reaches_the_machine_only(#[case] family: Family, #[case] to: &str, #[case] via: &str) {
    check(&INTERNAL, async |case| {
        let mut lab = case.lab(&routed_lan().firewall("r", internal("br1"))).await?;
        let class = Class::ping(family);
        let other = Flow::new(Protocol::Tcp, family)
            .between("c1", "r")
            .asking(public(family, 80))
            .aside("c2", 81)
            .control("c2");
        lab.delete_route("c1", to, via).await?;
        lab.delete_route("c2", to, via).await?;
        let no_route = "
                    c1 c2 c3 r e
                c1  .  +  N  + N
                c2  +  .  N  + N
                c3  #  #  .  + +
                r   +  +  +  . +
                e   #  #  +  + .";
        lab.expect(class, no_route).await?;
        lab.expect_flow(&other, 'N').await?;
        lab.add_route("c1", to, via).await?;
        lab.add_route("c2", to, via).await?;
        let kept_in = "
                    c1 c2 c3 r e
                c1  .  +  #  + #
                c2  +  .  #  + #
                c3  #  #  .  + +
                r   +  +  +  . +
                e   #  #  +  + .";
        lab.expect(class, kept_in).await?;
        lab.expect_flow(&other, '+').await?;
        lab.set_firewall("r", Firewall::new())?;
        expect_all(&mut lab, class).await?;
        Ok(())
    });
}

#[rstest]
#[case::v4(Ping4)]
#[case::v6(Ping6)]
fn icc_rule_alone_does_nothing(#[case] class: Class) {
    check(&ICC_RULE, async |case| {
        let mut lab = case.lab(&routed_lan().firewall("r", icc_off())).await?;
        expect_all(&mut lab, class).await?;
        Ok(())
    });
}

#[rstest]
#[case::v4(Ping4, "bridge.bridge-nf-call-iptables")]
#[case::v6(Ping6, "bridge.bridge-nf-call-ip6tables")]
fn icc_off_with_br_netfilter(#[case] class: Class, #[case] switch: &str) {
    check(&ICC_OFF, async |case| {
        let lan = routed_lan().firewall("r", icc_off()).sysctl("r", switch, "1");
        let mut lab = case.lab(&lan).await?;
        let off = "
                    c1 c2 c3 r e
                c1  .  #  +  + +
                c2  #  .  +  + +
                c3  +  +  .  + +
                r   +  +  +  . +
                e   +  +  +  + .";
        lab.expect(class, off).await?;
        lab.set_sysctl("r", switch, "0")?;
        expect_all(&mut lab, class).await?;
        Ok(())
    });
}
