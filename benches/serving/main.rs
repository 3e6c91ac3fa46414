//! Benchmarks of the endpoint over real connections, each beside its reference in the same run.
//!
//! `cargo bench --profile release --bench serving -- FOLDER [PART]...` makes an endpoint's data in FOLDER once
//! (100,000 customers with 100 events each; `FULLCIRCLE_CUSTOMERS` asks for another number), then measures
//! `score`, `exposures`, `events`, `batches`, `overload` and `soak` (ten minutes; only if it is named). Servers are
//! processes of their own, on loopback; the load comes from this one. The machine's cores are shared by both, so
//! ratios and CPU seconds say more than rates.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark is a tool"
)]

mod data;
#[path = "../shared/events.rs"]
mod events;
mod load;
mod parts;
mod references;
mod servers;

use std::path::PathBuf;

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if arguments.first().is_some_and(|first| first == "child") {
        references::child(&arguments[1], &PathBuf::from(&arguments[2]));
        return;
    }
    if arguments.is_empty() {
        println!("usage: cargo bench --profile release --bench serving -- FOLDER [PART]...");
        return;
    }
    let folder = PathBuf::from(arguments.remove(0));
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|a| a == part);
    for part in ["score", "exposures", "events", "batches", "overload", "soak"] {
        if !wanted(part) || (part == "soak" && arguments.is_empty()) {
            continue;
        }
        println!("\n== {part}");
        match part {
            "score" => parts::score(&folder),
            "exposures" => parts::exposures(&folder),
            "events" => parts::events(&folder, 1),
            "batches" => parts::events(&folder, 100),
            "overload" => parts::overload(&folder),
            _ => parts::soak(&folder),
        }
    }
}
