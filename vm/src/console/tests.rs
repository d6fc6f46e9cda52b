//! Whole consoles through the scanner.
//!
//! `panic-*` and `oom-*` were written by those kernels in guests of ours. The others follow the form in which
//! those kernels print, for nothing in a stock kernel can be made to provoke them.

use super::{Console, Evidence, Kind};

fn heard(text: &str) -> Console {
    let mut console = Console::default();
    // As a socket may cut it.
    text.as_bytes().chunks(13).for_each(|piece| console.feed(piece));
    console.finish();
    console
}

fn only(text: &str) -> Evidence {
    let console = heard(text);
    let [evidence] = console.evidence() else { panic!("{:?}", console.evidence()) };
    evidence.clone()
}

#[test]
fn nothing_is_no_evidence() {
    assert_eq!(heard("").evidence(), []);
    assert_eq!(heard("[    0.1] br0: port 1(v0) entered blocking state\n").evidence(), []);
}

#[test]
fn one_panic_has_one_fingerprint_on_kernels_of_five_years() {
    let old = only(include_str!("samples/panic-5.10.txt"));
    let new = only(include_str!("samples/panic-7.3.txt"));
    assert_eq!((old.kind, old.ended_machine), (Kind::Panic, true));
    assert_eq!(
        old.signature(),
        "panic: Kernel panic - not syncing: sysrq triggered crash | sysrq_handle_crash \
         < __handle_sysrq < write_sysrq_trigger < proc_reg_write < vfs_write"
    );
    assert_eq!(old.fingerprint(), new.fingerprint());
}

#[test]
fn an_oops_that_ends_the_machine_is_one_complaint() {
    let oops = only(include_str!("samples/oops-6.1.txt"));
    assert_eq!((oops.kind, oops.ended_machine), (Kind::Oops, true));
    assert_eq!(
        oops.frames,
        [
            "macvlan_stop",
            "__dev_close_many",
            "dev_close_many",
            "unregister_netdevice_many",
            "rtnl_dellink"
        ]
    );
    assert!(oops.text.contains("CR2") && oops.text.contains("Fatal exception"), "{}", oops.text);
}

#[test]
fn a_hung_task_names_where_it_hangs() {
    let hung = only(include_str!("samples/hung-task-6.1.txt"));
    assert_eq!((hung.kind, hung.ended_machine), (Kind::HungTask, true));
    assert!(hung.frames.contains(&"rtnetlink_rcv_msg".to_owned()), "{hung:?}");
}

#[test]
fn a_warning_and_a_leak_are_two_and_a_repeated_leak_is_one() {
    let console = heard(include_str!("samples/warning-7.3.txt"));
    let kinds: Vec<Kind> = console.evidence().iter().map(|evidence| evidence.kind).collect();
    assert_eq!(kinds, [Kind::Warning, Kind::Leak]);
    assert_eq!(
        console.evidence()[0].signature(),
        "warning: WARNING at net/core/dev.c dev_set_promiscuity | dev_set_promiscuity \
         < macvlan_stop < __dev_close_many"
    );
    assert_eq!(console.evidence_dropped(), 1);
}

#[test]
fn a_sanitizers_report_begins_where_memory_was_misused() {
    let report = only(include_str!("samples/kasan-6.12.txt"));
    assert_eq!(report.kind, Kind::Memory);
    assert_eq!(report.frames, ["br_multicast_port_group_expired", "call_timer_fn"]);
}

#[test]
fn a_program_killed_for_memory_is_told() {
    assert_eq!(only(include_str!("samples/oom-6.1.txt")).kind, Kind::OutOfMemory);
}

#[test]
fn a_complaint_that_is_cut_short_still_counts() {
    let text = include_str!("samples/oops-6.1.txt");
    let cut = &text[..text.find("Call Trace").unwrap()];
    assert_eq!(only(cut).frames, ["macvlan_stop"]);
}

#[test]
fn what_was_provoked_is_kept_and_is_no_evidence() {
    let mut console = Console::default();
    console.feed(b"[    1.0] WARNING: CPU: 0 PID: 1 at net/x.c:1 f+0x1/0x2\n");
    console.begin_post_mortem();
    console.feed(include_bytes!("samples/panic-7.3.txt"));
    console.finish();
    assert_eq!(console.evidence().len(), 1);
    assert!(console.text().contains("sysrq_handle_crash"));
}

#[test]
fn a_flood_of_complaints_is_bounded() {
    let mut console = Console::default();
    for at in 0..5000 {
        let line = format!(
            "[    1.0] WARNING: CPU: 0 PID: 1 at net/x{}.c:1 f+0x1/0x2\n",
            "y".repeat(at % 40)
        );
        console.feed(line.as_bytes());
        console.feed(&[b'z'; 1000]);
        console.feed(b"\n");
    }
    console.finish();
    assert_eq!(console.evidence().len(), 16);
    assert!(console.evidence().iter().all(|evidence| evidence.text.len() < 25_000));
    assert!(console.text().len() < 330_000);
}
