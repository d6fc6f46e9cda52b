//! The state of a bridge port in each instance of the spanning tree (MST, since 5.18).
//!
//! Which instance a VLAN belongs to is an option of the VLAN.

use hairpin_model::Error;
use hairpin_model::topology::LinkName;

use super::super::Lab;
use super::super::options::link_header;
use super::u16_at;
use super::vlans::IFLA_AF_SPEC;
use crate::attrs::{Attrs, find, parse};
use crate::netlink::plain::{AF_BRIDGE, Question, RTM_SETLINK};

const IFLA_BRIDGE_MST: u16 = 6;
const MST_ENTRY: u16 = 1;
const MST_INSTANCE: u16 = 1;
const MST_STATE: u16 = 2;
/// `RTEXT_FILTER_MST`: tell the states by instance.
const BY_INSTANCE: u32 = 1 << 7;

impl Lab {
    /// Sets the state of a port in all VLANs of a spanning tree instance.
    pub async fn set_instance_state(
        &mut self,
        port: impl Into<LinkName>,
        instance: u16,
        state: u8,
    ) -> Result<(), Error> {
        let port = port.into();
        let header = link_header(AF_BRIDGE, self.index(&port)?, 0, 0);
        let entry = Attrs::new().bytes(MST_INSTANCE, &instance.to_ne_bytes());
        let entry = entry.bytes(MST_STATE, &[state]);
        let all = Attrs::new().nest(MST_ENTRY, &entry);
        let attrs = Attrs::new().nest(IFLA_AF_SPEC, &Attrs::new().nest(IFLA_BRIDGE_MST, &all));
        let asked = Question { kind: RTM_SETLINK, flags: 0, header: &header, attrs };
        self.command(&port, &asked, &format!("set state {state} of instance {instance}"))?;
        self.tell(|| format!("{port} instance {instance} state {state}"));
        Ok(())
    }

    /// The state of a port in each instance of the spanning tree that a VLAN of it belongs to:
    /// `5 state 4`.
    pub async fn instance_states(&self, port: impl Into<LinkName>) -> Result<Vec<String>, Error> {
        let told = self.beside(&port.into(), BY_INSTANCE)?;
        let all = told.iter().filter(|(kind, _)| *kind == IFLA_BRIDGE_MST);
        let entries = all.flat_map(|(_, all)| parse(all)).filter(|(kind, _)| *kind == MST_ENTRY);
        let line = |(_, entry)| {
            let (instance, state) = (find(entry, MST_INSTANCE)?, find(entry, MST_STATE)?);
            Some(format!("{} state {}", u16_at(instance, 0), state.first()?))
        };
        Ok(entries.filter_map(line).collect())
    }
}
