//! `hairpin run`: a program in a guest ends as it would here, and the kernel is heard.

use std::fs;

use crate::{Ended, SERIES, hairpin, ran};

fn shell(series: &str, script: &str) -> Ended {
    ran(hairpin(&["run", "--kernel", series, "--deadline", "60", "--", "sh", "-c", script]))
}

#[test]
fn output_and_exit_code_are_the_programs() {
    for series in SERIES {
        let ended =
            shell(series, "read release </proc/sys/kernel/osrelease; echo $release; exit 7");
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(7), ""), "{ended:?}");
        assert!(ended.stdout.starts_with(series), "{ended:?}");
    }
}

#[test]
fn a_signal_is_a_code_as_in_a_shell() {
    let ended = shell("6.12", "echo last words >&2; kill -9 $$");
    assert_eq!(ended.code, Some(137), "{ended:?}");
    assert_eq!(ended.stderr, "last words\nhairpin: signal 9 killed the program\n");
}

#[test]
fn a_kernel_that_complains_fails_a_program_that_is_content() {
    let complaint = "<4>WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 dev_open+0x1/0x2";
    let ended = shell("6.12", &format!("echo '{complaint}' >/dev/kmsg; echo fine"));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "fine\n"), "{ended:?}");
    assert!(ended.stderr.contains("the kernel complained: WARNING: CPU: 0 PID: 1"), "{ended:?}");
}

#[test]
fn a_kernel_that_panics_is_named_and_its_console_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let console = folder.path().join("console");
    let mut command = hairpin(&["run", "--kernel", "6.12", "--console"]);
    command.arg(&console).args(["--", "sh", "-c", "echo c >/proc/sysrq-trigger"]);
    let ended = ran(command);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("sysrq triggered crash"), "{ended:?}");
    assert!(ended.stderr.lines().count() < 60, "{ended:?}");
    assert!(fs::read_to_string(console).unwrap().contains("sysrq_handle_crash"));
}

#[test]
fn a_program_that_never_ends_is_ended() {
    let args =
        ["run", "--kernel", "6.12", "--deadline", "1", "--", "sh", "-c", "while :; do :; done"];
    let ended = ran(hairpin(&args));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("had not ended within 1 s"), "{ended:?}");
}

#[test]
fn variables_and_files_go_along_when_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::write(&data, "from here\n").unwrap();
    let data = data.to_str().unwrap();
    let script = format!("echo $GREETING $RUST_LOG $SECRET; read line <{data}; echo $line");
    let args =
        ["run", "--kernel", "6.12", "--env", "GREETING=hello", "--file", data, "--", "sh", "-c"];
    let mut command = hairpin(&args);
    command.arg(script).env("RUST_LOG", "debug").env("SECRET", "stays");
    let ended = ran(command);
    assert_eq!(ended.stdout, "hello debug\nfrom here\n", "{ended:?}");
}

#[test]
fn what_is_no_program_is_told_before_anything_boots() {
    let ended = ran(hairpin(&["run", "--kernel", "6.12", "--", "/etc/passwd"]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("this is no program for a guest"), "{ended:?}");
}
