//! Fetches every known kernel series from the mirror and shows what each has: the end-to-end check of the store.
//!
//! `cargo run -p hairpin-vm --example kernels [--versions] [KERNEL…]`; `--versions` lists what bisecting has to
//! go by. It needs the network, so it is no test; without a mirror it fails and says so. Exit code 1 if no series could be had, or if one that could be had is not fit for a guest.

use std::process::ExitCode;

use hairpin_vm::initramfs;
use hairpin_vm::kernels::{Image, KernelRef, Options, Store, Wanted};

const REQUIRED: [&str; 4] = ["veth", "bridge", "macvlan", "8021q"];
const OPTIONAL: [&str; 22] = [
    "macvtap",
    "ipvlan",
    "dummy",
    "vxlan",
    "stp",
    "llc",
    "tun",
    "af_packet",
    "br_netfilter",
    "nf_tables",
    "nf_nat",
    "nft_chain_nat",
    "nft_masq",
    "nft_reject_inet",
    "nft_reject_bridge",
    "nft_ct",
    "nft_counter",
    "nf_conntrack",
    "nf_conntrack_bridge",
    "nf_tables_bridge",
    "packet_diag",
    "netdevsim",
];

fn main() -> ExitCode {
    let progress = Box::new(|text: &str| eprintln!("  {text}"));
    let store = match Store::open(Options { progress, ..Options::default() }) {
        Ok(store) => store,
        Err(error) => return fail(&error),
    };
    let mut series: Vec<String> = std::env::args().skip(1).collect();
    let list_versions = series.iter().any(|word| word == "--versions");
    series.retain(|word| word != "--versions");
    if series.is_empty() {
        series = store.catalogue().series.iter().map(|series| series.name.clone()).collect();
    }
    let (mut fit, mut gone, mut unfit) = (0, 0, 0);
    for name in series {
        let start = std::time::Instant::now();
        match KernelRef::parse(&name, None, store.catalogue()).and_then(|k| store.resolve(&k)) {
            Err(error) => {
                gone += 1;
                println!("{name}: {error}");
            }
            Ok(image) => match show(&name, &image) {
                Ok(()) => fit += 1,
                Err(error) => {
                    unfit += 1;
                    println!("{name}: {error}");
                }
            },
        }
        println!("  took    {:?}", start.elapsed());
        if list_versions && let Err(error) = versions(&store, &name) {
            println!("{name}: {error}");
        }
    }
    println!("{fit} fit, {gone} not to be had, {unfit} unfit");
    if fit > 0 && unfit == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn versions(store: &Store, series: &str) -> Result<(), hairpin_model::Error> {
    for candidate in store.versions(series)? {
        let state = if candidate.is_whole() { "whole" } else { "in part" };
        println!("  version {} {} ({state})", candidate.version, candidate.suite);
    }
    Ok(())
}

fn show(series: &str, image: &Image) -> Result<(), hairpin_model::Error> {
    image.require_options(&["CONFIG_NET_NS", "CONFIG_USER_NS", "CONFIG_SERIAL_8250_CONSOLE"])?;
    let wanted = Wanted { required: &REQUIRED, optional: &OPTIONAL, overrides: &[] };
    let closure = image.closure(&wanted)?;
    let archive = initramfs::build(b"init", &[], &closure.load);
    let names: Vec<&str> = closure.load.iter().map(|module| module.name.as_str()).collect();
    println!("{series}: {}", image.release);
    for package in &image.packages {
        println!("  package {} {} {}", package.name, package.version, &package.sha256[..12]);
    }
    println!("  boot    {} (pvh: {})", image.boot_file().display(), image.pvh);
    println!("  load    {} ({} KiB)", names.join(" "), archive.len() / 1024);
    println!("  builtin {}", closure.builtin.join(" "));
    println!("  absent  {}", closure.absent.join(" "));
    for note in &image.notes {
        println!("  note    {note}");
    }
    Ok(())
}

fn fail(error: &hairpin_model::Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}
