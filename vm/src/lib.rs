//! Kernel packages in, events of a guest out.
//!
//! This crate knows no driver and no case: it finds a kernel ([`kernels`]), packs a guest around a program
//! ([`initramfs`]) and runs it ([`machine`]). It links neither the harness nor the suites.
//!
//! | module | idea |
//! |---|---|
//! | [`kernels`] | a kernel's name in, an image and its modules out |
//! | [`initramfs`] | a guest's first file system, as bytes |
//! | [`program`] | a program of the host, with all that it needs to run in a guest |
//! | [`accel`] | which accelerator works here, by measurement |
//! | [`machine`] | a guest: booted, frozen, woken as often as needed, given a program |
//! | [`guests`] | a fresh guest for every job, however that can be had |
//! | [`console`] | what a kernel said, and what of that is evidence against it |
//! | [`result`] | how a job ended |

pub mod accel;
pub mod console;
pub mod guests;
pub mod initramfs;
pub mod kernels;
pub mod machine;
pub mod program;
mod qemu;
pub mod result;
mod sys;

pub use guests::{Guests, run_program};
pub use machine::{BootSpec, Job, Machine, Profile, Seat, Snapshot, Typed};
pub use qemu::installed_qemu;
pub use result::{End, JobResult};
