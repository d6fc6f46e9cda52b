//! The captures of failing cases as Wireshark's own reader has them.
//!
//! Needs tshark; see the feature `tshark-tests`. The fake suite program tells the frames, so nothing
//! here needs a privilege; that real labs tell theirs is tested beside the harness.

use std::path::{Path, PathBuf};
use std::process::Command;

const CASE: &str = "macvlan.private.siblings-may-not-talk";

/// Runs cases of the fake suite program, those with frames among them.
fn captures(folder: &Path, filters: &[&str]) -> Vec<String> {
    let command = env!("CARGO_BIN_EXE_hairpin");
    let suite = Path::new(command).with_file_name("examples/fake_suite");
    let mut check = Command::new(command);
    check.args(["check", "-q"]).args(filters).arg("--suite").arg(suite);
    check.arg("--captures").arg(folder).env("FAKE_DIR", folder);
    let ended = check.output().expect("the command can be started");
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let names = files.map(|file| file.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".pcapng")).collect();
    names.sort();
    names
}

/// What tshark says of a file, in lines.
fn tshark(file: &Path, args: &[&str]) -> Vec<String> {
    let mut command = Command::new("tshark");
    let ended = command.arg("-n").arg("-r").arg(file).args(args).output();
    let ended = ended.expect("tshark can be started: install it, or leave out `tshark-tests`");
    let complaints = String::from_utf8_lossy(&ended.stderr).into_owned();
    let line = complaints.lines().find(|line| !line.starts_with("Running as user"));
    assert_eq!((ended.status.code(), line), (Some(0), None), "{complaints}");
    String::from_utf8_lossy(&ended.stdout).lines().map(str::to_owned).collect()
}

fn capture() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let names = captures(folder.path(), &["macvlan"]);
    assert_eq!(names, [format!("{CASE}.pcapng")], "of the failing case, and of no other");
    let file = folder.path().join(&names[0]);
    (folder, file)
}

#[test]
fn each_frame_has_its_link_direction_time_and_probe() {
    let (_folder, file) = capture();
    let fields = [
        "frame.interface_name",
        "frame.packet_flags_direction",
        "frame.time_delta",
        "frame.comment",
        "vlan.id",
        "arp.dst.proto_ipv4",
    ];
    let mut args = vec!["-T", "fields", "-E", "separator=;"];
    args.extend(fields.iter().flat_map(|field| ["-e", field]));
    let expected = [
        "c1:c0;0x00000002;0.000000000;arp request about 192.0.2.2;;192.0.2.2",
        "p:p0;0x00000002;0.000002499;arp request about 192.0.2.2;;192.0.2.2",
        "sw:s0;0x00000001;0.000000500;arp request about 192.0.2.2;10;192.0.2.2",
    ];
    assert_eq!(tshark(&file, &args), expected);
}

#[test]
fn every_link_of_the_lab_has_an_interface_even_if_nothing_passed_it() {
    let (_folder, file) = capture();
    let mut capinfos = Command::new("capinfos");
    let told = capinfos.arg(&file).output().expect("capinfos comes with tshark");
    let told = String::from_utf8_lossy(&told.stdout);
    for link in ["c1:c0", "c2:c0", "p:p0", "sw:s0", "sw:s1", "e:e0"] {
        assert!(told.contains(&format!("Name = {link}\n")), "no {link} in:\n{told}");
    }
    assert!(
        told.contains("nanoseconds (9)") && told.contains(&format!("{CASE}: fail: ")),
        "{told}"
    );
}

#[test]
fn a_case_that_died_leaves_a_file_that_says_so() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    assert_eq!(captures(folder.path(), &["faults.told.crash"]), ["faults.told.crash.pcapng"]);
    let file = folder.path().join("faults.told.crash.pcapng");
    assert!(tshark(&file, &[]).is_empty());
    let bytes = std::fs::read(&file).expect("the file is there");
    assert!(String::from_utf8_lossy(&bytes).contains("; the case told no frames"));
}
