//! Integration tests: the engine through its public verbs, and the rules of the source tree.

mod cases;
mod invariants;
mod model;
mod op;
mod subject;
mod tidy;
mod traces;
