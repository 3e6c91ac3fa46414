//! The fuzz targets of `tests/fuzz` over their kept corpus, and over mutations of it. libFuzzer, which is guided by
//! coverage, runs them for longer (`.ci/fuzz`); this needs no other compiler, and keeps what was once found.
//!
//! `FUZZ_SECONDS` is the time for each target; without it, each has few mutations.

#![allow(clippy::print_stderr, reason = "figures for --nocapture")]

use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../fuzz/lib.rs"]
#[allow(unreachable_pub, reason = "it is a crate of its own for libFuzzer")]
mod targets;

use targets::{TARGETS, Target};

/// Mutations of each target where no time is said.
const MUTATIONS: usize = 400;
/// Maximum size of an input, in bytes.
const MAX_BYTES: usize = 16_384;
/// A target that takes longer for one input hangs.
const SLOW: Duration = Duration::from_secs(20);

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Runs a target, and says on which bytes it failed.
fn run(&(name, target): &Target, bytes: &[u8]) {
    let started = Instant::now();
    let returned = catch_unwind(|| target(bytes));
    let shown = String::from_utf8_lossy(bytes);
    assert!(returned.is_ok(), "{name} panics on {} bytes: {bytes:?}\n{shown}", bytes.len());
    assert!(started.elapsed() < SLOW, "{name} hangs on {} bytes: {bytes:?}\n{shown}", bytes.len());
}

/// Numbers of xorshift64*, so that a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }

    fn range(&mut self, n: usize) -> std::ops::Range<usize> {
        let start = self.below(n + 1);
        start..start + self.below((n - start).min(64) + 1)
    }
}

const TEXTS: [&str; 24] = [
    "0",
    "-1",
    "1e309",
    "nan",
    "-inf",
    "9223372036854775807",
    "18446744073709551616",
    "4294967295",
    "65536",
    "1e-320",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\\ud800",
    "\u{0}",
    "\n\n",
    " ",
    "(",
    ")",
    "[",
    "]",
    "=",
];

/// Some changes of an input, with parts of others.
fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let n = bytes.len();
        let range = random.range(n);
        match random.below(9) {
            0 if n > 0 => {
                let at = random.below(n);
                bytes[at] ^= 1 << random.below(8);
            }
            1 if n > 0 => {
                let at = random.below(n);
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b'"'][random.below(8)];
            }
            2 => _ = bytes.drain(range),
            3 => {
                let part = bytes[range.clone()].to_vec();
                let times = 1 << random.below(8);
                bytes.splice(range.end..range.end, part.repeat(times));
            }
            4 => {
                let other = &corpus[random.below(corpus.len())];
                let part = other[random.range(other.len())].to_vec();
                bytes.splice(range, part);
            }
            5 => _ = bytes.splice(range, TEXTS[random.below(TEXTS.len())].bytes()),
            6 => {
                // A number that is there becomes another one.
                let is_digit = |at: &usize| bytes[*at].is_ascii_digit();
                let digits: Vec<usize> = (0..n).filter(is_digit).collect();
                if let Some(at) = digits.get(random.below(digits.len())).copied() {
                    bytes.splice(at..=at, TEXTS[random.below(10)].bytes());
                }
            }
            7 => {
                // A line, or a part between blanks, goes or comes twice.
                let blank = |at: &usize| bytes[*at] == b'\n';
                let lines: Vec<usize> = (0..n).filter(blank).collect();
                if let Some(start) = lines.get(random.below(lines.len())).copied() {
                    let end = lines.iter().copied().find(|end| *end > start).unwrap_or(n);
                    let line = bytes[start..end].to_vec();
                    let times = [0, 2, 3][random.below(3)];
                    bytes.splice(start..end, line.repeat(times));
                }
            }
            _ => bytes.truncate(range.start),
        }
        bytes.truncate(MAX_BYTES);
    }
    bytes
}

#[test]
fn every_kept_input_is_read_or_refused() {
    for target in &TARGETS {
        let corpus = corpus(target.0);
        assert!(!corpus.is_empty(), "{} has no corpus", target.0);
        corpus.iter().for_each(|bytes| run(target, bytes));
    }
}

fn mutations_are_read_or_refused(name: &str) {
    let seconds: Option<u64> =
        std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let seed =
        std::env::var("FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x9e37_79b9);
    let target = TARGETS.iter().find(|(own, _)| *own == name).unwrap();
    let (corpus, mut random, started) = (corpus(name), Random(seed), Instant::now());
    let mut n = 0;
    while seconds.map_or(n < MUTATIONS, |seconds| started.elapsed() < Duration::from_secs(seconds))
    {
        run(target, &mutated(&corpus, &mut random));
        n += 1;
    }
    eprintln!("{name}: {n} executions in {:.1} s, 0 crashes", started.elapsed().as_secs_f64());
}

#[test]
fn mutated_definitions_are_read_or_refused() {
    mutations_are_read_or_refused("configuration");
}

#[test]
fn mutated_expressions_are_read_or_refused() {
    mutations_are_read_or_refused("expressions");
}

#[test]
fn mutated_logs_are_read_or_refused() {
    mutations_are_read_or_refused("frames");
}

#[test]
fn mutated_functions_are_read_or_refused() {
    mutations_are_read_or_refused("functions");
}

#[test]
fn mutated_models_of_lightgbm_are_read_or_refused() {
    mutations_are_read_or_refused("lightgbm");
}

#[test]
fn mutated_onnx_files_are_read_or_refused() {
    mutations_are_read_or_refused("onnx");
}

#[test]
fn mutated_segment_calls_are_read_or_refused() {
    mutations_are_read_or_refused("segment_calls");
}

#[test]
fn mutated_timelines_are_read_or_refused() {
    mutations_are_read_or_refused("timelines");
}
