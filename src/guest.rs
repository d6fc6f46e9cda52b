//! Guests as the command needs them: which kernel, on what kind of machine, and a case in one.
//!
//! How a guest is booted, woken and watched is the matter of `hairpin_vm`; how many cases run at
//! once, of [`crate::run::schedule`].

mod case;
mod fleet;
mod rehearsal;
mod seed;

use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use hairpin_model::{Error, event};
use hairpin_vm::accel::{Accel, Choice};
use hairpin_vm::kernels::{Image, KernelRef, Lock, Options, Store, Wanted};
use hairpin_vm::program::Program;
use hairpin_vm::{BootSpec, Guests, Profile};

use crate::show;

pub(crate) use case::{Ward, folder, job, keep, kept_of, state};
pub(crate) use fleet::Fleet;
pub(crate) use seed::Seeds;

/// Drivers of virtual networks, loaded where the kernel has them as modules: in a guest, nothing
/// loads modules on demand. None that makes a link by itself, as `dummy` does: a guest has `lo`.
const DRIVERS: [&str; 30] = [
    "veth",
    "bridge",
    "macvlan",
    "macvtap",
    "ipvlan",
    "ipvtap",
    "8021q",
    "vxlan",
    "bonding",
    "tun",
    "af_packet",
    "packet_diag",
    "br_netfilter",
    "nf_tables",
    "nf_nat",
    "nf_conntrack",
    "nf_conntrack_bridge",
    "nft_chain_nat",
    "nft_masq",
    "nft_nat",
    "nft_ct",
    "nft_counter",
    "nft_reject",
    "nft_reject_inet",
    "nft_reject_ipv4",
    "nft_reject_ipv6",
    "nft_reject_bridge",
    "nft_meta_bridge",
    "sch_netem",
    "netdevsim",
];

/// What all subcommands ask of a guest, besides its kernel.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct GuestArgs {
    /// The folder of an image's modules.
    #[arg(long, value_name = "DIR", requires = "kernel")]
    modules: Option<PathBuf>,
    /// A rebuilt module in place of the packaged one; may be given several times.
    #[arg(long, value_name = "FILE.ko", requires = "kernel")]
    module: Vec<PathBuf>,
    /// A module that is needed besides the usual drivers; may be given several times.
    #[arg(long, value_name = "NAME", requires = "kernel")]
    load: Vec<String>,
    /// The guest's memory in MiB [default: what the programs' size asks for, at least 128].
    #[arg(long, value_name = "MIB", requires = "kernel")]
    memory: Option<NonZero<u32>>,
    /// A kind of machine [default: fast].
    #[arg(long, value_name = "PROFILE", value_parser = profile(), requires = "kernel")]
    profile: Option<Profile>,
    /// What runs the guest, in place of what measuring says.
    #[arg(long, value_name = "ACCEL", value_parser = ["kvm", "tcg"], requires = "kernel")]
    accel: Option<String>,
    /// Take the packages that this file pins, and no others.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    locked: Option<PathBuf>,
}

fn profile() -> impl clap::builder::TypedValueParser<Value = Profile> {
    let names = PossibleValuesParser::new(Profile::ALL.map(Profile::name));
    names.map(|name| {
        let named = Profile::ALL.into_iter().find(|profile| profile.name() == name);
        named.expect("clap lets only their names through")
    })
}

/// The place where kernels are kept, telling on stderr what it waits for.
pub(crate) fn store() -> Result<Store, Error> {
    Store::open(Options { progress: Box::new(tell), ..Options::default() })
}

/// A sentence on stderr, marked as ours.
pub(crate) fn tell(text: &str) {
    show::Out::stderr().text(&format!("hairpin: {text}\n"));
}

impl GuestArgs {
    /// Only these said.
    pub(crate) fn of(
        accel: Option<String>,
        memory: Option<NonZero<u32>>,
        locked: Option<PathBuf>,
    ) -> Self {
        Self { accel, memory, locked, ..Self::default() }
    }

    /// What a reader types to have these again, a blank before each.
    pub(crate) fn words(&self) -> String {
        self.options().iter().map(|word| format!(" {word}")).collect()
    }

