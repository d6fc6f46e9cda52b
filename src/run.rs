//! Cases as processes: started, watched, judged, ended.

pub(crate) mod judge;
mod pipe;
pub(crate) mod process;
pub(crate) mod schedule;
mod slots;
pub(crate) mod stop;
pub(crate) mod trampoline;
