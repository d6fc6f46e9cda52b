//! Reads the kernel's release.

/// The kernel's release.
///
/// ```
/// assert!(anybodys::release().contains('.'));
/// ```
pub fn release() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("this is Linux");
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_has_a_release() {
        assert!(super::release().contains('.'));
    }
}
