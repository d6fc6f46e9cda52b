//! A guest that has run a rehearsal and is copied for each job, with all that its QEMU has translated by then.
//!
//! A woken guest translates everything anew, which is most of what a short job costs. The price of a copy is that its
//! kernel has run the rehearsal: the same for all copies, and never another job.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use hairpin_guest::wire::{Ready, ToGuest, ToHost};
use serde_json::Value;

use super::Job;
use super::drive;
use crate::qemu::{Guest, Heard, Refused, Zygote};

type Answer = Result<Guest, Refused>;

/// A stopped guest that has rehearsed.
pub(crate) struct Rehearsed {
    /// Where copies are asked for: at a thread of its own, which alone may make them.
    orders: Mutex<Sender<Sender<Answer>>>,
}

impl Rehearsed {
    /// Has the guest rehearse, makes it ready for jobs like `beforehand`, and stops it.
    pub(crate) fn new(
        mut guest: Guest,
        ready: &Ready,
        rehearsal: &Job,
        beforehand: Option<&Job>,
    ) -> Result<Self, Refused> {
        drive::rehearse(&mut guest, ready, rehearsal).map_err(Refused)?;
        if let Some(job) = beforehand {
            prepare(&mut guest, job)?;
        }
        guest.ask("stop", Value::Null)?;
        let (orders, taken) = channel();
        let (is_up, up) = channel();
        std::thread::spawn(move || serve(guest, &is_up, &taken));
        up.recv().map_err(|_| gone())??;
        Ok(Self { orders: Mutex::new(orders) })
    }

    /// A copy, which runs.
    pub(crate) fn copy(&self) -> Answer {
        let (answer, copy) = channel();
        let orders = self.orders.lock().expect("nobody panics with the lock");
        orders.send(answer).map_err(|_| gone())?;
        drop(orders);
        let mut copy = copy.recv().map_err(|_| gone())??;
        copy.ask("cont", Value::Null)?;
        Ok(copy)
    }
}

/// Makes copies until nobody can ask for one, or one cannot be made: what is wrong with it is then not known.
fn serve(guest: Guest, is_up: &Sender<Result<(), Refused>>, orders: &Receiver<Sender<Answer>>) {
    let refused = |error: std::io::Error| Refused(error.to_string());
    let zygote = Zygote::of(guest).map_err(refused);
    let told = is_up.send(zygote.as_ref().map(drop).map_err(Clone::clone));
    let (Ok(zygote), Ok(())) = (zygote, told) else { return };
    for answer in orders {
        let copy = zygote.fork().map_err(refused);
        let is_last = copy.is_err();
        // Who asked may be gone; the copy then goes, too.
        drop(answer.send(copy));
        if is_last {
            return;
        }
    }
}

fn prepare(guest: &mut Guest, job: &Job) -> Result<(), Refused> {
    guest.say(&ToGuest::Prepare(job.order()));
    match guest.hear(Instant::now() + job.deadline) {
        Heard::Message(ToHost::Prepared(_)) => Ok(()),
        heard => Err(Refused(format!("`{}` cannot be started: {heard:?}", job.program))),
    }
}

fn gone() -> Refused {
    Refused("the guest that is copied is gone".into())
}
