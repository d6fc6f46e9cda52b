//! What the kernel holds after a call: read back by ourselves and, where it is installed, by the
//! `nft` command, which shares no code with us.

use std::{
    env,
    os::unix::process::CommandExt,
    process::{Command, Output},
};

use hairpin_harness::nft::{self, Place};
use hairpin_model::{
    Firewall, Policy,
    firewall::{Action, Hook, Match, Protocol},
};
use ipnet::IpNet;
use nix::errno::Errno;

use crate::lab::Ns;

fn net(text: &str) -> IpNet {
    text.parse().expect("a prefix")
}

/// One of everything that a firewall can say.
fn everything() -> Firewall {
    let tcp = |port| Match::any().port(Protocol::Tcp, port);
    Firewall::new()
        .forward(Policy::Drop)
        .rule(Hook::Forward, Match::any().established(), Action::Accept)
        .rule(Hook::Input, tcp(22).from(net("192.0.2.0/25")), Action::Accept)
        .rule(Hook::Forward, Match::any().from_link("br0").to_link("eth0"), Action::Accept)
        .rule(Hook::Forward, Match::any().to(net("2001:db8::7/128")).established(), Action::Drop)
        .rule(Hook::Forward, tcp(25).from(net("2001:db8::/61")), Action::Reject)
        .rule(Hook::Forward, Match::any().to(net("0.0.0.0/0")), Action::Drop)
        .rule(Hook::Output, Match::any().from(net("10.1.2.3/8")), Action::Reject)
        .masquerade(Match::any().from(net("172.17.0.0/16")).to_link("eth0"))
        .masquerade(Match::any().to_link("wan-fifteen-byt"))
        .dnat(tcp(8080), ([172, 17, 0, 2], 80).into())
        .dnat(
            Match::any().port(Protocol::Udp, 53).from_link("eth0"),
            "[2001:db8::2]:5353".parse().expect("an address and port"),
        )
}

/// Runs `nft` in the namespace that the thread is in; `None` where it is not installed.
fn nft_command(arguments: &str) -> Option<Output> {
    match Command::new("nft").args(arguments.split(' ')).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("`nft {arguments}` did not start: {error}"),
    }
}

/// What `nft` prints; `None` where it is not installed.
fn nft_says(arguments: &str) -> Option<String> {
    let output = nft_command(arguments)?;
    let text = |bytes| String::from_utf8(bytes).expect("nft prints text");
    assert!(output.status.success(), "`nft {arguments}`: {}", text(output.stderr));
    Some(text(output.stdout))
}

fn places() -> Vec<String> {
    let counters = nft::counters().expect("the counters can be read");
    counters.iter().map(|counter| counter.place.to_string()).collect()
}

