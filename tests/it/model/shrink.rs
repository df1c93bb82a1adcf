//! From a long sequence of steps that fails to a short one that still does.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// Each attempt plays the sequence from the start. So many steps in all are some seconds, for a long sequence too.
const STEPS_PLAYED_MAX: usize = 400_000;

thread_local! {
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The panic of `body`, if it does, with its place. It is not printed.
pub fn failure_of(body: impl FnOnce()) -> Option<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| match CAUGHT.get() {
            true => MESSAGE.set(info.to_string()),
            false => default(info),
        }));
    });
    CAUGHT.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(body));
    CAUGHT.set(false);
    outcome.err().map(|_| MESSAGE.take())
}

/// Drops runs of steps, ever shorter ones, as long as playing what remains fails.
pub fn shrink(mut steps: Vec<u64>, play: impl Fn(&[u64])) -> Vec<u64> {
    let mut played = 0;
    let mut run = steps.len() / 2;
    while run > 0 {
        let mut at = 0;
        let mut shorter = false;
        while at < steps.len() && played < STEPS_PLAYED_MAX {
            played += steps.len();
            let mut fewer = steps.clone();
            fewer.drain(at..steps.len().min(at + run));
            if failure_of(|| play(&fewer)).is_some() {
                (steps, shorter) = (fewer, true);
            } else {
                at += run;
            }
        }
        if !shorter || run > 1 {
            run /= 2;
        }
    }
    steps
}
