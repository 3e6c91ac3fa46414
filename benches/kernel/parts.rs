//! What is measured over 10 million events, beside the best SQL.

use std::path::Path;
use std::time::Instant;

use kernel::features::{Bound, Knowledge, SpineRows, View, ViewDefinition, compute};
use warehouse::Warehouse;
use workspace::{Draft, Job, Options, Project, Time, Value};

use crate::measure::{Cost, child as run, cost, median, ratio, say, whole};

/// As of the end of the data.
const AS_OF: &str = "2025-06-30T00:00:00Z";
const THREADS: usize = 2;

fn find(costs: &[(String, Cost)], name: &str) -> Cost {
    costs.iter().find(|(known, _)| known == name).map(|(_, cost)| *cost).unwrap()
}

pub(crate) fn import(folder: &Path) {
    for (format, asked) in [("csv", 1.0), ("parquet", 0.9)] {
        let reference = run("ctas", folder, &[format]);
        let ours = run("import", folder, &[format]);
        let (reference, ours) = (find(&reference, "ctas"), find(&ours, "import+timelines"));
        ratio(&format!("{format}, timelines ready"), ours, reference, asked);
        println!("   memory: {:.2}x", ours.peak_mb / reference.peak_mb);
    }
}

pub(crate) fn view(folder: &Path) {
    let sql = run("view-sql", folder, &[]);
    let ours = run("view", folder, &[]);
    ratio("cold", find(&ours, "cold"), find(&sql, "cold"), 0.5);
    ratio("warm", find(&ours, "warm"), find(&sql, "warm"), 0.1);
}

pub(crate) fn training(folder: &Path) {
    let sql = run("training-sql", folder, &[]);
    let ours = run("training", folder, &[]);
    ratio("cold", find(&ours, "cold"), find(&sql, "cold"), 0.15);
    ratio("warm", find(&ours, "warm"), find(&sql, "warm"), 0.04);
    let warm = find(&ours, "warm").cpu;
    for (name, what) in [("half-events", "half the events"), ("half-rows", "half the rows")] {
        println!("   {what}: {:.2}x of the CPU", find(&ours, name).cpu / warm);
    }
}

pub(crate) fn preview(folder: &Path) {
    run("preview", folder, &[]);
}

pub(crate) fn insights(folder: &Path) {
    let costs = run("insights", folder, &[]);
    for (name, asked) in [
        ("retention", 0.2),
        ("funnel", 0.2),
        ("trends", 1.2),
        ("lifecycle", 1.2),
        ("stickiness", 1.2),
        ("paths", 1.2),
    ] {
        let of = |side: &str| {
            let wanted = format!("{name}-{side}");
            costs.iter().find(|(known, _)| *known == wanted).unwrap().1
        };
        ratio(name, of("ours"), of("sql"), asked);
    }
}

/// A piece of work in a process of its own.
pub(crate) fn child(name: &str, folder: &Path, more: &[String]) {
    let started = Instant::now();
    match name {
        "ctas" => ctas(folder, &more[0], started),
        "import" => import_child(folder, &more[0], started),
        "view-sql" => sql(folder, &view_sql(), started),
        "training-sql" => {
            let spine = folder.join("spine.parquet");
            let setup = format!("CREATE TEMP TABLE spine AS FROM '{}'", spine.display());
            sql_after(folder, Some(&setup), include_str!("training.sql"), started);
        }
        "view" => view_child(folder, started),
        "training" => training_child(folder, started),
        "insights" => crate::insights::child(folder, open),
        _ => preview_child(folder),
    }
}

fn view_sql() -> String {
    include_str!("view.sql").replace("{as_of}", "TIMESTAMP '2025-06-30'")
}

#[allow(clippy::disallowed_methods, reason = "the reference has an instance of its own")]
fn open(file: &Path) -> duckdb::Connection {
    let connection = duckdb::Connection::open(file).unwrap();
    connection.execute_batch(&format!("SET threads = {THREADS}")).unwrap();
    connection
}

/// A plain typed table of the file, in a database of its own, checkpointed.
fn ctas(folder: &Path, format: &str, started: Instant) {
    let database = folder.join("ctas.duckdb");
    drop(std::fs::remove_file(&database));
    let file = folder.join(format!("events.{format}"));
    let from = match format {
        "csv" => format!(
            "read_csv('{}', columns = {{'customer_id': 'VARCHAR', 'event': 'VARCHAR', 'event_time': 'TIMESTAMP',
                'channel': 'VARCHAR', 'category': 'VARCHAR', 'product': 'VARCHAR',
                'amount': 'DOUBLE', 'quantity': 'DOUBLE', 'detail': 'VARCHAR',
                'experiment': 'VARCHAR', 'variant': 'VARCHAR', 'version': 'DOUBLE',
                'probability': 'DOUBLE'}})",
            file.display()
        ),
        _ => format!("read_parquet('{}')", file.display()),
    };
    let connection = open(&database);
    connection
        .execute_batch(&format!("CREATE TABLE events AS SELECT * FROM {from}; CHECKPOINT"))
        .unwrap();
    drop(connection);
    println!("file of {} MB", std::fs::metadata(&database).unwrap().len() / 1_000_000);
    say("ctas", whole(started));
    std::fs::remove_file(&database).unwrap();
}