#[test]
fn the_kernel_holds_what_the_firewall_says() {
    Ns::new().enter(|| {
        nft::apply(&everything()).expect("the firewall can be set");
        insta::assert_snapshot!(places().join("\n"), @r"
        rule 1
        policy input
        rule 0
        rule 2
        rule 3
        rule 4
        rule 5
        policy forward
        rule 6
        policy output
        dnat 0
        dnat 1
        masquerade 0
        masquerade 1
        ");
        if let Some(listing) = nft_says("list ruleset") {
            insta::assert_snapshot!("ruleset", listing);
        }
    });
}

#[test]
fn another_firewall_takes_the_place_of_the_first() {
    Ns::new().enter(|| {
        nft::apply(&everything()).expect("the firewall can be set");
        nft::apply(&Firewall::new()).expect("another can be set");
        assert_eq!(places(), ["policy input", "policy forward", "policy output"]);
        if let Some(listing) = nft_says("list ruleset") {
            insta::assert_snapshot!("empty_firewall", listing);
        }
    });
}

#[test]
fn clearing_takes_all_away_and_may_be_done_twice() {
    Ns::new().enter(|| {
        nft::clear().expect("nothing can be cleared");
        nft::apply(&everything()).expect("the firewall can be set");
        nft::clear().expect("the firewall can be cleared");
        nft::clear().expect("nothing can be cleared again");
        assert_eq!(places(), [""; 0]);
        if let Some(listing) = nft_says("list ruleset") {
            assert_eq!(listing, "");
        }
    });
}

#[test]
fn the_tables_of_others_are_neither_changed_nor_counted() {
    Ns::new().enter(|| {
        let Some(_) = nft_says("add table inet other") else {
            return eprintln!("not tested: `nft` is not installed");
        };
        nft_says("add chain inet other mine");
        nft_says("add rule inet other mine counter comment \"rule 0\"");
        let before = nft_says("list ruleset");
        nft::apply(&everything()).expect("the firewall can be set");
        let ours = places();
        nft_says("insert rule inet hairpin forward counter accept comment \"mine\"");
        assert_eq!(places(), ours);
        nft::clear().expect("the firewall can be cleared");
        assert_eq!(nft_says("list ruleset"), before);
    });
}

#[test]
fn to_ask_what_is_supported_changes_nothing() {
    Ns::new().enter(|| {
        assert_eq!(nft::missing(), Ok(vec![]));
        assert_eq!(nft::supported(), Ok(true));
        assert_eq!(places(), [""; 0]);
        assert_eq!(nft_says("list ruleset").unwrap_or_default(), "");
        nft::apply(&everything()).expect("the firewall can be set");
        let before = (places(), nft_says("list ruleset"));
        assert_eq!(nft::supported(), Ok(true));
        assert_eq!((places(), nft_says("list ruleset")), before);
    });
}

#[test]
fn hundreds_of_rules_are_set_and_read_back() {
    Ns::new().enter(|| {
        nft::apply(&long(400)).expect("the firewall can be set");
        let rules = (0..400).map(Place::Rule).chain([Place::Policy(Hook::Forward)]);
        let expected: Vec<String> = rules.map(|place| place.to_string()).collect();
        let input = ["policy input".to_owned()];
        let output = ["policy output".to_owned()];
        assert_eq!(places(), [&input[..], &expected, &output].concat());
    });
}

#[test]
fn a_refused_firewall_leaves_the_one_before_it() {
    Ns::new().enter(|| {
        nft::apply(&everything()).expect("the firewall can be set");
        let before = places();
        let error = nft::apply(&long(20_000)).expect_err("it is too long for one message");
        assert_eq!(error.errno(), Some(Errno::EMSGSIZE));
        let help = hairpin_model::Error::from(error).help;
        assert!(help.starts_with("give the firewall fewer rules"), "{help}");
        assert_eq!(places(), before);
    });
}

fn long(length: u16) -> Firewall {
    (0..length).fold(Firewall::new(), |firewall, port| {
        let matches = Match::any().port(Protocol::Udp, port).from(net("192.0.2.0/25"));
        firewall.rule(Hook::Forward, matches, Action::Drop)
    })
}

/// Runs itself again, as a user who may nothing.
#[test]
fn who_may_not_is_told_so() {
    const AGAIN: &str = "NFT_TEST_AS_NOBODY";
    const NOBODY: u32 = 65534;
    if env::var_os(AGAIN).is_some() {
        let refusals = [nft::apply(&everything()), nft::clear(), nft::counters().map(drop)];
        for error in refusals.into_iter().chain([nft::supported().map(drop)]) {
            assert_eq!(error.expect_err("it is forbidden").errno(), Some(Errno::EPERM));
        }
        return;
    }
    let output = Ns::new().enter(|| {
        // The link needs no right to the folders that the program lies in.
        let mut again = Command::new("/proc/self/exe");
        again.args(["--exact", "listing::who_may_not_is_told_so"]).env(AGAIN, "1");
        again.uid(NOBODY).gid(NOBODY).output().expect("the test can be run again")
    });
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
