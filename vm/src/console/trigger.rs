//! The lines with which a kernel begins to complain of itself.
//!
//! From the kernel's own sources (5.10 to 7.3): lib/dump_stack, kernel/panic.c, kernel/watchdog.c,
//! kernel/hung_task.c, kernel/rcu/tree_stall.h, kernel/locking/lockdep.c, mm/kasan, lib/ubsan.c, net/core/dev.c,
//! init/initramfs.c.

/// What a kernel complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// It gave up.
    Panic,
    /// It did what its processor forbids: a bad pointer, a bad instruction.
    Oops,
    /// It found itself in a state that must not be.
    Bug,
    /// It found itself in a state that should not be, and went on.
    Warning,
    /// RCU waits for a processor or a task that does not come.
    Stall,
    /// A processor is stuck in the kernel.
    Lockup,
    /// A task is stuck in the kernel.
    HungTask,
    /// Locks are taken in an order that can end in a deadlock.
    Lockdep,
    /// KASAN, KFENCE, KCSAN or KMSAN: memory is used as it must not be.
    Memory,
    /// Arithmetic that C does not define.
    Ubsan,
    /// A link cannot go away because something still holds it, or memory is lost.
    Leak,
    /// Memory ran out: a program was killed, or the first files were not all unpacked.
    OutOfMemory,
}

impl Kind {
    /// One word, as it is written in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Oops => "oops",
            Self::Bug => "bug",
            Self::Warning => "warning",
            Self::Stall => "rcu-stall",
            Self::Lockup => "lockup",
            Self::HungTask => "hung-task",
            Self::Lockdep => "lockdep",
            Self::Memory => "memory",
            Self::Ubsan => "ubsan",
            Self::Leak => "leak",
            Self::OutOfMemory => "out-of-memory",
        }
    }

    /// Whether the kernel cannot be relied on any more, so that a case in it has crashed and not merely failed.
    pub const fn is_fatal(self) -> bool {
        matches!(self, Self::Panic | Self::Oops | Self::Bug | Self::Lockup | Self::OutOfMemory)
    }

    /// Whether it is said in one line, with nothing to follow.
    pub(crate) const fn is_one_line(self) -> bool {
        matches!(self, Self::Leak | Self::OutOfMemory)
    }
}

/// Who speaks, where that is said before the complaint itself.
const SPEAKERS: [&str; 5] = ["watchdog: ", "NMI watchdog: ", "rcu: ", "traps: ", "x86/fault: "];

/// (how the line begins, what else it holds, what that is); the first that fits is taken.
const TRIGGERS: [(&str, &str, Kind); 42] = [
    ("Kernel panic - not syncing", "", Kind::Panic),
    ("BUG: KASAN:", "", Kind::Memory),
    ("BUG: KFENCE:", "", Kind::Memory),
    ("BUG: KCSAN:", "", Kind::Memory),
    ("BUG: KMSAN:", "", Kind::Memory),
    ("BUG: soft lockup", "", Kind::Lockup),
    ("BUG: workqueue lockup", "", Kind::Lockup),
    ("Watchdog detected hard LOCKUP", "", Kind::Lockup),
    ("BUG: kernel NULL pointer dereference", "", Kind::Oops),
    ("BUG: unable to handle", "", Kind::Oops),
    ("BUG: stack guard page was hit", "", Kind::Oops),
    ("BUG: TASK stack guard page was hit", "", Kind::Oops),
    ("BUG: ", "", Kind::Bug),
    ("BUG ", "ainted", Kind::Bug),
    ("kernel BUG at ", "", Kind::Bug),
    ("PANIC: double fault", "", Kind::Oops),
    ("general protection fault", "[#", Kind::Oops),
    ("general protection fault, maybe for address", "", Kind::Oops),
    ("general protection fault, probably for", "", Kind::Oops),
    ("Oops: ", "", Kind::Oops),
    ("invalid opcode: ", "[#", Kind::Oops),
    ("divide error: ", "[#", Kind::Oops),
    ("stack segment: ", "[#", Kind::Oops),
    ("int3: ", "[#", Kind::Oops),
    ("WARNING: possible circular locking", "", Kind::Lockdep),
    ("WARNING: possible recursive locking", "", Kind::Lockdep),
    ("WARNING: possible irq lock inversion", "", Kind::Lockdep),
    ("WARNING: inconsistent lock state", "", Kind::Lockdep),
    ("WARNING: suspicious RCU usage", "", Kind::Lockdep),
    ("WARNING: bad unlock balance", "", Kind::Lockdep),
    ("WARNING: lock held when returning", "", Kind::Lockdep),
    ("WARNING: Nested lock was not taken", "", Kind::Lockdep),
    ("WARNING: ", "-safe -> ", Kind::Lockdep),
    ("INFO: trying to register non-static key", "", Kind::Lockdep),
    ("WARNING: ", " at ", Kind::Warning),
    ("INFO: rcu_", "detected", Kind::Stall),
    ("INFO: task ", " blocked for more than ", Kind::HungTask),
    ("UBSAN: ", "", Kind::Ubsan),
    ("unregister_netdevice: waiting for ", "", Kind::Leak),
    ("kmemleak: ", "new suspected memory leaks", Kind::Leak),
    ("Out of memory: Killed process ", "", Kind::OutOfMemory),
    ("Initramfs unpacking failed: ", "", Kind::OutOfMemory),
];

