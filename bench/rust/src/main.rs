// SPDX-License-Identifier: Apache-2.0
//! The original's side of suite `wire`: packs and unpacks on request, and says how long it took.
//!
//! Reads commands from its standard input, one a line, and answers each with one line:
//!
//! | command | answer |
//! |---|---|
//! | `message HEX` | `ok`, when packing what these bytes say gives them back; else `error TEXT` |
//! | `pack N`, `unpack N` | `ns T`: what N of them took together |

use kvbm_physical::manager::{LogicalLayoutDescriptor, SerializedLayout, WorkerAddress};
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

/// Inputs of `pack`, which takes them by value, are cloned in front of the clock, as many at once
/// as allow it not to be noticed and them to stay in the nearest cache.
const CLONED_BYTES: usize = 8 << 10;
const CLONES_MAX: usize = 16;

struct Message {
    serialized: SerializedLayout,
    worker: WorkerAddress,
    blob: Vec<u8>,
    layouts: Vec<LogicalLayoutDescriptor>,
}

impl Message {
    fn read(hex: &str) -> Result<Self, String> {
        let bytes = from_hex(hex).ok_or("not hex")?;
        let serialized = SerializedLayout::from_bytes(bytes);
        let read = serialized.unpack().map_err(|error| error.to_string())?;
        let message = Message {
            serialized,
            worker: read.worker_address,
            blob: read.nixl_metadata,
            layouts: read.layouts,
        };
        let (worker, blob, layouts) = message.inputs();
        let packed =
            SerializedLayout::pack(worker, blob, layouts).map_err(|error| error.to_string())?;
        if packed.as_bytes() != message.serialized.as_bytes() {
            return Err("packed again, these are other bytes".to_string());
        }
        Ok(message)
    }

    fn inputs(&self) -> (WorkerAddress, Vec<u8>, Vec<LogicalLayoutDescriptor>) {
        (self.worker.clone(), self.blob.clone(), self.layouts.clone())
    }

    fn pack(&self, operations: usize) -> Duration {
        let at_once = (CLONED_BYTES / self.serialized.len()).clamp(1, CLONES_MAX);
        let mut taken = Duration::ZERO;
        let mut left = operations;
        while left != 0 {
            let clones = left.min(at_once);
            left -= clones;
            let inputs: Vec<_> = (0..clones).map(|_| self.inputs()).collect();
            let begin = Instant::now();
            for (worker, blob, layouts) in inputs {
                drop(black_box(SerializedLayout::pack(worker, blob, layouts)));
            }
            taken += begin.elapsed();
        }
        taken
    }

    fn unpack(&self, operations: usize) -> Duration {
        let begin = Instant::now();
        for _ in 0..operations {
            drop(black_box(black_box(&self.serialized).unpack()));
        }
        begin.elapsed()
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() % 2 != 0 {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn answer(line: &str, message: &mut Option<Message>) -> Result<String, String> {
    let (command, argument) = line.split_once(' ').ok_or("no argument")?;
    if command == "message" {
        *message = Some(Message::read(argument)?);
        return Ok("ok".to_string());
    }
    let operations: usize = argument.parse().map_err(|_| "not a number")?;
    let message = message.as_ref().ok_or("no message yet")?;
    let taken = match command {
        "pack" => message.pack(operations),
        "unpack" => message.unpack(operations),
        _ => return Err("no such command".to_string()),
    };
    Ok(format!("ns {}", taken.as_nanos()))
}

fn main() -> std::io::Result<()> {
    let mut message = None;
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        match answer(&line?, &mut message) {
            Ok(text) => writeln!(out, "{text}")?,
            Err(text) => writeln!(out, "error {}", text.replace('\n', " "))?,
        }
        out.flush()?;
    }
    Ok(())
}
