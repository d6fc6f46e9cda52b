//! The conformance suite: one program, one module an area.
//!
//! | area | about |
//! |---|---|
//! | [`macvlan`] | children, siblings, parents and the switch outside, mode by mode |

mod macvlan;

hairpin_harness::suite!(
    macvlan::bridge::RULES,
    macvlan::mixed::RULES,
    macvlan::outside::RULES,
    macvlan::parent::RULES,
    macvlan::passthru::RULES,
    macvlan::private::RULES,
    macvlan::source::RULES,
    macvlan::vepa::RULES,
);
