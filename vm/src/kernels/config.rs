//! The options that a kernel was built with: its `config` file.

use std::collections::BTreeMap;

use hairpin_model::Error;

/// A kernel's build options. An option that is not set is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    options: BTreeMap<String, String>,
}

impl Config {
    /// Reads the text of a `config` file.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| line.starts_with("CONFIG_"));
        let options = lines.filter_map(|line| line.split_once('='));
        Self { options: options.map(|(name, value)| (name.into(), value.into())).collect() }
    }

    /// The value of an option (`y`, `m`, a number, a quoted text), or nothing if it is not set.
    pub fn get(&self, option: &str) -> Option<&str> {
        self.options.get(option).map(String::as_str)
    }

    /// Whether an option is on, built in or as a module.
    pub fn is_on(&self, option: &str) -> bool {
        matches!(self.get(option), Some("y" | "m"))
    }

    /// Fails with the first of `options` that is not on, naming the kernel.
    pub fn require(&self, options: &[&str], release: &str) -> Result<(), Error> {
        let Some(missing) = options.iter().find(|option| !self.is_on(option)) else {
            return Ok(());
        };
        Err(Error::new(
            format!("the kernel was built without `{missing}`"),
            format!("kernel {release}"),
            format!("pick a kernel that has it, or set `{missing}=y` and build again"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_off_are_named() {
        let config =
            Config::parse("# head\nCONFIG_PVH=y\nCONFIG_VETH=m\n# CONFIG_NET_9P is not set\n");
        assert_eq!(config.get("CONFIG_VETH"), Some("m"));
        assert!(config.require(&["CONFIG_PVH", "CONFIG_VETH"], "6.1").is_ok());
        let error = config.require(&["CONFIG_PVH", "CONFIG_NET_9P"], "6.1").unwrap_err();
        assert_eq!(error.what, "the kernel was built without `CONFIG_NET_9P`");
        assert_eq!(error.place, "kernel 6.1");
    }
}
