//! QEMU's command line, and the kernel's.
//!
//! A woken guest must be built exactly as the one that was frozen, so both come from one value.

use std::path::PathBuf;

use hairpin_model::Need;

use super::Memory;
use crate::accel::Accel;
use crate::machine::Profile;
use crate::sys;

/// What every kernel is told: to speak on the first serial port, and to end the machine rather than hang.
const ALWAYS: &str = "console=ttyS0 panic=-1 oops=panic unknown_nmi_panic=1 panic_print=0x1 \
    softlockup_panic=1 hung_task_panic=1";
/// What makes it start sooner, and changes nothing of networking. The printed level leaves warnings in.
const SOONER: &str = "loglevel=5 nokaslr norandmaps no_timer_check mitigations=off \
    random.trust_cpu=on reboot=t";
/// What tells programs that a minute of waiting is nothing.
const JUMPS: &str = Need::IN_VIRTUAL_TIME;
/// Sooner still, but Debian's kernels find no second processor without ACPI.
const WITHOUT_ACPI: &str = "acpi=off";

/// All that a machine is built from.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) qemu: PathBuf,
    pub(crate) profile: Profile,
    pub(crate) accel: Accel,
    pub(crate) memory_mib: u32,
    pub(crate) kernel: PathBuf,
    /// Whether that kernel can be told how fast the cycle counter is, since 5.11. Else it needs a clock to compare
    /// it with, which comes with ACPI.
    pub(crate) takes_cycles: bool,
    /// What stands for the kernel where it is in memory already; none if only the kernel itself will do.
    pub(crate) stub: Option<Memory>,
    pub(crate) initramfs: Memory,
    pub(crate) append: String,
}

/// How a machine begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin {
    /// At its reset; what it writes to its memory can be frozen.
    Boot,
    /// From frozen memory, which stays as it is.
    Wake,
}

/// The descriptors by which a machine is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) control: i32,
    pub(crate) console: i32,
    pub(crate) events: i32,
}

impl Line {
    /// The arguments for one machine whose memory is `ram`.
    pub(crate) fn args(&self, begin: Begin, ram: &Memory, ports: Ports) -> Vec<String> {
        let mut args: Vec<String> =
            ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
                .map(str::to_owned)
                .into();
        let mut option = |name: &str, value: String| args.extend([name.to_owned(), value]);
        option("-machine", format!("{},memory-backend=ram", self.machine()));
        option("-accel", self.accelerator());
        option("-m", format!("{}M", self.memory_mib));
        let (size, path) = (self.memory_mib, ram.path());
        let share = if matches!(begin, Begin::Boot) { "on" } else { "off" };
        option(
            "-object",
            format!("memory-backend-file,id=ram,size={size}M,mem-path={path},share={share}"),
        );
        for (id, fd) in [("console", ports.console), ("events", ports.events)] {
            option("-chardev", format!("socket,id={id},fd={fd}"));
            option("-serial", format!("chardev:{id}"));
        }
        option("-chardev", format!("socket,id=control,fd={}", ports.control));
        option("-mon", "chardev=control,mode=control".into());
        match (&self.stub, begin) {
            (Some(stub), Begin::Wake) => option("-kernel", stub.path()),
            _ => {
                option("-kernel", self.kernel.display().to_string());
                option("-initrd", self.initramfs.path());
                option("-append", self.kernel_line());
            }
        }
        if self.profile == Profile::VirtualTime {
            option("-icount", "shift=1,sleep=off".into());
            option("-rtc", "clock=vm".into());
        }
        if self.profile == Profile::Smp {
            option("-smp", "2".into());
        }
        if matches!(begin, Begin::Wake) {
            option("-incoming", "defer".into());
            args.push("-S".into());
        }
        args
    }

    /// What the kernel is told.
    pub(crate) fn kernel_line(&self) -> String {
        let sooner = if self.profile.is_plain() { "" } else { SOONER };
        let acpi = if self.has_acpi() { "" } else { WITHOUT_ACPI };
        let clock = self.clock();
        let jumps = if self.profile == Profile::VirtualTime { JUMPS } else { "" };
        let parts = [ALWAYS, sooner, acpi, &clock, jumps, &self.append];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn machine(&self) -> &'static str {
        if self.has_acpi() { "pc" } else { "pc,acpi=off" }
    }