/// What a line of the console begins, and the line without its time and its speaker.
pub(crate) fn of(line: &str) -> Option<(Kind, &str)> {
    let text = message(line);
    let text = SPEAKERS.iter().find_map(|speaker| text.strip_prefix(speaker)).unwrap_or(text);
    let fits = |(start, also, _): &&(&str, &str, Kind)| {
        text.strip_prefix(start).is_some_and(|rest| rest.contains(also))
    };
    TRIGGERS.iter().find(fits).map(|(_, _, kind)| (*kind, text))
}

/// A line without the time (and the caller) that stand before it.
pub(crate) fn message(line: &str) -> &str {
    let mut rest = line;
    while let Some(inside) = rest.strip_prefix('[') {
        let Some((field, after)) = inside.split_once(']') else { break };
        let is_time = field.trim_start().starts_with(|c: char| c.is_ascii_digit())
            && field.trim_start().chars().all(|c| c.is_ascii_digit() || c == '.');
        let is_caller = field
            .trim_start()
            .strip_prefix(['T', 'C'])
            .is_some_and(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()));
        if !is_time && !is_caller {
            break;
        }
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_caller_are_no_part_of_a_message() {
        assert_eq!(message("[    1.234567] br0: up"), "br0: up");
        assert_eq!(message("[    1.234567][    T1]  <TASK>"), " <TASK>");
        assert_eq!(message("[bridge] no time"), "[bridge] no time");
        assert_eq!(message("[   "), "[   ");
    }

    #[test]
    fn complaints_are_told_apart() {
        let cases = [
            ("[    5.0] watchdog: BUG: soft lockup - CPU#0 stuck for 23s! [ip:312]", Kind::Lockup),
            ("[    5.0] rcu: INFO: rcu_preempt self-detected stall on CPU", Kind::Stall),
            ("[    5.0] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:", Kind::Stall),
            ("[    5.0] INFO: task ip:312 blocked for more than 120 seconds.", Kind::HungTask),
            ("[    5.0] BUG: KASAN: slab-use-after-free in br_fdb_add+0x1/0x2", Kind::Memory),
            ("[    5.0] WARNING: possible circular locking dependency detected", Kind::Lockdep),
            (
                "[    5.0] WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
                Kind::Lockdep,
            ),
            ("[    5.0] WARNING: CPU: 0 PID: 9 at net/core/dev.c:12 f+0x1/0x2", Kind::Warning),
            ("[    5.0] WARNING: net/core/dev.c:12 at f+0x1/0x2, CPU#0: ip/312", Kind::Warning),
            ("[    5.0] UBSAN: shift-out-of-bounds in net/x.c:1:2", Kind::Ubsan),
            ("[    5.0] BUG kmalloc-64 (Not tainted): Poison overwritten", Kind::Bug),
            ("[    5.0] kernel BUG at net/core/skbuff.c:112!", Kind::Bug),
            (
                "[    5.0] unregister_netdevice: waiting for mv0 to become free. Usage count = 2",
                Kind::Leak,
            ),
        ];
        for (line, kind) in cases {
            assert_eq!(of(line).map(|(kind, _)| kind), Some(kind), "{line}");
        }
    }

    #[test]
    fn ordinary_lines_are_none() {
        for line in [
            "[    0.1] Warning: unsafe",
            "[    0.1] WARNING: the tick is late",
            "[    0.1] br0: port 1(v0) entered blocking state",
            "[    0.1] rcu: Hierarchical RCU implementation.",
            "[    0.1] Kernel command line: panic=-1 oops=panic",
            "program prints BUG: in the middle",
            "",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
