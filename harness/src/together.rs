//! Closing much at once.

use std::thread;

/// Closes all side by side. Closing a packet socket, or a macvtap link's queue, waits for a grace period of the
/// kernel (some 10 ms, and more on a busy machine); threads that wait side by side share theirs.
pub fn close_together<T: Send>(open: impl IntoIterator<Item = T>) {
    thread::scope(|scope| {
        for one in open {
            scope.spawn(|| drop(one));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn all_are_closed_when_it_returns() {
        static CLOSED: AtomicUsize = AtomicUsize::new(0);
        struct Open;
        impl Drop for Open {
            fn drop(&mut self) {
                CLOSED.fetch_add(1, Ordering::Relaxed);
            }
        }

        close_together([Open, Open, Open]);
        assert_eq!(CLOSED.load(Ordering::Relaxed), 3);
    }
}