    /// The same, word by word.
    pub(crate) fn options(&self) -> Vec<String> {
        let path = |path: &PathBuf| path.display().to_string();
        let mut said: Vec<(&str, String)> = Vec::new();
        said.extend(self.modules.as_ref().map(|it| ("modules", path(it))));
        said.extend(self.module.iter().map(|it| ("module", path(it))));
        said.extend(self.load.iter().map(|it| ("load", it.clone())));
        said.extend(self.memory.map(|it| ("memory", it.to_string())));
        said.extend(self.profile.map(|it| ("profile", it.name().to_owned())));
        said.extend(self.accel.iter().map(|it| ("accel", it.clone())));
        said.extend(self.locked.as_ref().map(|it| ("locked", path(it))));
        said.into_iter().flat_map(|(option, value)| [format!("--{option}"), value]).collect()
    }

    /// With these rebuilt modules besides.
    pub(crate) fn with_modules(mut self, modules: &[PathBuf]) -> Self {
        self.module.extend_from_slice(modules);
        self
    }

    /// Finds the kernel that the user named; fetches it if need be.
    pub(crate) fn image(&self, store: &Store, kernel: &str) -> Result<Image, Error> {
        let kernel = KernelRef::parse(kernel, self.modules.as_deref(), store.catalogue())?;
        match &self.locked {
            Some(file) => store.resolve_locked(&kernel, &Lock::read(file)?),
            None => store.resolve(&kernel),
        }
    }

    /// A guest on that kernel, with `init` as its first process: a program that calls
    /// `hairpin_guest::init_if_pid1`.
    pub(crate) fn spec(&self, image: Image, init: &Path) -> Result<BootSpec, Error> {
        let required: Vec<&str> = self.load.iter().map(String::as_str).collect();
        let wanted = Wanted { required: &required, optional: &DRIVERS, overrides: &self.module };
        let modules = image.closure(&wanted)?.load;
        let mut spec = BootSpec::new(image, Program::read(init, "/init")?);
        spec.modules = modules;
        spec.profile = self.profile.unwrap_or_default();
        spec.accel = match self.accel.as_deref() {
            Some("kvm") => Choice::Force(Accel::Kvm),
            Some(_) => Choice::Force(Accel::Tcg),
            None => Choice::Measure,
        };
        spec.memory_mib = self.memory.map(NonZero::get);
        Ok(spec)
    }
}

/// What a run's events say of its guests: of that kernel, with what else was asked of them.
pub(crate) fn entry(
    (kernel, args): (&str, &GuestArgs),
    spec: &BootSpec,
    guests: &Guests,
    seeds: &Seeds,
) -> event::Guest {
    let booted = guests.booted();
    let mut notes = spec.image.notes.clone();
    let rebuilt =
        spec.modules.iter().filter_map(|module| Some((&module.name, module.from.as_ref()?)));
    notes.extend(rebuilt.map(|(name, file)| format!("the module {name} is {}", file.display())));
    notes.extend(guests.notes());
    let complaint = |evidence| format!("the kernel complained before any case: {evidence}");
    notes.extend(guests.evidence().iter().map(complaint));
    event::Guest {
        kernel: kernel.into(),
        title: spec.image.title(),
        accel: booted.accel.why.clone(),
        profile: spec.profile.name().into(),
        memory_mib: booted.memory_mib,
        boot_ms: u64::try_from(booted.took.as_millis()).unwrap_or(u64::MAX),
        woken: guests.are_woken(),
        kept: booted.kept,
        rehearsed: Vec::new(),
        seed: Some(seeds.run()),
        notes,
        options: args.options(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::GuestArgs;

    #[derive(Parser)]
    struct Line {
        #[arg(long)]
        kernel: String,
        #[command(flatten)]
        guest: GuestArgs,
    }

    #[test]
    fn what_was_said_of_a_guest_is_said_again() {
        let words = "x --kernel 6.1 --modules m --module a.ko --module b.ko --load dummy \
                     --memory 256 --profile faithful --accel tcg --locked l.toml";
        let line = Line::parse_from(words.split_whitespace());
        assert_eq!(format!("x --kernel {}{}", line.kernel, line.guest.words()), words);
    }
}
