//! Bytes from a peer, split in two ways: no panic, the same frames, bounded memory.
#![no_main]

use fastchat_wire::{Deframer, Frame, FrameError, FrameLimits};
use libfuzzer_sys::fuzz_target;

/// Input beyond this says nothing new, and keeps memory checks sharp.
const HEADROOM_BYTES: usize = 64 << 10;

fn read(bytes: &[u8], step: usize) -> (Vec<Frame>, Option<FrameError>, bool) {
    let mut deframer = Deframer::new(FrameLimits::DEFAULT);
    let mut frames = Vec::new();
    for piece in bytes.chunks(step) {
        deframer.push(piece);
        loop {
            match deframer.next() {
                Ok(Some(frame)) => {
                    assert_eq!(frame.pieces().concat(), frame.block, "the pieces are the block");
                    frames.push(frame);
                }
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault), false),
            }
        }
        let capacity = deframer.buffer_mut().capacity();
        assert!(capacity <= 2 * bytes.len() + HEADROOM_BYTES, "{capacity} bytes held for {}", bytes.len());
        assert!(deframer.partial_bytes() <= bytes.len());
    }
    let open = deframer.is_mid_frame();
    (frames, None, open)
}

// The first byte says how the rest is split.
fuzz_target!(|data: &[u8]| {
    let Some((step, bytes)) = data.split_first() else { return };
    let step = usize::from(*step).max(1);
    assert_eq!(read(bytes, step), read(bytes, usize::MAX), "the split changed something");
});
