//! Kernel packages in, events of a guest out.
//!
//! This crate knows no driver and no case: it finds a kernel ([`kernels`]), packs a guest around a program
//! ([`initramfs`]) and runs it. It links neither the harness nor the suites.

pub mod initramfs;
pub mod kernels;
