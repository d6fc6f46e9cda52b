//! VLANs by the calls that were there before netlink, and what the files in `/proc/net/vlan` tell.
//!
//! ```text
//!   a:v5 (VLAN 5)     b:v5
//!   a:eth0 ---------- b:eth0
//! ```

use hairpin_harness::options::link;
use hairpin_harness::options::vlan::{FLAGS, ID, PROTOCOL, REORDER_HEADER};
use hairpin_harness::{
    CaseLab, Errno, Mac, Rule, Shot, Source, Stop, Strength, Vconfig, Way, check,
};
use rstest::rstest;

use super::NEEDS;
use super::priority::tagging;

pub(crate) const RULES: &[Rule] = &[NAMED, BORN, UNTAKEN, RIGHTS, SET, CONFIG, MANY, FILE, RENAMED];

const NAMED: Rule = Rule {
    id: "vlan.older.named-as-was-said",
    promise: "a VLAN that is made by the older call is named by its id, with zeros or without, \
              behind the name of the link below or not, as was said for the namespace; it is taken \
              away by name",
    source: Source {
        cite: "vconfig(8), set_name_type; register_vlan_device, net/8021q/vlan.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[rstest]
#[case::padded(0, "vlan0007", "VLAN_NAME_TYPE_PLUS_VID")]
#[case::link_padded(1, "eth0.0007", "VLAN_NAME_TYPE_RAW_PLUS_VID")]
#[case::plain(2, "vlan7", "VLAN_NAME_TYPE_PLUS_VID_NO_PAD")]
#[case::link_plain(3, "eth0.7", "VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD")]
fn named_as_was_said(#[case] kind: u32, #[case] name: &str, #[case] told: &str) {
    check(&NAMED, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        lab.vconfig("a:eth0", Vconfig::NameType, kind, 0)?;
        let line = format!("Name-Type: {told}");
        let lines = lab.vlan_file("a", "config")?;
        lab.claim(&line, lines.contains(&line), format!("{lines:?}"))?;
        // Another namespace keeps its own.
        let others = lab.vlan_file("b", "config")?;
        let line = "Name-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD".to_owned();
        lab.claim("the other's is as ever", others.contains(&line), format!("{others:?}"))?;
        lab.vconfig("a:eth0", Vconfig::Add, 7, 0)?;
        let links = lab.sights("a")?.links;
        lab.claim(name, links.contains(name), format!("{links:?}"))?;
        let link = format!("a:{name}");
        lab.expect_lines("the link below", [lab.vconfig_parent(&*link)?], &["eth0"])?;
        lab.expect_lines("its id", [lab.vconfig_id(&*link)?], &["7"])?;
        lab.vconfig(&*link, Vconfig::Delete, 0, 0)?;
        let links = lab.sights("a")?.links;
        lab.claim("gone", !links.contains(name), format!("{links:?}"))
    });
}

const BORN: Rule = Rule {
    id: "vlan.older.born-as-any-other",
    promise: "a VLAN's link that is made by the older call is told as any other: of its driver, id and \
              protocol, with the MTU of the link below, hiding its tags",
    source: Source { cite: "register_vlan_device, net/8021q/vlan.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn born_as_any_other() {
    check(&BORN, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        lab.set_mtu("a:eth0", 1400).await?;
        lab.vconfig("a:eth0", Vconfig::Add, 7, 0)?;
        let born = lab.not_ours("a:eth0.7")?;
        let driver = born.driver();
        lab.claim(
            "it is told as a VLAN",
            driver.as_deref() == Some("vlan"),
            format!("{driver:?}"),
        )?;
        for (option, wanted) in [(ID, 7), (PROTOCOL, 0x8100), (link::MTU, 1400)] {
            let seen = born.option(option);
            lab.claim(&format!("{option} {wanted}"), seen == Some(wanted), format!("{seen:?}"))?;
        }
        for link in ["v5", "eth0.7"] {
            lab.expect_done(&format!("to read {link}'s file"), lab.vlan_file("a", link))?;
            let lines = lab.vlan_file("a", link)?;
            let reorders = lines.iter().any(|line| line.contains("REORDER_HDR: 1"));
            lab.claim(&format!("{link} reorders"), reorders, format!("{lines:?}"))?;
        }
        Ok(())
    });
}

const UNTAKEN: Rule = Rule {
    id: "vlan.older.what-is-refused",
    promise: "the older calls make no VLAN of an id that is none or is taken, nor of a link that \
              there is not; they ask and change nothing of a link that is no VLAN's, and what no \
              kernel has learnt to do is told to be so",
    source: Source {
        cite: "vlan_ioctl_handler and register_vlan_device, net/8021q/vlan.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn what_is_refused() {
    check(&UNTAKEN, async |case| {
        use Vconfig::{Add, AskEgress, AskIngress, Delete, Egress, Flag, Ingress, NameType};
        let mut lab = case.lab(&tagging()).await?;
        for (link, command, number, errno) in [
            ("a:eth0", Add, 4095, Errno::ERANGE),
            ("a:eth0", Add, 5, Errno::EEXIST),
            ("a:none", Add, 6, Errno::ENODEV),
            ("a:lo", Add, 6, Errno::EOPNOTSUPP),
            ("a:eth0", Delete, 0, Errno::EINVAL),
            ("a:none", Delete, 0, Errno::ENODEV),
            ("a:eth0", Ingress, 1, Errno::EINVAL),
            ("a:eth0", Egress, 1, Errno::EINVAL),
            ("a:eth0", Flag, REORDER_HEADER, Errno::EINVAL),
            ("a:v5", Flag, 0x100, Errno::EINVAL),
            ("a:eth0", NameType, 4, Errno::EINVAL),
            ("a:v5", AskIngress, 1, Errno::EOPNOTSUPP),
            ("a:v5", AskEgress, 1, Errno::EOPNOTSUPP),
        ] {
            let done = lab.vconfig(link, command, number, 1);
            lab.expect_refusal(&format!("{link} {command:?} {number}"), done, errno)?;
        }
        lab.expect_refusal("eth0's id", lab.vconfig_id("a:eth0"), Errno::EINVAL)?;
        lab.expect_refusal("what is below it", lab.vconfig_parent("a:eth0"), Errno::EINVAL)?;
        let lines = lab.vlan_file("a", "config")?;
        lab.claim("still one VLAN", lines.len() == 3, format!("{lines:?}"))
    });
}

const RIGHTS: Rule = Rule {
    id: "vlan.older.only-for-who-may-administer",
    promise: "the older calls do nothing for whoever may not administer networks, but tell the id \
              and the link below to all",
    source: Source {
        cite: "vlan_ioctl_handler, ns_capable, net/8021q/vlan.c; capabilities(7), CAP_NET_ADMIN",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn only_for_who_may_administer() {
    check(&RIGHTS, async |case| {
        use Vconfig::{Add, Delete, Egress, Flag, Ingress, NameType};
        let mut lab = case.lab(&tagging()).await?;
        for (link, command, number) in [
            ("a:eth0", Add, 9),
            ("a:v5", Ingress, 3),
            ("a:v5", Egress, 3),
            ("a:v5", Flag, REORDER_HEADER),
            ("a:eth0", NameType, 2),
            ("a:v5", Delete, 0),
        ] {
            let id = lab.without_rights(|lab| lab.vconfig_id("a:v5"))??;
            lab.claim("the id is told", id == 5, id)?;
            let below = lab.without_rights(|lab| lab.vconfig_parent("a:v5"))??;
            lab.claim("so is the link below", below == "eth0", below)?;
            let what = format!("{link} {command:?} {number}");
            let before = (lab.told("a:v5").await?, lab.vlan_file("a", "config")?);
            let done = lab.without_rights(|lab| lab.vconfig(link, command, number, 0))?;
            lab.expect_refusal(&what, done, Errno::EPERM)?;
            let changes = before.0.changes(&lab.told("a:v5").await?);
            lab.claim("nothing has changed", changes.is_empty(), format!("{changes:?}"))?;
            let listed = lab.vlan_file("a", "config")?;
            lab.claim("nothing else is listed", listed == before.1, format!("{listed:?}"))?;
            let done = lab.vconfig(link, command, number, 0);
            lab.expect_done(&what, done)?;
        }
        Ok(())
    });
}

const SET: Rule = Rule {
    id: "vlan.older.priorities-and-flags",
    promise: "priorities and flags that are set by the older calls are told by netlink; a flag is \
              taken away by the same call, and others stay",
    source: Source {
        cite: "vconfig(8), set_egress_map, set_ingress_map and set_flag; vlan_ioctl_handler",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

async fn expect_flags(lab: &CaseLab, flags: u32) -> Result<(), Stop> {
    let told = lab.option("a:v5", FLAGS).await?.unwrap_or_default();
    // What is above them says which are meant.
    let told = told & 0xffff_ffff;
    lab.claim(&format!("flags {flags:#x}"), told == u64::from(flags), format!("{told:#x}"))
}

#[test]
fn priorities_and_flags() {
    check(&SET, async |case| {
        const LOOSE: u32 = 4;
        let mut lab = case.lab(&tagging()).await?;
        for (command, way, (from, to)) in
            [(Vconfig::Ingress, Way::Ingress, (3, 6)), (Vconfig::Egress, Way::Egress, (6, 3))]
        {
            lab.vconfig("a:v5", command, 6, 3)?;
            let told = lab.priorities("a:v5", way).await?;
            let one = told.len() == 1 && told.get(&from) == Some(&to);
            lab.claim(&format!("{way:?} {from} {to}"), one, format!("{told:?}"))?;
        }
        expect_flags(&lab, REORDER_HEADER).await?;
        for (flag, on, flags) in [
            (LOOSE, 1, REORDER_HEADER | LOOSE),
            (REORDER_HEADER, 0, LOOSE),
            (REORDER_HEADER, 1, REORDER_HEADER | LOOSE),
            (LOOSE, 0, REORDER_HEADER),
        ] {
            lab.vconfig("a:v5", Vconfig::Flag, flag, on)?;
            expect_flags(&lab, flags).await?;
        }
        Ok(())
    });
}

const CONFIG: Rule = Rule {
    id: "vlan.older.files-list-the-vlans-of-a-namespace",
    promise: "a file lists each VLAN's link of its namespace, with its id and the link below; each \
              has a file of its own as long as it is there",
    source: Source {
        cite: "vconfig(8), /proc/net/vlan/config; vlan_seq_show, net/8021q/vlanproc.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn files_list_the_vlans_of_a_namespace() {
    check(&CONFIG, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        const HEAD: [&str; 2] =
            ["VLAN Dev name\t | VLAN ID", "Name-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD"];
        let (five, six) = ("v5             | 5  | eth0", "v6             | 6  | v5");
        let one = [&HEAD[..], &[five]].concat();
        lab.expect_lines("one", lab.vlan_file("a", "config")?, &one)?;
        lab.grow(|lan| lan.vlan("a:v6", "a:v5", 6)).await?;
        let two = [&HEAD[..], &[five, six]].concat();
        lab.expect_lines("two", lab.vlan_file("a", "config")?, &two)?;
        lab.expect_lines("the other's", lab.vlan_file("b", "config")?, &one)?;
        let own = lab.vlan_file("a", "v6")?;
        let head = own.first().is_some_and(|line| line.starts_with("v6  VID: 6\t REORDER_HDR: 1"));
        lab.claim("its own", head, format!("{own:?}"))?;
        lab.delete_last().await?;
        lab.expect_lines("one again", lab.vlan_file("a", "config")?, &one)?;
        lab.expect_refusal("its own", lab.vlan_file("a", "v6"), Errno::ENOENT)
    });
}

const MANY: Rule = Rule {
    id: "vlan.older.a-file-lists-very-many",
    promise: "the file that lists the VLANs' links of a namespace lists each once, in their \
              order, also when they are too many for one reading",
    source: Source { cite: "vlan_seq_start, net/8021q/vlanproc.c", strength: Strength::Code },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_file_lists_very_many() {
    check(&MANY, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        let name = |id: u16| format!("w{id}");
        let more = |lan: hairpin_harness::Topology, id: u16| {
            lan.vlan(format!("a:{}", name(id)).as_str(), "a:eth0", id)
        };
        lab.grow(|lan| (100..300).fold(lan, more)).await?;
        let lines = lab.vlan_file("a", "config")?;
        let listed: Vec<&str> = lines.iter().skip(3).filter_map(|line| line.get(..4)).collect();
        let wanted: Vec<String> = (100..300).map(name).collect();
        lab.claim("200 more, in their order", listed == wanted, format!("{listed:?}"))
    });
}

const FILE: Rule = Rule {
    id: "vlan.older.a-file-tells-of-a-vlan",
    promise: "the file of a VLAN's link tells what it has counted, as netlink does, the link below, \
              and which priorities are turned into which",
    source: Source {
        cite: "vconfig(8), /proc/net/vlan; vlandev_seq_show, net/8021q/vlanproc.c",
        strength: Strength::Documented,
    },
    article: &[],
    needs: NEEDS,
};

/// The number behind such words.
fn counted(lines: &[String], words: &str) -> Option<u64> {
    let line = lines.iter().find_map(|line| line.trim_start().strip_prefix(words))?;
    line.trim().parse().ok()
}

#[test]
fn a_file_tells_of_a_vlan() {
    check(&FILE, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        for _ in 0..3 {
            lab.shoot("b", &Shot::to(Mac([0x01, 0x68, 0x70, 0, 0, 1])).bytes(100)).await?;
        }
        lab.set_priority("a:v5", Way::Ingress, 3, 6).await?;
        lab.set_priority("a:v5", Way::Egress, 2, 5).await?;
        let seen = lab.counters("a:v5").await?;
        let lines = lab.vlan_file("a", "v5")?;
        let all = format!("{seen:?} {lines:?}");
        lab.claim("both ways, and not as many", seen.tx_bytes != seen.rx_bytes, &all)?;
        lab.claim("groups", seen.multicast >= 3 && seen.multicast < seen.rx_bytes, &all)?;
        for (words, number) in [
            ("total frames received", seen.rx_packets),
            ("total bytes received", seen.rx_bytes),
            ("Broadcast/Multicast Rcvd", seen.multicast),
            ("total frames transmitted", seen.tx_packets),
            ("total bytes transmitted", seen.tx_bytes),
        ] {
            let told = counted(&lines, words);
            lab.claim(&format!("{words} {number}"), told == Some(number), &all)?;
        }
        for line in [
            "Device: eth0",
            "INGRESS priority mappings: 0:0  1:0  2:0  3:6  4:0  5:0  6:0 7:0",
            " EGRESS priority mappings: 2:5",
        ] {
            lab.claim(line, lines.iter().any(|told| told == line), &all)?;
        }
        Ok(())
    });
}

const RENAMED: Rule = Rule {
    id: "vlan.older.a-file-goes-with-the-name",
    promise: "a VLAN's link that is given another name has its file by that name and not by the old \
              one; the name of the file that lists them all is refused",
    source: Source {
        cite: "vlan_device_event, NETDEV_CHANGENAME; vlan_proc_add_dev, net/8021q/vlanproc.c",
        strength: Strength::Code,
    },
    article: &[],
    needs: NEEDS,
};

#[test]
fn a_file_goes_with_the_name() {
    check(&RENAMED, async |case| {
        let mut lab = case.lab(&tagging()).await?;
        lab.set_up("a:v5", false).await?;
        let before = lab.vlan_file("a", "v5")?;
        lab.claim("it has a file", before[0].starts_with("v5  VID: 5"), &before[0])?;
        let refused = lab.rename("a:v5", "config");
        lab.expect_refusal("the name `config`", refused, Errno::EINVAL)?;
        lab.rename("a:v5", "other")?;
        let after = lab.vlan_file("a", "other")?;
        lab.claim("by the new name", after[0].starts_with("other  VID: 5"), &after[0])?;
        lab.expect_refusal("by the old one", lab.vlan_file("a", "v5"), Errno::ENOENT)?;
        let listed = lab.vlan_file("a", "config")?;
        let line = "other          | 5  | eth0".to_owned();
        lab.claim("it is listed by it", listed.contains(&line), format!("{listed:?}"))
    });
}
