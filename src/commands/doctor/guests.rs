//! What the doctor says of other kernels: can guests run here, on what, and which kernels are at hand.
//!
//! Nothing of it is vital: without guests the kernel that runs can still be checked.

use std::path::Path;

use hairpin_model::Error;
use hairpin_vm::accel::{Choice, choose};
use hairpin_vm::kernels::{Options, Store};

use super::Finding;
use crate::machine::packages;

/// The findings, and whether a guest could run now.
pub(super) fn findings() -> (Vec<Finding>, bool) {
    let (qemu, kernels) = (qemu(), kernels());
    let able = qemu.state.is_ok() && kernels.state.is_ok();
    let mut findings = vec![qemu];
    if findings[0].state.is_ok() {
        findings.push(Finding::good("accelerator", choose(Choice::Measure).why));
    }
    findings.push(kernels);
    (findings, able)
}

fn qemu() -> Finding {
    match hairpin_vm::installed_qemu() {
        Ok((path, version)) => Finding::good("QEMU", format!("{version}: {}", path.display())),
        Err(error) => {
            let mut finding = Finding::lesser("QEMU", &error);
            if std::env::var_os("HAIRPIN_QEMU").is_none() {
                finding.remedy = Some(format!(
                    "{} (or `hairpin setup`)",
                    packages::advice(&[packages::Tool::Qemu])
                ));
            }
            finding
        }
    }
}

fn kernels() -> Finding {
    const WHAT: &str = "kernels";
    let store = match Store::open(Options::default()) {
        Ok(store) => store,
        Err(error) => return Finding::lesser(WHAT, &error),
    };
    let catalogue = store.catalogue();
    let names = catalogue.series.iter().map(|series| series.name.as_str());
    let (kept, others): (Vec<&str>, Vec<&str>) =
        names.partition(|name| store.kept_version(name).is_some());
    if kept.is_empty() {
        let place = store.folder().display().to_string();
        return Finding::lesser(
            WHAT,
            &Error::new("none is kept", place, fetching(&catalogue.keyring)),
        );
    }
    let mut found =
        Finding::good(WHAT, format!("{} kept in {}", kept.join(" "), store.folder().display()));
    if !others.is_empty() {
        found.remedy = Some(format!("`hairpin setup` tries {} again", others.join(" ")));
    }
    found
}

/// How to get kernels.
fn fetching(keyring: &str) -> String {
    let fetch = "`hairpin setup` fetches them; or give one with --kernel PATH";
    match packages::missing(Path::new(keyring)).contains(&packages::Tool::Keyring) {
        true => format!("{}; then {fetch}", packages::advice(&[packages::Tool::Keyring])),
        false => fetch.to_owned(),
    }
}
