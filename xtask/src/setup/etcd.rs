//! A real etcd, which mirrors are tried on.

use anyhow::Result;

use super::Piece;
use super::apt::{find, install_with_apt};
use crate::project::Project;

/// The server.
pub const ETCD: Piece = Piece { name: "etcd", find: find_etcd, install: install_etcd, variable: Some("ETCD") };

fn find_etcd(_: &Project) -> Result<Option<String>> {
    find("ETCD", &["etcd"])
}

fn install_etcd(project: &Project) -> Result<()> {
    let by_hand = "install etcd (Debian: `apt-get install etcd-server`) and have it on PATH, or name it in the environment \
                   variable ETCD";
    install_with_apt(project, &["etcd-server"], by_hand)
}
