//! A counting semaphore: how many may do something at once.

use std::sync::{Arc, Condvar, Mutex};

/// So many places.
#[derive(Clone)]
pub(crate) struct Slots {
    inner: Arc<(Mutex<usize>, Condvar)>,
}

/// One place; dropping it frees it.
pub(crate) struct Slot {
    slots: Slots,
}

impl Slots {
    /// That many places, at least one.
    pub(crate) fn new(places: usize) -> Self {
        Self { inner: Arc::new((Mutex::new(places.max(1)), Condvar::new())) }
    }

    /// Waits for a place.
    pub(crate) fn take(&self) -> Slot {
        let (free, freed) = &*self.inner;
        let guard = free.lock().expect("nobody panics holding it");
        let mut free =
            freed.wait_while(guard, |free| *free == 0).expect("nobody panics holding it");
        *free -= 1;
        Slot { slots: self.clone() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let (free, freed) = &*self.slots.inner;
        *free.lock().expect("nobody panics holding it") += 1;
        freed.notify_one();
    }
}