fn import_child(folder: &Path, format: &str, started: Instant) {
    let path = folder.join("imported");
    drop(std::fs::remove_dir_all(&path));
    let project = Project::open(&path).unwrap();
    let file = folder.join(format!("events.{format}"));
    let job = Job::unwatched();
    let report = project.import(&[file], &Options::default(), &job).unwrap();
    say("import", whole(started));
    let catalog = project.catalog().unwrap();
    let timelines = project.timelines(&catalog, &job).unwrap();
    println!(
        "{} accepted, {} rejected; timelines of {} events in {} MB; file of {} MB",
        report.accepted,
        report.rejected,
        timelines.n_events(),
        timelines.bytes() / 1_000_000,
        std::fs::metadata(path.join("warehouse.duckdb")).unwrap().len() / 1_000_000
    );
    drop(project);
    say("import+timelines", whole(started));
    std::fs::remove_dir_all(&path).unwrap();
}

fn sql(folder: &Path, query: &str, started: Instant) {
    sql_after(folder, None, query, started);
}

/// Runs a query over the same warehouse: once in a new process, then again.
fn sql_after(folder: &Path, setup: Option<&str>, query: &str, started: Instant) {
    let connection = open(&folder.join("project/warehouse.duckdb"));
    if let Some(setup) = setup {
        connection.execute_batch(setup).unwrap();
    }
    let again = format!("CREATE OR REPLACE TEMP TABLE result AS {query}");
    connection.execute_batch(&again).unwrap();
    say("cold", whole(started));
    let warm = median(3, || connection.execute_batch(&again).unwrap());
    say("warm", warm);
}

fn view_child(folder: &Path, started: Instant) {
    let (project, view) = opened(folder);
    let job = Job::unwatched();
    let timelines = project.timelines(view.reads(), &job).unwrap();
    say("timelines", whole(started));
    let as_of: Time = AS_OF.parse().unwrap();
    let once = || {
        let bound = Bound::new(&view, &timelines);
        compute(&view, &bound, &SpineRows::at(&timelines, as_of), Knowledge::AsItWas, &job).unwrap()
    };
    let table = once();
    say("cold", whole(started));
    let warm = median(7, || drop(once()));
    say("warm", warm);
    println!("{} rows; timelines of {} MB", table.values[0].len(), timelines.bytes() / 1_000_000);
    same_as_sql(folder, &project, &timelines, as_of, &table);
}

/// Every value is that of the SQL.
fn same_as_sql(
    folder: &Path,
    project: &Project,
    timelines: &kernel::features::Timelines,
    as_of: Time,
    table: &kernel::features::Table,
) {
    let rows = SpineRows::at(timelines, as_of);
    let sql = format!("SELECT * FROM ({}) ORDER BY customer_id", view_sql());
    let result = project.query(&sql, usize::MAX, &Job::unwatched()).unwrap();
    assert_eq!(result.rows.len(), rows.rows.len(), "{}", folder.display());
    let mut different = 0;
    for (row, theirs) in result.rows.iter().enumerate() {
        for (column, theirs) in table.values.iter().zip(&theirs[1..]) {
            different += usize::from(!agree(&column.value(row), theirs));
        }
    }
    println!("{} values are those of the SQL, {different} are not", result.rows.len() * 40);
    assert_eq!(different, 0);
}

fn agree(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => {
            (ours - theirs).abs() <= 1e-9 * ours.abs().max(theirs.abs())
        }
        (ours, theirs) => ours == theirs,
    }
}

fn opened(folder: &Path) -> (Project, View) {
    let project = Project::open(&folder.join("project")).unwrap();
    let view = project.view(&"bench".parse().unwrap()).unwrap();
    (project, view)
}

fn training_child(folder: &Path, started: Instant) {
    let (project, view) = opened(folder);
    let job = Job::unwatched();
    let timelines = project.timelines(view.reads(), &job).unwrap();
    let warehouse: &Warehouse = project.warehouse();
    let file = warehouse.read_spine(&folder.join("spine.parquet")).unwrap();
    let n = file.times.len();
    let first: Vec<u32> = (0..u32::try_from(n / 2).unwrap()).collect();
    let some = file.customers.gather(&first);
    let once = |timelines: &kernel::features::Timelines, n: usize| {
        let customers = if n == file.times.len() { &file.customers } else { &some };
        let (times, none) = (&file.times[..n], Default::default());
        let spine = SpineRows::of_customers(timelines, customers, times, none, &[]);
        let bound = Bound::new(&view, timelines);
        compute(&view, &bound, &spine.unwrap(), Knowledge::AsItWas, &job).unwrap()
    };
    println!("{} rows", once(&timelines, n).values[0].len());
    say("cold", whole(started));
    say("warm", median(5, || drop(once(&timelines, n))));
    say("half-rows", median(5, || drop(once(&timelines, n / 2))));
    let half = warehouse.timelines_until(view.reads(), middle(&timelines), &job).unwrap();
    println!("half of the events: {}", half.n_events());
    say("half-events", median(5, || drop(once(&half, n))));
}

/// The time that half of the events are before.
fn middle(timelines: &kernel::features::Timelines) -> Time {
    let mut times = timelines.times().to_vec();
    let middle = times.len() / 2;
    Time(*times.select_nth_unstable(middle).1)
}

/// A window dragged from 7 to 14 days and on, on the Features page.
fn preview_child(folder: &Path) {
    let (project, view) = opened(folder);
    let job = Job::unwatched();
    let mut definition: ViewDefinition = view.definition().clone();
    let draft = |definition: &ViewDefinition| Draft {
        definition: definition.clone(),
        chosen: 10,
        model: Some("bench".parse().unwrap()),
    };
    let (_, first) = cost(|| project.preview(&draft(&definition), &job).unwrap());
    say("first", first);
    for days in [14, 21, 30] {
        definition.features[10].window = format!("{days}d").parse().ok();
        let (preview, changed) = cost(|| project.preview(&draft(&definition), &job).unwrap());
        say(&format!("changed-to-{days}d"), changed);
        assert!(preview.relation.is_some_and(|relation| relation.is_ok()));
    }
}
