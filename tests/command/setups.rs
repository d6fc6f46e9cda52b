//! `hairpin setup` and what the doctor says of guests, on machines that are made up: a folder is their PATH.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::{hairpin, ran};

/// A machine with these programs and no others, and an empty home.
fn on_machine(folder: &Path, programs: &[(&str, &str)], args: &[&str]) -> Command {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).unwrap();
    for (name, text) in programs {
        program(&bin.join(name), text);
    }
    let mut command = hairpin(args);
    command.env("PATH", bin).env("HOME", folder).current_dir(folder);
    command
}

fn program(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

const QEMU: (&str, &str) = ("qemu-system-x86_64", "echo QEMU emulator version 9.9");

#[test]
fn a_dry_run_names_what_is_missing_and_brings_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let apt = ("apt-get", "touch called");
    let args = ["setup", "--dry-run", "--kernels", "oldest,newest"];
    let (output, stdout, _) = ran(on_machine(folder.path(), &[apt], &args));
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(stdout.contains("miss  QEMU  `qemu-system-x86_64` is not there"), "{stdout}");
    assert!(stdout.contains("help:  as root: apt-get install"), "{stdout}");
    assert!(stdout.contains("miss  5.10  not here yet"), "{stdout}");
    assert!(stdout.contains("\n0 of 2 kernels in "), "{stdout}");
    assert!(!folder.path().join("called").exists());
}

#[test]
fn qemu_is_installed_by_root_and_named_to_others() {
    let folder = tempfile::tempdir().unwrap();
    // It brings what it is asked for, as far as this test can tell.
    let install =
        "echo \"$@\" >>called; case \"$1\" in install) /bin/cp fake bin/qemu-system-x86_64;; esac";
    program(&folder.path().join("fake"), QEMU.1);
    let args = ["setup", "--kernels", "7.3"];
    let (output, stdout, _) = ran(on_machine(folder.path(), &[("apt-get", install)], &args));
    if nix::unistd::geteuid().is_root() {
        assert!(stdout.contains("ok    QEMU  QEMU emulator version 9.9"), "{stdout}");
        let called = fs::read_to_string(folder.path().join("called")).unwrap();
        assert!(called.starts_with("update -q\ninstall -yq"), "{called}");
        assert!(called.contains(" qemu-system-x86"), "{called}");
    } else {
        assert!(stdout.contains("help:  as root: apt-get install"), "{stdout}");
    }
    // There is no mirror on this machine, so nothing can be run: the exit code says so.
    assert!(stdout.contains("miss  7.3"), "{stdout}");
    assert_eq!(output.status.code(), Some(2), "{stdout}");
}

#[test]
fn other_distributions_have_other_commands() {
    for (manager, line) in [("dnf", "dnf install -y qemu-system-x86-core"), ("pacman", "pacman -S")]
    {
        let folder = tempfile::tempdir().unwrap();
        let args = ["setup", "--dry-run", "--kernels", "7.3"];
        let (_, stdout, _) = ran(on_machine(folder.path(), &[(manager, "exit 1")], &args));
        assert!(stdout.contains(&format!("help:  as root: {line}")), "{stdout}");
    }
}

#[test]
fn an_unknown_series_is_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let (output, stdout, stderr) =
        ran(on_machine(folder.path(), &[], &["setup", "--kernels", "7.3,4.4"]));
    assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("there is no kernel series `4.4`"), "{stderr}");
}

#[test]
fn a_wrong_word_of_the_users_is_no_missing_package() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = on_machine(folder.path(), &[QEMU], &["setup", "--kernels", "7.3"]);
    command.env("HAIRPIN_QEMU", "/nowhere/qemu");
    let (output, stdout, _) = ran(command);
    assert_eq!(output.status.code(), Some(2), "{stdout}");
    assert!(stdout.contains("correct HAIRPIN_QEMU, or unset it"), "{stdout}");
}

#[test]
fn an_installed_doctor_asks_for_no_cargo() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (command, suite) = (folder.path().join("hairpin"), folder.path().join("hairpin-suite"));
    fs::hard_link(env!("CARGO_BIN_EXE_hairpin"), &command).unwrap();
    fs::hard_link(crate::fake_suite(), suite).unwrap();
    let mut doctor = Command::new(command);
    doctor.arg("doctor").env_clear().current_dir("/");
    let (_, stdout, _) = ran(doctor);
    assert!(stdout.contains("ok    suite") && !stdout.contains("cargo"), "{stdout}");
}

#[test]
fn the_doctor_says_when_only_this_kernel_can_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (_, stdout, _) = ran(on_machine(folder.path(), &[], &["doctor"]));
    assert!(stdout.contains("miss  QEMU"), "{stdout}");
    assert!(stdout.ends_with("other kernels need `hairpin setup`\n"), "{stdout}");

    let (_, stdout, _) = ran(on_machine(folder.path(), &[QEMU], &["doctor"]));
    assert!(stdout.contains("QEMU emulator version 9.9"), "{stdout}");
    assert!(stdout.contains("accelerator") && stdout.contains("none is kept"), "{stdout}");
}
