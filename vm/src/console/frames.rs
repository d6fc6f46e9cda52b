//! Function names in the stack that a kernel prints, without what differs from one boot to the next.

/// How many frames tell one defect from another.
const TOLD_BY: usize = 5;
/// Functions that print the complaint itself, and stand on top of every stack of their kind.
const PRINTERS: [&str; 24] = [
    "dump_stack",
    "dump_stack_lvl",
    "show_stack",
    "panic",
    "vpanic",
    "__warn",
    "report_bug",
    "handle_bug",
    "exc_invalid_op",
    "asm_exc_invalid_op",
    "warn_slowpath_fmt",
    "__warn_printk",
    "print_report",
    "print_address_description",
    "kasan_report",
    "__die",
    "__die_body",
    "die",
    "oops_end",
    "page_fault_oops",
    "no_context",
    "exc_page_fault",
    "asm_exc_page_fault",
    "check_panic_on_warn",
];
/// What compilers append to the name of a function that they have cut up or copied.
const CUTS: [&str; 6] = [".constprop", ".isra", ".part", ".cold", ".llvm", ".clone"];

/// The frames of the first stack in a complaint, gathered line by line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    names: Vec<String>,
    in_trace: bool,
    ended: bool,
}

impl Frames {
    /// Takes one message of the complaint.
    pub(crate) fn take(&mut self, message: &str) {
        let text = message.trim();
        if text.starts_with("Call Trace:") {
            self.ended |= self.in_trace;
            self.in_trace = true;
        } else if let Some(place) = text.strip_prefix("RIP: 0010:") {
            // Printed before the stack, and again after it.
            if self.names.is_empty() && !self.in_trace {
                self.add(place);
            }
        } else if self.in_trace && !self.ended {
            match text {
                "<TASK>" | "</TASK>" | "<IRQ>" | "</IRQ>" | "<NMI>" | "</NMI>" => {}
                _ if text.starts_with("? ") => {}
                _ => self.ended = !self.add(text),
            }
        }
    }

    pub(crate) fn into_names(self) -> Vec<String> {
        self.names
    }

    /// Adds a frame if the text is one; says whether it was.
    fn add(&mut self, text: &str) -> bool {
        let Some(name) = function(text) else { return false };
        if self.names.len() < TOLD_BY && !PRINTERS.contains(&name) && self.is_new(name) {
            self.names.push(name.to_owned());
        }
        true
    }

    /// The place of the fault stands alone before the stack, and on some kernels on top of it too.
    fn is_new(&self, name: &str) -> bool {
        self.names.last().is_none_or(|last| last != name)
    }
}

/// The function in `name.isra.0+0x1a/0x30 [module]`.
pub(crate) fn function(text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?;
    let (name, rest) = word.split_once("+0x")?;
    if name.is_empty() || !rest.contains("/0x") {
        return None;
    }
    let cut = CUTS.iter().filter_map(|cut| name.find(cut)).min();
    Some(&name[..cut.unwrap_or(name.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_its_function() {
        assert_eq!(function("br_add_if.cold+0x1a/0x30 [bridge]"), Some("br_add_if"));
        assert_eq!(function("__x64_sys_sendmsg+0x1/0x2"), Some("__x64_sys_sendmsg"));
        assert_eq!(function("f.constprop.0.isra.0+0x1/0x2"), Some("f"));
        assert_eq!(function("RAX: 0000"), None);
    }

    #[test]
    fn guesses_and_printers_are_no_frames() {
        let mut frames = Frames::default();
        for line in [
            "RIP: 0010:macvlan_stop+0x10/0x20 [macvlan]",
            "Call Trace:",
            " <TASK>",
            " ? __warn+0x7d/0xd0",
            " dump_stack_lvl+0x1/0x2",
            " macvlan_stop+0x10/0x20 [macvlan]",
            " __dev_close_many+0x1/0x2",
            " </TASK>",
            "Modules linked in: macvlan",
            " late+0x1/0x2",
        ] {
            frames.take(line);
        }
        assert_eq!(frames.into_names(), ["macvlan_stop", "__dev_close_many"]);
    }
}
