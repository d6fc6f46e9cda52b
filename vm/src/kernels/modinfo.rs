//! What a module says of itself: the `.modinfo` section of its ELF file.

use object::{Object as _, ObjectSection as _};

/// The parts of `.modinfo` that decide what is loaded with a module, and where it fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModInfo {
    /// Its own name, normalised; modules of old kernels do not carry it.
    pub(crate) name: Option<String>,
    /// Modules whose symbols it uses: they must be there before it.
    pub(crate) depends: Vec<String>,
    /// Modules that it would like before it, and after it.
    pub(crate) before: Vec<String>,
    pub(crate) after: Vec<String>,
    /// The release that it was built for: the first word of its vermagic.
    pub(crate) release: Option<String>,
}

impl ModInfo {
    /// Reads a module's file, unpacked.
    pub(crate) fn read(elf: &[u8]) -> Result<Self, String> {
        let file = object::File::parse(elf).map_err(|error| error.to_string())?;
        let section = file.section_by_name(".modinfo").ok_or("it has no .modinfo section")?;
        let data = section.data().map_err(|error| error.to_string())?;
        Ok(Self::of_entries(data))
    }

    fn of_entries(data: &[u8]) -> Self {
        let mut info = Self::default();
        for entry in data.split(|byte| *byte == 0) {
            let entry = String::from_utf8_lossy(entry);
            match entry.split_once('=') {
                Some(("name", value)) => info.name = Some(normal(value)),
                Some(("depends", value)) => info.depends = names(value, ','),
                Some(("softdep", value)) => info.soft(value),
                Some(("vermagic", value)) => {
                    info.release = value.split_whitespace().next().map(str::to_owned);
                }
                _ => {}
            }
        }
        info
    }

    /// `pre: a b post: c`; words before any label mean nothing.
    fn soft(&mut self, value: &str) {
        let mut list: Option<&mut Vec<String>> = None;
        for word in value.split_whitespace() {
            match word {
                "pre:" => list = Some(&mut self.before),
                "post:" => list = Some(&mut self.after),
                name => {
                    if let Some(list) = list.as_mut() {
                        list.push(normal(name));
                    }
                }
            }
        }
    }
}

/// A module's name as the kernel has it: `-` and `_` are the same, and `_` is written.
pub(crate) fn normal(name: &str) -> String {
    name.trim().replace('-', "_")
}

/// The module that a file holds by its name: `kernel/net/8021q/8021q.ko.xz` holds `8021q`.
pub(crate) fn name_of_file(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let stem = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"].iter().find_map(|end| file.strip_suffix(end));
    stem.filter(|stem| !stem.is_empty()).map(normal)
}

fn names(list: &str, separator: char) -> Vec<String> {
    list.split(separator).map(normal).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_told_apart() {
        let data = b"name=nft-ct\0depends=nf_tables,nf-conntrack\0softdep=pre: a-b post: c\0\
                     vermagic=6.1.0-50-cloud-amd64 SMP preempt\0license=GPL\0";
        let info = ModInfo::of_entries(data);
        assert_eq!(info.name.as_deref(), Some("nft_ct"));
        assert_eq!(info.depends, ["nf_tables", "nf_conntrack"]);
        assert_eq!((info.before, info.after), (vec!["a_b".to_owned()], vec!["c".to_owned()]));
        assert_eq!(info.release.as_deref(), Some("6.1.0-50-cloud-amd64"));
    }

    #[test]
    fn names_of_files() {
        for (path, name) in [
            ("kernel/net/8021q/8021q.ko.xz", Some("8021q")),
            ("kernel/drivers/net/a-b.ko", Some("a_b")),
            ("x.ko.zst", Some("x")),
            ("modules.builtin", None),
            (".ko", None),
        ] {
            assert_eq!(name_of_file(path).as_deref(), name, "{path}");
        }
    }
}
