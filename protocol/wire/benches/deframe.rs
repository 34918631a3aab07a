//! What framing costs: taking requests out of a byte stream, and writing them.
//!
//! `make bench` prints two lines for each block size, the best of several rounds, such as
//!
//! ```text
//! deframe  block    256 B  …  ns/frame  …  MB/s
//! ```
//!
//! ns per frame is what a server pays for each request before it knows what is
//! asked; MB/s counts headers and blocks. Figures of two machines don't compare;
//! two commits on one quiet machine do.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use bytes::Bytes;
use fastchat_wire::{Block, Deframer, EncodeError, EntryId, FrameError, FrameLimits, LogId, chat::append::Append, encode_request};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Block sizes: an empty one, a short message, a long one, a piece of a file.
const BLOCK_BYTES: [usize; 4] = [0, 256, 4 << 10, 64 << 10];
/// Bytes of each stream, about.
const STREAM_BYTES: usize = 16 << 20;
/// Most frames of a stream.
const FRAMES_MAX: usize = 50_000;
/// What one read of a socket brings.
const READ_BYTES: usize = 64 << 10;
/// Each figure is the best of so many rounds.
const ROUNDS: usize = 9;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("machine  {}", machine());
    for block_bytes in BLOCK_BYTES {
        let frames = (STREAM_BYTES / (block_bytes + 200)).min(FRAMES_MAX);
        let (stream, written) = best(|| write(frames, block_bytes))?;
        let (read, taken) = best(|| deframe(&stream))?;
        assert_eq!(read, frames, "every frame that was written is read");
        print("encode", block_bytes, frames, stream.len(), written);
        print("deframe", block_bytes, frames, stream.len(), taken);
    }
    Ok(())
}

fn write(frames: usize, block_bytes: usize) -> Result<Bytes, EncodeError> {
    let append = Append {
        log: LogId([7; 16]),
        entry: EntryId([9; 16]),
        kind: "message".into(),
        epoch: Some(3),
    };
    let block = Block::binary(vec![b'x'; block_bytes]);
    let mut stream = Vec::with_capacity(frames * (block_bytes + 200));
    for id in 1..=frames as u64 {
        stream.extend_from_slice(&encode_request(id, black_box(&append), black_box(&block))?);
    }
    Ok(stream.into())
}

/// Reads the stream as a connection does, down to the verb's arguments.
fn deframe(stream: &[u8]) -> Result<usize, FrameError> {
    let mut deframer = Deframer::new(FrameLimits::DEFAULT);
    let mut frames = 0;
    for read in stream.chunks(READ_BYTES) {
        deframer.push(read);
        while let Some(frame) = deframer.next()? {
            let append: Append = frame.parse().map_err(|e| FrameError::bad(None, e.message))?;
            black_box((append, frame.block));
            frames += 1;
        }
    }
    Ok(frames)
}

fn best<T, E>(mut round: impl FnMut() -> Result<T, E>) -> Result<(T, Duration), E> {
    let mut timed = || {
        let start = Instant::now();
        round().map(|value| (value, start.elapsed()))
    };
    let mut best = timed()?;
    for _ in 1..ROUNDS {
        let next = timed()?;
        if next.1 < best.1 {
            best = next;
        }
    }
    Ok(best)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn print(what: &str, block_bytes: usize, frames: usize, stream_bytes: usize, took: Duration) {
    let ns = took.as_nanos() as f64 / frames as f64;
    let mb_per_s = stream_bytes as f64 / 1e6 / took.as_secs_f64();
    println!("{what:7}  block {block_bytes:6} B  {ns:7.0} ns/frame  {mb_per_s:6.0} MB/s");
}

fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{} {}, {cpus} CPUs, {}",
        std::env::consts::OS,
        std::env::consts::ARCH,
        model.map_or("unknown model", |(_, model)| model)
    )
}
