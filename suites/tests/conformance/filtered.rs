//! What a link's filter of groups lets through. No cases here.

use hairpin_harness::{CaseLab, Mac, Shot, Stop};

/// How many of eight groups that nobody joined a host hears from another.
pub(crate) async fn strange_groups_heard(
    lab: &mut CaseLab,
    from: &str,
    host: &str,
) -> Result<usize, Stop> {
    let mut heard = 0;
    for last in 0x10..0x18 {
        let fate = lab.shoot(from, &Shot::to(Mac([0x01, 0x00, 0x5e, 0x7c, 0x01, last]))).await?;
        fate.proved()?;
        heard += usize::from(fate.heard.iter().any(|hearing| hearing.at == host));
    }
    Ok(heard)
}

/// A child's filter has 256 places, found by a hash with a key of its own: now and then
/// a group falls on the place of one that was joined. Five of eight do not.
pub(crate) const BY_CHANCE: usize = 4;

/// Holds that a host hears no more of e's groups that it has not joined than share a place.
pub(crate) async fn expect_filtered(lab: &mut CaseLab, host: &str) -> Result<(), Stop> {
    let heard = strange_groups_heard(lab, "e", host).await?;
    lab.claim(&format!("{host} hears few groups that it has not joined"), heard <= BY_CHANCE, heard)
}

/// Holds that a host hears all of e's groups.
pub(crate) async fn expect_unfiltered(lab: &mut CaseLab, host: &str) -> Result<(), Stop> {
    let heard = strange_groups_heard(lab, "e", host).await?;
    lab.claim(&format!("{host} hears all groups"), heard == 8, heard)
}
