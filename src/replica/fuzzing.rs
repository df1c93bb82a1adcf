//! Change sets of any content whose checksums are right, for the fuzz targets.

use super::change_set::{ChangeSetHeader, Payload};

/// A sealed change set of the incarnation `[7; 16]`: from, to, revision, compact revision and previous, whether the leases
/// told are all there are, packed leases, packed records.
pub fn seal_changes(numbers: [u64; 5], leases_complete: bool, leases: &[u8], records: &[u8]) -> Vec<u8> {
    let [from, to, revision, compact_revision, previous] = numbers;
    let header = ChangeSetHeader { incarnation: [7; 16], epoch: 1, from, to, revision, compact_revision, previous };
    Payload { leases_complete, leases: leases.to_vec(), records: records.to_vec() }.seal(&header).bytes
}
