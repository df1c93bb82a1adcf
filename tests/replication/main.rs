//! Stores that follow others: the merging of a snapshot with what comes after it, and what is told on the way.

mod histories;
mod interleavings;
mod mirrors;
mod schedules;
mod tabs;
