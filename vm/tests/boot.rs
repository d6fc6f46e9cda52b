//! Real kernels in real guests. Not part of a plain `cargo test`: see the feature `boot-tests`.

#[path = "boot/common.rs"]
mod common;
#[path = "boot/copies.rs"]
mod copies;
#[path = "boot/faults.rs"]
mod faults;
#[path = "boot/guests.rs"]
mod guests;
#[path = "boot/profiles.rs"]
mod profiles;
