//! CPU seconds, wall seconds and memory of this process, and of children.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// What a piece of work took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) cpu: f64,
    pub(crate) wall: f64,
    pub(crate) peak_mb: f64,
}

/// User and system seconds of this process, in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

/// The most memory that this process ever had, in MB.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Runs a piece of work and says what it took of this process.
pub(crate) fn cost<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (cpu, started) = (cpu_seconds(), Instant::now());
    let result = work();
    let cost = Cost {
        cpu: cpu_seconds() - cpu,
        wall: started.elapsed().as_secs_f64(),
        peak_mb: peak_mb(),
    };
    (result, cost)
}

/// The median cost of an odd number of runs, by CPU.
pub(crate) fn median(n: usize, mut work: impl FnMut()) -> Cost {
    let mut costs: Vec<Cost> = (0..n).map(|_| cost(&mut work).1).collect();
    costs.sort_by(|left, right| left.cpu.total_cmp(&right.cpu));
    costs[n / 2]
}

/// Prints a cost as the parent reads it, all of this process included.
pub(crate) fn say(name: &str, cost: Cost) {
    println!("cost {name} {} {} {}", cost.cpu, cost.wall, cost.peak_mb);
}

/// The cost of this whole process so far.
pub(crate) fn whole(started: Instant) -> Cost {
    Cost { cpu: cpu_seconds(), wall: started.elapsed().as_secs_f64(), peak_mb: peak_mb() }
}

/// Runs a child that measures, shows what it says, and gives the costs that it names.
pub(crate) fn child(name: &str, folder: &Path, more: &[&str]) -> Vec<(String, Cost)> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child", name])
        .arg(folder)
        .args(more)
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{name} failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut costs = Vec::new();
    for line in text.lines() {
        let Some(said) = line.strip_prefix("cost ") else {
            println!("   {line}");
            continue;
        };
        let fields: Vec<&str> = said.split(' ').collect();
        let number = |place: usize| fields[place].parse::<f64>().unwrap();
        let cost = Cost { cpu: number(1), wall: number(2), peak_mb: number(3) };
        let Cost { cpu, wall, peak_mb } = cost;
        println!("   {:<34} {cpu:>8.2} cpu-s {wall:>8.2} s {peak_mb:>8.0} MB", fields[0]);
        costs.push((fields[0].to_owned(), cost));
    }
    costs
}

/// Prints a ratio of CPU seconds beside what was asked for.
pub(crate) fn ratio(what: &str, ours: Cost, reference: Cost, asked: f64) {
    println!(
        "   {what}: {:.3}x of the reference's CPU (asked: at most {asked}x)",
        ours.cpu / reference.cpu
    );
}
