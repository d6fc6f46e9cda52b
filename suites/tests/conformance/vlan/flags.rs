//! What a VLAN's link is told to be: its flags, and which births are refused.
//!
//! ```text
//!   a:v5 (VLAN 5)
//!   a:eth0 ------------ b:eth0
//! ```

use hairpin_fixtures::lan::without_ipv6;
use hairpin_harness::options::vlan::{
    CUT, EGRESS_MAP, FLAGS, GVRP, ID, INGRESS_MAP, LOOSE_BINDING, MVRP, PROTOCOL, REORDER_HEADER,
    flags,
};
use hairpin_harness::options::{LinkOption, link};
use hairpin_harness::{
    CaseLab, Errno, Family, Mac, Rule, Shot, Source, Stop, Strength, Tag, Topology, check,
};
use rstest::rstest;

use super::{NEEDS, cable};

pub(crate) const RULES: &[Rule] =
    &[DEFAULTS, TOLD, NONSENSE, LOOSE, UP_AGAIN, HEADER, ONCE, SAYS, REGISTRATION, SUMS];

/// What the kernel tells of flags: it means them all.
fn all(values: u32) -> u64 {
    flags(u32::MAX, values)
}

const DEFAULTS: Rule = Rule {
    id: "vlan.flags.what-it-is-born-with",
    promise: "a VLAN's link is born with the address and MTU of the link below, of the customer's \
              protocol unless told, hides tags, has no queue, and is down",
    source: Source { cite: "vlan_newlink and vlan_setup, net/8021q", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_it_is_born_with() {
    check(&DEFAULTS, async |case| {
        let mut lab = case.lab(&cable()).await?;
        lab.set_mtu("a:eth0", 1400).await?;
        let below = lab.option("a:eth0", link::ADDRESS).await?.unwrap_or_default();
        for (told, protocol) in [(None, 0x8100), (Some(0x88a8), 0x88a8), (Some(0x8100), 0x8100)] {
            let mut options = vec![(ID, 4094)];
            options.extend(told.map(|protocol| (PROTOCOL, protocol)));
            let born = lab.newborn("vlan", "a", Some("eth0"), &options).await?;
            for (option, wanted) in [
                (ID, 4094),
                (PROTOCOL, protocol),
                (FLAGS, all(REORDER_HEADER)),
                (link::ADDRESS, below),
                (link::MTU, 1400),
                (link::OPERSTATE, 2),
            ] {
                let seen = born.option(option);
                let claim = format!("a newborn has {option} {wanted:#x}");
                lab.claim(&claim, seen == Some(wanted), format!("{seen:x?}"))?;
            }
        }
        let qdisc = lab.qdisc("a:v5")?;
        lab.claim("it has no queue", qdisc == "noqueue", qdisc)
    });
}

const TOLD: Rule = Rule {
    id: "vlan.flags.are-read-back-as-set",
    promise: "each flag is set and taken back alone, at birth and while it runs, and the others \
              stay as they are",
    source: Source {
        cite: "vlan_dev_change_flags, net/8021q/vlan_dev.c; ip-link(8), vlan",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::reorder_header(REORDER_HEADER)]
#[case::gvrp(GVRP)]
#[case::loose_binding(LOOSE_BINDING)]
#[case::mvrp(MVRP)]
fn are_read_back_as_set(#[case] flag: u32) {
    check(&TOLD, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let others = REORDER_HEADER & !flag;
        for values in [flag, 0, flag] {
            lab.set_option("a:v5", FLAGS, flags(flag, values)).await?;
            // No flag at all is not told.
            let wanted = Some(others | values).filter(|flags| *flags != 0).map(all);
            let seen = lab.option("a:v5", FLAGS).await?;
            let claim = format!("it has the flags {:#x}", others | values);
            lab.claim(&claim, seen == wanted, format!("{seen:x?}"))?;
            let told = [(ID, 7), (FLAGS, flags(flag, values))];
            let born = lab.newborn("vlan", "a", Some("eth0"), &told).await?.option(FLAGS);
            lab.claim("at birth, too", born == wanted, format!("{born:x?}"))?;
        }
        Ok(())
    });
}

const NONSENSE: Rule = Rule {
    id: "vlan.flags.nonsense-is-refused",
    promise: "a VLAN without any property, an id or a link below, beyond 4095, of an unknown protocol \
              or with unknown flags, with a map of priorities that ends too early, with a group's \
              address or an MTU above is refused, and the kernel says which of that it is",
    source: Source {
        cite: "vlan_validate and vlan_newlink, net/8021q/vlan_netlink.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::no_properties(&[], Errno::EINVAL, "properties")]
#[case::no_id(&[(PROTOCOL, 0x8100)], Errno::EINVAL, "VLAN id")]
#[case::beyond(&[(ID, 4096)], Errno::ERANGE, "VLAN id")]
#[case::unknown_protocol(&[(ID, 7), (PROTOCOL, 0x9100)], Errno::EPROTONOSUPPORT, "VLAN protocol")]
#[case::unknown_flag(&[(ID, 7), (FLAGS, flags(32, 32))], Errno::EINVAL, "VLAN flags")]
#[case::unknown_flag_meant(&[(ID, 7), (FLAGS, flags(32, 0))], Errno::EINVAL, "")]
#[case::cut_map_in(&[(ID, 7), (INGRESS_MAP, CUT)], Errno::ERANGE, "ingress")]
#[case::cut_map_out(&[(ID, 7), (EGRESS_MAP, CUT)], Errno::ERANGE, "egress")]
#[case::group(&[(ID, 7), (link::ADDRESS, 0x0100_5e00_0001)], Errno::EADDRNOTAVAIL, "link address")]
#[case::mtu_above(&[(ID, 7), (link::MTU, 1501)], Errno::EINVAL, "")]
#[case::the_same_again(&[(ID, 5)], Errno::EEXIST, "already exists")]
#[case::no_such_link(&[(ID, 7), (link::BELOW, 9999)], Errno::ENODEV, "")]
#[case::on_the_loopback(&[(ID, 7), (link::BELOW, 1)], Errno::EOPNOTSUPP, "not supported")]
fn nonsense_is_refused(
    #[case] told: &[(LinkOption, u64)],
    #[case] errno: Errno,
    #[case] words: &str,
) {
    check(&NONSENSE, async |case| {
        let lab = case.lab(&cable()).await?;
        let elsewhere = told.iter().any(|(option, _)| *option == link::BELOW);
        let below = (!elsewhere).then_some("eth0");
        let born = lab.newborn("vlan", "a", below, told).await;
        lab.expect_refusal_for("such a VLAN", born, (errno, words))?;
        let born = lab.newborn("vlan", "a", None, &[(ID, 7)]).await;
        lab.expect_refusal("a VLAN of nothing", born, Errno::EINVAL)?;
        let born = lab.newborn("vlan", "a", Some("eth0"), &[(ID, 7), (link::MTU, 1500)]).await;
        lab.expect_done("a good VLAN", born)
    });
}

const LOOSE: Rule = Rule {
    id: "vlan.flags.loose-binding-stays-up",
    promise: "a VLAN's link with loose binding stays up when the link below goes down and may come \
              up over one that is down, and it stays down when that comes up; another may not",
    source: Source {
        cite: "vlan_dev_open and vlan_device_event, net/8021q; ip-link(8), loose_binding",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn loose_binding_stays_up() {
    check(&LOOSE, async |case| {
        let mut lab = case.lab(&cable().vlan("a:v6", "a:eth0", 6)).await?;
        lab.set_up("a:eth0", false).await?;
        lab.expect_up("a:v5", false).await?;
        let refused = lab.set_up("a:v5", true).await;
        lab.expect_refusal("to come up over one that is down", refused, Errno::ENETDOWN)?;
        lab.set_option("a:v5", FLAGS, flags(LOOSE_BINDING, LOOSE_BINDING)).await?;
        let done = lab.set_up("a:v5", true).await;
        lab.expect_done("with loose binding", done)?;
        for up in [true, false] {
            lab.set_up("a:eth0", up).await?;
            // The other VLAN is told after this one.
            lab.expect_up("a:v6", up).await?;
            let seen = lab.link("a:v5").await?.up;
            lab.claim(&format!("it is up with the link below {up}"), seen, seen)?;
        }
        lab.set_up("a:v5", false).await?;
        lab.expect_to_settle("a:eth0", true).await?;
        lab.expect_up("a:v6", true).await?;
        let seen = lab.link("a:v5").await?.up;
        lab.claim("it stays down", !seen, seen)
    });
}

const UP_AGAIN: Rule = Rule {
    id: "vlan.flags.up-with-the-link-below",
    promise: "a VLAN's link that went down with the link below comes up with it, and frames for it \
              arrive",
    source: Source {
        cite: "vlan_device_event, NETDEV_UP, net/8021q/vlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn up_with_the_link_below() {
    check(&UP_AGAIN, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let a = lab.mac("a:eth0");
        lab.set_up("a:eth0", false).await?;
        lab.expect_up("a:v5", false).await?;
        lab.set_up("a:eth0", true).await?;
        lab.expect_up("a:v5", true).await?;
        lab.expect_shot("b", &Shot::to(a).tag(Tag::vlan(5)), "a:v5 host").await?;
        Ok(())
    });
}

const HEADER: Rule = Rule {
    id: "vlan.flags.without-reordering-tags-are-shown",
    promise: "without reordering of headers a VLAN's link hands frames up with their tag in them, \
              and sends with one all the same",
    source: Source {
        cite: "vlan_do_receive, net/8021q/vlan_core.c; ip-link(8), reorder_hdr",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn without_reordering_tags_are_shown() {
    check(&HEADER, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let a = lab.mac("a:eth0");
        let shot = Shot::to(a).tag(Tag::vlan(5)).bytes(104);
        lab.expect_shot("b", &shot, "a:v5 host").await?;
        lab.set_option("a:v5", FLAGS, flags(REORDER_HEADER, 0)).await?;
        lab.expect_shot("b", &shot, "a:v5 host vlan 5 changed (104 bytes)").await?;
        lab.set_option("a:v5", FLAGS, flags(REORDER_HEADER, REORDER_HEADER)).await?;
        lab.expect_shot("b", &shot, "a:v5 host").await?;
        Ok(())
    });
}

const ONCE: Rule = Rule {
    id: "vlan.flags.without-reordering-it-tags-once",
    promise: "what the machine itself sends leaves with one tag whether its VLAN hides tags or not, \
              and whether the other end does",
    source: Source {
        cite: "vlan_dev_hard_header and vlan_dev_hard_start_xmit, net/8021q/vlan_dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn without_reordering_it_tags_once() {
    check(&ONCE, async |case| {
        let mut lab = case.lab(&super::priority::tagging()).await?;
        for (near, far) in [(0, REORDER_HEADER), (0, 0), (REORDER_HEADER, 0)] {
            lab.set_option("a:v5", FLAGS, flags(REORDER_HEADER, near)).await?;
            lab.set_option("b:v5", FLAGS, flags(REORDER_HEADER, far)).await?;
            for (from, to) in [("a", "b"), ("b", "a")] {
                let cell = lab.ping(Family::V4, from, to).await?;
                let claim = format!("{from} reaches {to}");
                lab.claim(&claim, cell.verdict.symbol() == '+', &cell.verdict)?;
            }
        }
        Ok(())
    });
}

const SAYS: Rule = Rule {
    id: "vlan.flags.what-it-says-of-itself",
    promise: "a VLAN's link names its driver, has the speed of the link below, takes no address of \
              a group or none, and has a link while it has carrier",
    source: Source {
        cite: "vlan_ethtool_get_drvinfo, vlan_ethtool_get_link_ksettings and \
               vlan_dev_set_mac_address, net/8021q/vlan_dev.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_it_says_of_itself() {
    check(&SAYS, async |case| {
        let mut lab = case.lab(&cable()).await?;
        let driver = lab.driver("a:v5")?;
        lab.claim("its driver", driver == "802.1Q VLAN Support", driver)?;
        let (own, below) = (lab.speed("a:v5")?, lab.speed("a:eth0")?);
        lab.claim("the speed below", own == below && own.0 > 0, format!("{own:?}"))?;
        for bad in [Mac::BROADCAST, Mac([0; 6]), Mac([1, 0, 0x5e, 0, 0, 1])] {
            let done = lab.set_mac("a:v5", bad).await;
            lab.expect_refusal(&format!("{bad}"), done, Errno::EADDRNOTAVAIL)?;
        }
        for up in [true, false, true] {
            lab.set_up("b:eth0", up).await?;
            let seen = lab.detects("a:v5")?;
            lab.claim(&format!("far end up {up}: it has a link"), seen == up, seen)?;
        }
        Ok(())
    });
}

const REGISTRATION: Rule = Rule {
    id: "vlan.flags.listens-for-registrations",
    promise: "a link takes the frames by which VLANs are registered (GVRP and MVRP) from its first \
              VLAN on until its last is gone",
    source: Source {
        cite: "IEEE 802.1Q, table 10-1; register_vlan_dev, vlan_gvrp_init_applicant and \
               vlan_mvrp_init_applicant, net/8021q",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

/// The group address of GVRP, and of MVRP.
const REGISTRARS: Mac = Mac([0x01, 0x80, 0xc2, 0x00, 0x00, 0x21]);

#[test]
fn listens_for_registrations() {
    check(&REGISTRATION, async |case| {
        let lan = Topology::new("no-vlan").host("a").host("b").cable("a:eth0", "b:eth0");
        let mut lab = case.lab(&without_ipv6(lan)).await?;
        for _ in 0..2 {
            expect_listening(&lab, "no VLAN", false).await?;
            lab.grow(|lan| lan.vlan("a:v5", "a:eth0", 5)).await?;
            expect_listening(&lab, "one", true).await?;
            lab.grow(|lan| lan.vlan("a:v6", "a:eth0", 6)).await?;
            lab.delete_last().await?;
            expect_listening(&lab, "one again", true).await?;
            lab.delete_last().await?;
        }
        expect_listening(&lab, "none again", false).await
    });
}

async fn expect_listening(lab: &CaseLab, when: &str, listens: bool) -> Result<(), Stop> {
    let seen = lab.filters("a:eth0").await?.contains(&REGISTRARS);
    lab.claim(&format!("{when}: it listens: {listens}"), seen == listens, seen)
}

const SUMS: Rule = Rule {
    id: "vlan.flags.broken-sums-are-thrown-away",
    promise: "a datagram with a broken check sum is thrown away and counted where its VLAN ends, \
              and one with a sound sum is not",
    source: Source { cite: "vlan_do_receive, net/8021q/vlan_core.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::v4(Family::V4)]
#[case::v6(Family::V6)]
fn broken_sums_are_thrown_away(#[case] family: Family) {
    check(&SUMS, async |case| {
        let mut lan = Topology::new("both-ends").host("a").host("b").cable("a:eth0", "b:eth0");
        for (host, last) in [("a", 1), ("b", 2)] {
            let link = format!("{host}:v5");
            lan = lan
                .vlan(&link, format!("{host}:eth0").as_str(), 5)
                .address(&link, &format!("192.0.2.{last}/24"))
                .address(&link, &format!("2001:db8::{last}/64"));
        }
        let lab = case.lab(&lan).await?;
        crate::counted::expect_sums(&lab, family, "a", "b")?;
        crate::counted::expect_sums(&lab, family, "b", "a")
    });
}