    fn has_acpi(&self) -> bool {
        let needs_clock = self.is_translated_live() && !self.takes_cycles;
        needs_clock || matches!(self.profile, Profile::Faithful | Profile::Smp)
    }

    /// What the kernel is told of clocks. A translated guest measures the cycle counter badly: with some luck it
    /// notices, and has a clock that ticks every 4 ms, by which frames cannot be put in order; without, its time
    /// runs too fast. The counter counts this machine's cycles.
    fn clock(&self) -> String {
        match (self.profile.is_plain(), self.is_translated_live()) {
            (true, _) => String::new(),
            (_, true) if self.takes_cycles => {
                format!("tsc=reliable tsc_early_khz={}", sys::cycles_a_millisecond())
            }
            (_, true) => "tsc=unstable clocksource=hpet".into(),
            _ => "tsc=reliable".into(),
        }
    }

    fn is_translated_live(&self) -> bool {
        self.accel == Accel::Tcg && self.profile == Profile::Fast
    }

    fn accelerator(&self) -> String {
        match (self.accel, self.profile) {
            (Accel::Kvm, _) => "kvm".into(),
            (Accel::Tcg, Profile::Smp) => "tcg,tb-size=512,thread=multi".into(),
            (Accel::Tcg, _) => "tcg,tb-size=512,thread=single".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(profile: Profile) -> Line {
        Line {
            qemu: "qemu".into(),
            profile,
            accel: Accel::Tcg,
            memory_mib: 128,
            kernel: "/k/vmlinux".into(),
            takes_cycles: true,
            stub: None,
            initramfs: Memory::holding("test", b"").unwrap(),
            append: String::new(),
        }
    }

    fn args(profile: Profile, begin: Begin) -> String {
        let ram = Memory::sized("test", 4096).unwrap();
        line(profile).args(begin, &ram, Ports { control: 10, console: 11, events: 12 }).join(" ")
    }

    #[test]
    fn a_machine_has_no_network_no_disk_and_no_shared_folder() {
        for profile in Profile::ALL {
            let args = args(profile, Begin::Boot);
            assert!(args.starts_with("-nodefaults -no-user-config "), "{args}");
            for absent in ["-net", "-drive", "-virtfs", "virtio", "-device"] {
                assert!(!args.contains(absent), "{absent} in {args}");
            }
        }
    }

    #[test]
    fn frozen_memory_is_never_shared_with_a_woken_guest() {
        assert!(args(Profile::Fast, Begin::Boot).contains("share=on"));
        let woken = args(Profile::Fast, Begin::Wake);
        assert!(woken.contains("share=off") && woken.contains("-incoming defer"), "{woken}");
    }

    #[test]
    fn the_faithful_profile_has_no_tricks() {
        let plain = line(Profile::Faithful).kernel_line();
        assert_eq!(plain, ALWAYS);
        let args = args(Profile::Faithful, Begin::Boot);
        assert!(args.contains("-machine pc,memory-backend=ram"), "{args}");
    }

    #[test]
    fn a_translated_guest_is_told_how_fast_its_counter_is_or_given_a_clock() {
        let mut line = line(Profile::Fast);
        assert!(
            line.kernel_line().contains("acpi=off tsc=reliable tsc_early_khz="),
            "{}",
            line.kernel_line()
        );
        line.takes_cycles = false;
        assert!(!line.kernel_line().contains("acpi=off"), "{}", line.kernel_line());
        assert_eq!(line.machine(), "pc");
        assert!(line.kernel_line().contains("clocksource=hpet"), "{}", line.kernel_line());
        line.accel = Accel::Kvm;
        assert!(line.kernel_line().ends_with("acpi=off tsc=reliable"), "{}", line.kernel_line());
    }

    #[test]
    fn virtual_time_counts_instructions() {
        let args = args(Profile::VirtualTime, Begin::Boot);
        assert!(args.contains("-icount shift=1,sleep=off") && args.contains("-rtc clock=vm"));
        assert!(args.contains(" hairpin.time=virtual "), "{args}");
    }
}
