//! May we say that it was blocked? The argument from what the controls did, apart from the sockets.

use super::Endpoint;

/// What is known of the sender's side of a missing probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// Later probes of its class arrived at these hosts.
    Reached(Vec<usize>),
    /// A later probe of its class was seen on this link, beyond its own.
    SeenOn(String),
    /// Its link cannot send, or the kernel refused to.
    Mute(String),
    /// Nothing.
    Unknown,
}

/// What is known of the receiver's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    /// Its ear heard a later probe of this class from this host.
    HeardFrom(usize),
    /// Its ear heard itself, by way of its own loopback.
    HeardItself,
    /// Nothing.
    Deaf,
}

/// The proof that a probe was blocked, or why there is none.
///
/// `queued` tells whether the probe may still wait in the queue before the receiver.
pub(super) fn blocked(
    hosts: &[Endpoint],
    to: usize,
    sender: &Sender,
    receiver: &Receiver,
    queued: bool,
) -> Result<String, String> {
    let name = |i: usize| hosts[i].name.as_str();
    let sent = match sender {
        Sender::Reached(at) => format!("a later one reached `{}`", name(at[0])),
        Sender::SeenOn(link) => format!("a later one was seen on `{link}`"),
        Sender::Mute(why) => why.clone(),
        Sender::Unknown => {
            return Err(
                "no later frame of this sender was seen anywhere: it may never have sent".into()
            );
        }
    };
    if queued {
        return Err(format!(
            "nothing proves that the broadcast queue before `{}` is empty",
            name(to)
        ));
    }
    let heard = match receiver {
        Receiver::HeardFrom(from) => format!("its socket then heard `{}`", name(*from)),
        Receiver::HeardItself => "its socket then heard itself over its loopback".into(),
        Receiver::Deaf => return Err(format!("the socket of `{}` heard no control", name(to))),
    };
    Ok(format!("{sent}, {heard}"))
}

#[cfg(test)]
mod tests {
    use hairpin_model::Mac;
    use hairpin_model::topology::LinkName;

    use super::*;

    fn hosts() -> Vec<Endpoint> {
        let host = |name: &str, parent: Option<&str>| Endpoint {
            name: name.into(),
            node: 0,
            link: LinkName::new(name, "eth0"),
            index: 1,
            mac: Mac([0; 6]),
            parent: parent.map(LinkName::from),
            parents: Vec::new(),
            queues_all: false,
            running: true,
        };
        vec![host("e", None), host("c1", Some("p:p0")), host("c2", Some("p:p0")), host("x", None)]
    }

    #[test]
    fn both_controls_make_a_proof() {
        let proof = blocked(&hosts(), 1, &Sender::Reached(vec![3]), &Receiver::HeardFrom(3), false);
        assert_eq!(proof.unwrap(), "a later one reached `x`, its socket then heard `x`");
    }

    #[test]
    fn a_missing_control_is_no_proof() {
        let hosts = hosts();
        assert!(blocked(&hosts, 1, &Sender::Unknown, &Receiver::HeardFrom(2), false).is_err());
        assert!(blocked(&hosts, 1, &Sender::Reached(vec![3]), &Receiver::Deaf, false).is_err());
    }

    #[test]
    fn a_queue_that_may_hold_it_leaves_no_proof() {
        let (sender, receiver) = (Sender::Reached(vec![3]), Receiver::HeardFrom(3));
        assert!(blocked(&hosts(), 1, &sender, &receiver, true).is_err());
        assert!(blocked(&hosts(), 1, &sender, &receiver, false).is_ok());
    }
}
