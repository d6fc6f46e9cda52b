//! `hairpin shell --kernel`: a case's network in a guest, with a shell in a host of it, and nothing left of either.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use rstest::rstest;

use crate::{SERIES, hairpin, ran};

const CASE: &str = "macvlan.vepa.siblings-need-reflection.ping4";
/// A guest on a busy machine takes its time, but no minute for a word.
const PATIENCE: u16 = 60_000;

fn shell(series: &str, words: &[&str]) -> Command {
    let mut command = hairpin(&["shell", CASE, "c2", "--kernel", series]);
    command.args(words).stdin(Stdio::null());
    command
}

/// No tool of this machine is needed for that: the links are read where the kernel tells them.
#[test]
fn a_command_sees_its_host_on_that_kernel_and_its_exit_code_is_the_exit_code() {
    let script = "read release </proc/sys/kernel/osrelease; echo $HAIRPIN_HOST $release; \
                  while read link rest; do echo $link; done </proc/net/dev; echo aside >&2; exit 7";
    for series in SERIES {
        let ended = ran(shell(series, &["--", "sh", "-c", script]));
        assert_eq!(ended.code, Some(7), "{ended:?}");
        let lines: Vec<&str> = ended.stdout.lines().collect();
        assert!(lines[0].starts_with(&format!("c2 {series}")), "{ended:?}");
        assert!(lines.contains(&"c0:") && lines.contains(&"lo:"), "{ended:?}");
        assert!(!lines.contains(&"p0:"), "that is the parent's: {ended:?}");
        assert!(ended.stderr.ends_with("aside\n"), "{ended:?}");
    }
}

#[test]
fn what_is_typed_into_a_pipe_is_obeyed_and_its_end_ends_the_shell() {
    let mut command = shell("6.1", &[]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let much = format!("echo {} | wc -c\necho $HAIRPIN_HOST\n", "x".repeat(3000));
    child.stdin.take().unwrap().write_all(much.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("3001\nc2\n"), "{output:?}");
    assert!(stderr.contains("this is `c2`; to go on to another host:"), "{stderr}");
}

#[test]
fn a_host_that_the_network_does_not_have_is_told_with_those_that_it_has() {
    let ended = ran(hairpin(&["shell", CASE, "nobody", "--kernel", "6.1", "--", "true"]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("name one of these: c1 c2 p e sw"), "{ended:?}");
}

/// A terminal with the shell in it.
struct Terminal {
    child: Child,
    master: fs::File,
    slave: OwnedFd,
    said: String,
}

impl Terminal {
    fn open() -> Self {
        let window = Winsize { ws_row: 31, ws_col: 97, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&window, None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut command = shell("6.1", &[]);
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Self { child, master: pty.master.into(), slave: pty.slave, said: String::new() }
    }

    fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Reads on until that was said, and forgets all up to there.
    fn await_words(&mut self, words: &str) {
        let mut bytes = [0; 4096];
        while !self.said.contains(words) {
            let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PATIENCE).unwrap();
            assert!(fds[0].any().unwrap(), "`{words}` never came: {:?}", self.said);
            let count = self.master.read(&mut bytes).unwrap();
            self.said.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        let end = self.said.find(words).unwrap() + words.len();
        self.said.drain(..end);
    }

    fn settings(&self) -> Termios {
        tcgetattr(&self.slave).unwrap()
    }

    fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// QEMU's process, which is the only child.
    fn qemu(&self) -> u32 {
        let id = self.child.id();
        let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap().flatten();
        let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap());
        children.collect::<String>().trim().parse().expect("there is one child")
    }
}

fn is_gone(process: u32) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    let path = format!("/proc/{process}/cmdline");
    // Of a process that has ended there may be an entry without words for a while.
    while fs::read(&path).is_ok_and(|words| !words.is_empty()) {
        if Instant::now() > until {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Ctrl-C is for what runs in the shell, and the terminal's size is told there.
#[test]
fn a_terminal_is_lent_and_given_back() {
    let mut terminal = Terminal::open();
    let before = terminal.settings();
    terminal.await_words("c2# ");
    let qemu = terminal.qemu();
    terminal.type_in("stty size; echo w$((1 + 1))\n");
    terminal.await_words("31 97\r\nw2");
    terminal.await_words("c2# ");
    terminal.type_in("echo w$((2 + 2)); while :; do :; done\n");
    terminal.await_words("w4");
    terminal.type_in("\u{3}");
    terminal.await_words("c2# ");
    terminal.type_in("exit 9\n");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(9));
    assert_eq!(terminal.settings(), before);
    assert!(is_gone(qemu));
}

#[rstest]
#[case::asked_to_end(Signal::SIGTERM, Some(130))]
#[case::hung_up(Signal::SIGHUP, Some(130))]
#[case::killed(Signal::SIGKILL, None)]
fn however_it_ends_no_qemu_stays(#[case] signal: Signal, #[case] code: Option<i32>) {
    let mut terminal = Terminal::open();
    let before = terminal.settings();
    terminal.await_words("c2# ");
    let qemu = terminal.qemu();
    kill(terminal.id(), signal).unwrap();
    assert_eq!(terminal.child.wait().unwrap().code(), code);
    assert!(is_gone(qemu));
    // Who is killed can give nothing back.
    assert_eq!(terminal.settings() == before, code.is_some());
}
