//! stub
use hairpin_model::{Error, Firewall};
pub(crate) fn apply(_: &Firewall) -> Result<(), Error> {
    panic!("stub")
}
pub fn supported() -> Result<bool, Error> {
    Ok(true)
}
