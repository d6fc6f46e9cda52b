//! Takes the whole process into namespaces of its own before it has a second thread.
//!
//! A user namespace can only be entered by a process with one thread, and libtest makes threads
//! before any test runs. So [`suite!`](crate::suite) has this run before `main`. As root the
//! process leaves the machine's network namespace all the same: a case that forgets where it is
//! then talks to an empty loopback, not to the machine.

use std::fs;
use std::sync::OnceLock;

use hairpin_model::Error;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

use crate::ns::Ns;
use crate::observe::{await_stamps, keep_stamps};

static STATUS: OnceLock<Result<(), Error>> = OnceLock::new();

/// How many namespaces most labs have at the most.
const USUAL: usize = 6;

/// Enters the sandbox. Called once, before `main`, by [`suite!`](crate::suite); what went wrong is
/// told by the first lab.
///
/// Of a guest the same program is the first process: it then sets the machine up and waits there
/// for its job, which is to start itself again.
pub fn enter() {
    hairpin_guest::init_if_pid1();
    if STATUS.get_or_init(try_enter).is_ok() {
        keep_stamps();
    }
    if hairpin_guest::is_guest() {
        crate::drops::watch();
        // Where these fail, the first lab is told why.
        Ns::reserve(USUAL).ok();
        await_stamps().ok();
    }
    // A guest's suite program is in its sandbox before it knows which case it will run.
    hairpin_guest::await_args();
}

/// Whether the process is in its sandbox.
pub(crate) fn status() -> Result<(), Error> {
    STATUS.get().cloned().unwrap_or_else(|| {
        Err(Error::new(
            "this program is not in its sandbox",
            "the test program",
            "write `hairpin_harness::suite!(RULES);` at the head of its main file",
        ))
    })
}

/// Whether the sandbox is a user namespace of an ordinary user.
pub fn is_rootless() -> bool {
    // Outside, the map is the whole range; ours has a single line for a single id.
    fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().nth(2) == Some("1"))
}

fn try_enter() -> Result<(), Error> {
    let (uid, gid) = (getuid(), getgid());
    match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => return Ok(()),
        Err(Errno::EPERM) => {}
        Err(errno) => return Err(cannot("make a network namespace", errno)),
    }
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(|errno| cannot("make a user namespace", errno))?;
    map("setgroups", "deny")?;
    map("uid_map", &format!("0 {uid} 1"))?;
    map("gid_map", &format!("0 {gid} 1"))
}

fn map(file: &str, text: &str) -> Result<(), Error> {
    let path = format!("/proc/self/{file}");
    fs::write(&path, text).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        cannot(&format!("write `{text}` to {path}"), errno)
    })
}

/// The errors of a machine that allows neither: what to change, by what the kernel said.
fn cannot(what: &str, errno: Errno) -> Error {
    let help = match errno {
        Errno::ENOSPC => {
            "raise the limits: `sysctl user.max_user_namespaces=15000 user.max_net_namespaces=15000`"
        }
        Errno::EINVAL | Errno::ENOSYS => {
            "use a kernel with CONFIG_USER_NS and CONFIG_NET_NS, or run as root"
        }
        _ => {
            "run as root, or allow unprivileged user namespaces: `sysctl kernel.unprivileged_userns_clone=1` \
             (Debian), `sysctl kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu); in a container add \
             `--cap-add NET_ADMIN --cap-add SYS_ADMIN` or a seccomp profile that allows `unshare`"
        }
    };
    Error::new(format!("cannot {what}: {}", errno.desc()), "this machine", help)
}
