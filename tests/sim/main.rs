//! Simulation: the engine with a host around it and a medium below, which stop, fail, or are damaged at every point.
//!
//! The media are models of how storage fails ([`medium`]), the host does what the package's does ([`host`]), and what
//! comes back is compared with a list that neither has a part in ([`truth`]).

mod act;
mod bounds;
mod crew;
mod damage;
mod failures;
mod host;
mod medium;
mod stops;
mod story;
mod takeover;
mod truth;
mod workload;
