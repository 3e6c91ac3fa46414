//! Benchmarks of the kernel, each beside its reference in the same run, as ratios of CPU seconds.
//!
//! `cargo bench --profile release --bench kernel -- FOLDER [PART]...` makes 10 million events of 160,000
//! customers in FOLDER once, imports them once, and then measures the parts: `import`, `view`, `training`,
//! `preview`,
//! `insights`, `live`. Each measurement is a process of its own, so that nothing is warm that is not meant
//! to be; what is warm is said. The reference SQL was the best of many that were tried; it is beside this
//! file, and its results are compared with the kernel's, value by value.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark is a tool")]

mod data;
#[path = "../shared/events.rs"]
mod events;
mod insights;
mod live;
mod measure;
mod parts;

use std::path::PathBuf;

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if arguments.first().is_some_and(|first| first == "child") {
        parts::child(&arguments[1], &PathBuf::from(&arguments[2]), &arguments[3..]);
        return;
    }
    let folder = if arguments.is_empty() {
        println!("usage: cargo bench --profile release --bench kernel -- FOLDER [PART]...");
        return;
    } else {
        PathBuf::from(arguments.remove(0))
    };
    let all = ["import", "view", "training", "preview", "insights", "live"];
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|a| a == part);
    if wanted("hot") && !arguments.is_empty() {
        live::hot();
        return;
    }
    data::make(&folder);
    for part in all.into_iter().filter(|part| wanted(part)) {
        println!("\n== {part}");
        match part {
            "import" => parts::import(&folder),
            "view" => parts::view(&folder),
            "training" => parts::training(&folder),
            "preview" => parts::preview(&folder),
            "insights" => parts::insights(&folder),
            _ => live::live(),
        }
    }
}
