//! The data: 10 million events, made and imported once.

use std::path::Path;

use workspace::{ExportFormat, Job, Options, Project, generate};

/// Events and customers of the benchmark.
const EVENTS: usize = 10_000_000;
const CUSTOMERS: usize = 160_000;
const SEED: u64 = 7;
/// Rows of the spine of the training set.
const SPINE_ROWS: usize = 200_000;

/// Makes what is missing of the data.
pub(crate) fn make(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (file, format) in
        [("events.parquet", ExportFormat::Parquet), ("events.csv", ExportFormat::Csv)]
    {
        let path = folder.join(file);
        if !path.exists() {
            println!("making {file}");
            generate(CUSTOMERS, EVENTS, SEED, format, &path).unwrap();
        }
    }
    let project = folder.join("project");
    if project.join("warehouse.duckdb").exists() {
        return;
    }
    println!("importing");
    let opened = Project::open(&project).unwrap();
    let job = Job::unwatched();
    opened.import(&[folder.join("events.parquet")], &Options::default(), &job).unwrap();
    std::fs::write(project.join("views/bench.toml"), include_str!("view.toml")).unwrap();
    std::fs::write(project.join("models/bench.toml"), include_str!("model.toml")).unwrap();
    // Half of the spine at random times of random customers, half at carts and checkouts.
    let spine = format!(
        "SELECT customer_id, event_time AS as_of FROM (
            (SELECT customer_id, event_time FROM events WHERE event IN ('cart_viewed', 'checkout_started')
             ORDER BY hash(seq) LIMIT {half})
            UNION ALL
            (SELECT a.customer_id, b.event_time FROM
                (SELECT customer_id, row_number() OVER (ORDER BY hash(seq)) AS n FROM events
                 ORDER BY n LIMIT {half}) a
                JOIN (SELECT event_time, row_number() OVER (ORDER BY hash(seq + 1)) AS n FROM events
                 ORDER BY n LIMIT {half}) b USING (n)))
         ORDER BY hash(customer_id, event_time)",
        half = SPINE_ROWS / 2
    );
    opened.export(&spine, &folder.join("spine.parquet"), &job).unwrap();
}
