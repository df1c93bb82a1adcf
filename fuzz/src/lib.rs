//! What the fuzz targets share: an engine with a life behind it, how an input is cut, and the seeds to start from.
//!
//! A target promises for every input: no panic, an error changes nothing, every invariant of [`Engine::check`] holds, and
//! what was written is recovered. libFuzzer adds: no second without an end, no memory without bound.

mod input;
pub mod sealed;
mod seeds;
mod story;

pub use input::Input;
pub use seeds::write as write_seeds;
pub use story::{engine, finish, options, recovered, store, tell, write};
