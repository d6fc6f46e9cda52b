//! Whether labs can be built here: as root, in a user namespace, or not, and then what to change.

use hairpin_model::Error;
use nix::errno::Errno;

use crate::machine::probe::{self, Attempts};

/// How labs can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// With the rights that we have.
    Privileged,
    /// In a user namespace of our own.
    UserNamespace,
}

/// What is known of the machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Whether we are root.
    root: bool,
    attempts: Attempts,
    /// `user.max_user_namespaces`.
    most_userns: Option<u64>,
    /// `user.max_net_namespaces`.
    most_netns: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, which Debian's kernels have.
    userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, which Ubuntu's kernels have.
    apparmor: Option<u64>,
    /// Whether a seccomp filter stands over us, as in a container.
    seccomp: bool,
}

impl Facts {
    /// Looks at the machine.
    pub(crate) fn gather() -> Result<Self, Error> {
        let attempts = probe::attempt().map_err(|e| {
            let what = format!("cannot try to make a namespace: {e}");
            Error::new(what, "this machine", "is /proc mounted?")
        })?;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Ok(Self {
            root: nix::unistd::geteuid().is_root(),
            attempts,
            most_userns: sysctl("user/max_user_namespaces"),
            most_netns: sysctl("user/max_net_namespaces"),
            userns_clone: sysctl("kernel/unprivileged_userns_clone"),
            apparmor: sysctl("kernel/apparmor_restrict_unprivileged_userns"),
            seccomp: status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"])),
        })
    }

    /// How labs can be built, or the one thing to change.
    pub(crate) fn judge(&self) -> Result<Means, Error> {
        let Attempts { netns, userns, netns_in_userns } = self.attempts;
        if netns == 0 {
            return Ok(Means::Privileged);
        }
        if userns == 0 && netns_in_userns == 0 {
            return Ok(Means::UserNamespace);
        }
        let who = if self.root { "root without CAP_SYS_ADMIN" } else { "an ordinary user" };
        let seen = if userns != 0 {
            format!("making a user namespace: {}", words(userns))
        } else {
            format!("making a network namespace in a user namespace: {}", words(netns_in_userns))
        };
        let (what, help) = self.cause();
        Err(Error::new(what, format!("{seen}, as {who}"), help))
    }

    /// What forbids labs and what to change, the surest sign first.
    fn cause(&self) -> (&'static str, String) {
        let set = |name: &str, value: &str| {
            format!("as root: sysctl -w {name}={value} (or run hairpin itself as root)")
        };
        let Attempts { userns, netns_in_userns, .. } = self.attempts;
        if self.most_userns == Some(0) {
            let help = set("user.max_user_namespaces", "65536");
            return ("no user namespaces are allowed here (`user.max_user_namespaces` is 0)", help);
        }
        if self.most_netns == Some(0) {
            let help = set("user.max_net_namespaces", "65536");
            return (
                "no network namespaces are allowed here (`user.max_net_namespaces` is 0)",
                help,
            );
        }
        if self.userns_clone == Some(0) {
            let help = set("kernel.unprivileged_userns_clone", "1");
            return (
                "user namespaces are for root only (`kernel.unprivileged_userns_clone` is 0)",
                help,
            );
        }
        if self.apparmor.is_some_and(|on| on != 0) && !self.root {
            let help = set("kernel.apparmor_restrict_unprivileged_userns", "0");
            return (
                "AppArmor gives user namespaces of programs without a profile no rights \
                (`kernel.apparmor_restrict_unprivileged_userns` is 1)",
                help,
            );
        }
        if [userns, netns_in_userns].contains(&(Errno::ENOSPC as i32)) {
            let help = "end what holds namespaces, or as root raise `user.max_user_namespaces` and \
                `user.max_net_namespaces`";
            return ("all namespaces that are allowed here are in use", help.into());
        }
        if userns == Errno::EINVAL as i32 || userns == Errno::ENOSYS as i32 {
            let help = "run hairpin as root, or on a kernel with CONFIG_USER_NS and CONFIG_NET_NS";
            return ("this kernel has no user namespaces", help.into());
        }
        if self.seccomp {
            let help = "start the container with --privileged, or with --security-opt \
                seccomp=unconfined --security-opt apparmor=unconfined";
            return ("the container that we are in forbids new namespaces (seccomp)", help.into());
        }
        ("neither root's rights nor a user namespace are to be had", "run hairpin as root".into())
    }
}

fn words(errno: i32) -> String {
    Errno::from_raw(errno).desc().to_lowercase()
}

/// A numeric sysctl, if it is there.
fn sysctl(name: &str) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPERM: i32 = Errno::EPERM as i32;

    fn refused(userns: i32, netns_in_userns: i32) -> Facts {
        let attempts = Attempts { netns: EPERM, userns, netns_in_userns };
        Facts { attempts, ..Facts::default() }
    }

    #[test]
    fn either_right_is_enough() {
        assert_eq!(Facts::default().judge(), Ok(Means::Privileged));
        assert_eq!(refused(0, 0).judge(), Ok(Means::UserNamespace));
    }

    #[test]
    fn each_cause_has_its_own_remedy() {
        let causes = [
            Facts { most_userns: Some(0), ..refused(Errno::ENOSPC as i32, EPERM) },
            Facts { userns_clone: Some(0), ..refused(EPERM, EPERM) },
            Facts { apparmor: Some(1), ..refused(0, EPERM) },
            Facts { seccomp: true, root: true, ..refused(EPERM, EPERM) },
            refused(Errno::EINVAL as i32, EPERM),
            refused(Errno::ENOSPC as i32, EPERM),
            refused(EPERM, EPERM),
        ];
        let told: Vec<String> =
            causes.iter().map(|facts| facts.judge().unwrap_err().to_string()).collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
