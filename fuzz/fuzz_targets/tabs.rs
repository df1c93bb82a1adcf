//! Any messages to a tab that leads and to one that follows, and whatever they say to each other about it.
#![no_main]

use std::collections::VecDeque;

use libfuzzer_sys::fuzz_target;
use revkv::{Engine, Follower, Leader, Message};
use revkv_fuzz::{Input, engine, finish, options, write};

fuzz_target!(init: revkv_fuzz::write_seeds("tabs"), |data: &[u8]| {
    let mut input = Input(data);
    let (mut leading, mut blobs) = engine();
    let mut following = Engine::new(revkv::EngineOptions { blob_bytes_max: 0, ..options() });
    following.start().expect("nothing is stored");
    let (mut leader, told) = Leader::new(1, &leading);
    let mut follower = Follower::new(2, 1);
    let mut now_ms = 2_000;
    let mut waiting: VecDeque<Vec<u8>> = told.into_iter().map(|outgoing| outgoing.bytes).collect();
    while !input.is_empty() {
        now_ms += u64::from(input.u8()) * 100;
        let bytes = input.piece();
        if let Some(message) = Message::read(bytes) {
            assert_eq!(message.pack(), bytes, "a message does not pack to the bytes it was read from");
        }
        waiting.push_back(bytes.to_vec());
        waiting.extend(leader.tick(&mut leading, now_ms).into_iter().map(|outgoing| outgoing.bytes));
        waiting.extend(follower.tick(&following, now_ms).into_iter().map(|outgoing| outgoing.bytes));
        // Each message is answered by few, and those by fewer: but what is forged may go on for ever.
        for _ in 0..32 {
            let Some(bytes) = waiting.pop_front() else { break };
            let Ok(answers) = leader.handle(&mut leading, &bytes, now_ms) else { return };
            waiting.extend(answers.into_iter().map(|outgoing| outgoing.bytes));
            let asked = follower.handle(&mut following, &bytes, now_ms);
            waiting.extend(asked.into_iter().map(|outgoing| outgoing.bytes));
            following.check();
        }
        if let Some(ready) = leading.take_ready() {
            write(&mut leading, ready, &mut blobs);
            waiting.extend(leader.advance(&leading).into_iter().map(|outgoing| outgoing.bytes));
        }
        leading.check();
    }
    finish(leading, blobs);
});
