//! Sessions against a scripted server that speaks real frames over sockets.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "session/fake.rs"]
mod fake;
#[path = "session/hostile.rs"]
mod hostile;
#[path = "session/marking.rs"]
mod marking;
#[path = "session/moving.rs"]
mod moving;
#[path = "session/receiving.rs"]
mod receiving;
#[path = "session/sending.rs"]
mod sending;
#[path = "session/shaky.rs"]
mod shaky;
#[path = "session/signing_in.rs"]
mod signing_in;
#[path = "session/transfer.rs"]
mod transfer;
