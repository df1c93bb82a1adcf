//! A leader and a follower, as the cases of tabs have them.

use revkv::{Engine, EngineOptions, Follower, Leader, Outgoing};

use super::script::Store;

/// A put as the package packs it: the variant, the fields, integers of fixed width.
pub fn packed(key: &str, value: &str) -> Vec<u8> {
    let bytes = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    [&0_u32.to_le_bytes()[..], &bytes(key), &bytes(value), &[0; 8], &[0; 3]].concat()
}

/// A leader and a follower between whom nothing is lost.
pub struct Pair {
    pub store: Store,
    pub leader: Leader,
    pub replica: Engine,
    pub follower: Follower,
    /// How many messages there were.
    pub carried: usize,
}

impl Pair {
    /// Both have two puts of `a`.
    pub fn new() -> Self {
        let mut pair = Self::of(Store::with_puts_of("a", 2));
        let told = Leader::new(1, &pair.store.engine).1;
        pair.carry(told);
        pair
    }

    /// The follower has heard of no leader yet.
    pub fn of(mut store: Store) -> Self {
        store.flush();
        let (leader, _) = Leader::new(1, &store.engine);
        let mut replica = Engine::new(EngineOptions::default());
        replica.start().expect("nothing is stored");
        Self { store, leader, replica, follower: Follower::new(2, 1), carried: 0 }
    }

    /// Carries messages until there are no more.
    pub fn carry(&mut self, mut outgoing: Vec<Outgoing>) {
        while let Some(Outgoing { to, bytes }) = outgoing.pop() {
            self.carried += 1;
            outgoing.extend(match to {
                1 => self.leader.handle(&mut self.store.engine, &bytes, 0).expect("it leads"),
                _ => self.follower.handle(&mut self.replica, &bytes, 0),
            });
        }
        self.replica.check();
    }

    pub fn submit(&mut self, key: &str, value: &str) -> u64 {
        let (number, outgoing) = self.follower.submit(&self.replica, &packed(key, value)).expect("there is room");
        self.carry(outgoing);
        number
    }

    pub fn stored(&mut self) {
        self.store.flush();
        let outgoing = self.leader.advance(&self.store.engine);
        self.carry(outgoing);
    }
}
