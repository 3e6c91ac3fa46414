//! Explore: tiles side by side, what is chosen in one and shown in others, what is shown and comes back,
//! and results of any size.

use app::{Page, Start};
use eframe::egui::accesskit::Role;
use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use kernel::domain::{Job, Value};
use proptest::prelude::*;
use warehouse::{Arrangement, before, summarize};

use crate::support::Project;
use crate::window::{CHARTS, Window};

/// Replaces what is in a field.
fn write(window: &mut Window, field: &str, text: &str) {
    window.harness.get_by_label(field).focus();
    window.harness.step();
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.harness.get_by_label(field).type_text(text);
    window.harness.step();
}

/// Lets so much time go by for the window that a change is a step of its own.
fn let_time_go_by(window: &mut Window) {
    (0..8).for_each(|_| window.harness.step());
}

#[test]
fn what_is_chosen_in_one_tile_is_what_the_others_show() {
    let mut window = Window::open();
    window.click("Explore");
    window.click("Link tiles");
    window.click("SQL");
    window.click("Tile…");
    window.click("Show beside");
    window.idle();
    // Both are there: the chart has its rule, the query its editor.
    window
        .wait(|window| window.sees("By week: how many customers") || window.sees("in the cohort"));
    write(
        &mut window,
        "Query",
        "SELECT DISTINCT customer_id FROM events WHERE event = 'order_completed' ORDER BY 1 LIMIT 7",
    );
    window.click("Run");
    window.wait(|window| window.sees("7 rows in"));
    window.click("Choose customers");
    window.wait(|window| window.sees("7 customers are chosen"));
    window.wait(|window| window.sees("Of the customers who are chosen in another tile"));
    window.idle();
    window.click("Customers");
    window.click("Explore");
    window.click("Choose nobody");
    window.idle();
    assert!(!window.sees("are chosen"));
    window.click("Boards…");
    write(&mut window, "Name of the board", "side_by_side");
    window.harness.step();
    window.click("Save this board");
    window.wait(|window| window.sees("Saved board side_by_side"));
    window.click("Boards…");
    window.click("Begin anew");
    window.idle();
    assert!(window.harness.query_by_label("Query").is_none(), "one tile is in front");
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.harness.step();
    window.harness.get_by_label("Command").type_text("side_by");
    window.harness.step();
    window.harness.key_press(Key::Enter);
    window.wait(|window| window.harness.query_by_label("Query").is_some());
}

#[test]
fn every_chart_shows_the_days_that_it_is_of() {
    let mut window = Window::open();
    window.click("Explore");
    for kind in CHARTS {
        window.click(kind);
        window.wait(|window| window.sees("Range: ") && window.sees(", UTC, by "));
        window.idle();
    }
    window.click("Trends");
    window.idle();
    // A field has the last day; a file has the day after it.
    write(&mut window, "First day", "1997-03-05");
    write(&mut window, "Last day", "1997-03-20");
    window.harness.get_by_label("First day").focus();
    window.wait(|window| {
        window.sees("Range: 1997-03-05 to 1997-03-20, UTC, by week, first and last week partial")
    });
    window.harness.get_by_label("Compare with previous period").click();
    window.wait(|window| window.sees("Range: 1997-02-12 to 1997-02-27"));
}

/// A segment that was chosen can be read by a query, as it is now.
#[test]
fn a_query_reads_segments_as_they_are_now() {
    let folder = tempfile::tempdir().unwrap();
    let project = workspace::Project::open(&folder.path().join("own")).unwrap();
    let job = Job::unwatched();
    let import = |name: &str, csv: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, csv).unwrap();
        project.import(&[file], &workspace::Options::default(), &job).unwrap();
    };
    import("a.csv", "customer,event,time\nann,order,2024-01-01\nbob,visit,2024-01-02\n");
    let segment = "name = \"buyers\"\nwhere = \"orders >= 1\"\n[[features]]\nname = \"orders\"\n\
                   aggregation = \"count\"\nevents = [\"order\"]\n";
    std::fs::write(project.folder().join("segments/buyers.toml"), segment).unwrap();
    let buyers = || {
        let sql = "SELECT customer_id FROM segments.buyers ORDER BY 1";
        let rows = project.query(sql, 10, &job).unwrap().rows;
        rows.iter().map(|row| row[0].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(buyers(), ["ann"]);
    assert!(project.segments_of("bob").unwrap().is_empty());
    import("b.csv", "customer,event,time\nbob,order,2024-01-03\n");
    assert_eq!(buyers(), ["ann", "bob"]);
    assert_eq!(project.segments_of("bob").unwrap().len(), 1);
    let wider = segment.replace(">= 1", ">= 0");
    std::fs::write(project.folder().join("segments/buyers.toml"), wider).unwrap();
    import("c.csv", "customer,event,time\ncarl,visit,2024-01-03\n");
    assert_eq!(buyers(), ["ann", "bob", "carl"]);
    project.select(&["bob".to_owned()], &job).unwrap();
    let sql = "SELECT customer_id FROM segments.selection";
    assert_eq!(project.query(sql, 10, &job).unwrap().rows, [[Value::text("bob")]]);
    let named = workspace::SegmentDefinition {
        name: "selection".parse().unwrap(),
        condition: None,
        as_of: None,
        customers: ["ann".to_owned()].into(),
        features: Vec::new(),
    };
    assert!(project.save_segment(&named, &job).unwrap_err().to_string().contains("otherwise"));
}

#[test]
fn what_was_shown_is_undone_and_done_again() {
    let mut window = Window::open();
    window.click("Explore");
    window.idle();
    let_time_go_by(&mut window);
    window.click("Lifecycle");
    window.wait(|window| window.sees("Active is"));
    let_time_go_by(&mut window);
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    window.wait(|window| !window.sees("Active is"));
    window.harness.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    window.wait(|window| window.sees("Active is"));
    window.idle();
}

#[test]
fn a_link_leads_to_what_was_shown() {
    let mut window = Window::open();
    window.click("Customers");
    window.idle();
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::L);
    window.wait(|window| window.sees("Copied a link to this view"));
    for (text, page) in [("workbench://monitor", Page::Monitor), ("workbench://data", Page::Data)] {
        window.harness.key_press_modifiers(Modifiers::COMMAND, Key::K);
        window.harness.step();
        window.harness.get_by_label("Command").type_text(text);
        window.harness.step();
        window.harness.step();
        assert!(window.sees("Open the link to"));
        window.harness.key_press(Key::Enter);
        window.idle();
        assert_eq!(window.harness.state().page(), page);
    }
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.harness.step();
    window.harness.get_by_label("Command").type_text("workbench://customers/abc");
    window.harness.step();
    window.harness.step();
    assert!(window.sees("This is no link: it was cut or changed"));
}

#[test]
fn what_is_shown_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("shop");
    let open = |folder| {
        let start = Start::sample_in(crate::support::program(), project.clone());
        Window::with(folder, start, [1280.0, 800.0], 1.0)
    };
    let mut window = open(tempfile::tempdir().unwrap());
    window.click("Features");
    window.idle();
    window.click("Add feature");
    window.idle();
    window.click("Explore");
    window.click("SQL");
    write(&mut window, "Query", "SELECT 42 AS answer");
    let file = project.join("window.json");
    let is_kept = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("42 AS answer"));
    window.wait(|_| is_kept());
    window.idle();
    drop(window);
    let mut window = open(folder);
    assert_eq!(window.harness.state().page(), Page::Explore);
    window.click("Run");
    window.wait(|window| window.sees("1 rows in") && window.sees("answer"));
    window.click("Features");
    window.idle();
    assert!(
        window.labels().contains("feature_1"),
        "what was not saved is there: {}",
        window.labels()
    );
}

#[test]
fn a_column_is_filtered_and_hidden_from_its_header() {
    let mut window = Window::open();
    window.click("Explore");
    window.click("SQL");
    write(&mut window, "Query", "SELECT * FROM (VALUES ('ann', 'bob'), ('bob', 'eve')) AS t(a, b)");
    window.click("Run");
    window.wait(|window| window.sees("2 rows in"));
    let of_header = |window: &mut Window, column: &str, wish: &str| {
        let header = format!("Sort by {column}");
        window.harness.get_by_role_and_label(Role::Button, &header).click_secondary();
        window.harness.step();
        window.harness.step();
        window.click(wish);
    };
    of_header(&mut window, "b", "Filter this column");
    write(&mut window, "Filter rows", "bob");
    window.wait(|window| window.harness.query_by_label("eve").is_none());
    assert!(window.harness.query_by_label("ann").is_some(), "only the other column has bob too");
    window.click("In any column");
    window.wait(|window| window.harness.query_by_label("eve").is_some());
    of_header(&mut window, "a", "Hide this column");
    window.wait(|window| !window.sees("Sort by a"));
    window.click("Show all columns");
    window.wait(|window| window.sees("Sort by a"));
}

#[test]
fn a_view_is_edited_as_text_and_as_a_form() {
    let mut window = Window::open();
    window.click("Features");
    window.idle();
    window.click("Edit as text");
    let field = "View, as in its file";
    let text = window.harness.get_by_label(field).value().unwrap();
    assert!(text.contains("[[features]]"), "{text}");
    write(
        &mut window,
        field,
        "name = \"own\"\n[[features]]\nname = \"ever\"\naggregation = \"cuont\"\n",
    );
    window.wait(|window| window.sees("unknown variant"));
    write(
        &mut window,
        field,
        "name = \"own\"\n[[features]]\nname = \"ever\"\naggregation = \"count\"\n",
    );
    window.idle();
    window.click("Back to the form");
    window.wait(|window| window.sees("ever") && window.sees("own"));
    window.click("Save view");
    window.wait(|window| window.sees("Saved view own"));
}

#[test]
fn a_result_of_any_size_is_looked_through() {
    let mut window = Window::open();
    window.click("Explore");
    window.click("SQL");
    let sql = "SELECT range AS n, 'c' || (range % 7) AS customer_id FROM range(600000)";
    write(&mut window, "Query", sql);
    window.click("Run");
    window.wait(|window| window.sees("600\u{202f}000 rows in"));
    window.wait(|window| window.sees("very many"));
    window.idle();
    let sees = |text: &'static str| move |window: &Window| window.sees(text);
    window.click("Sort by n");
    window.idle();
    window.wait(sees("n ▲"));
    window.click("Sort by n");
    window.wait(sees("599999"));
    assert!(window.sees("rows 1 to 500\u{202f}000 of 600\u{202f}000"));
    window.click("Rows after");
    window.wait(sees("99999"));
    write(&mut window, "Filter rows", "599998");
    window.wait(|window| window.harness.query_by_label("599998").is_some());
    window.idle();
    assert!(window.harness.query_by_role_and_label(Role::Button, "Rows after").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Rows that are kept elsewhere are those of the query, filtered and sorted as rows in memory are.
    #[test]
    fn kept_rows_are_those_of_the_query(
        rows in prop::collection::vec((prop::option::of(-50_i32..50), prop::option::of("[a-cA-C]{0,3}")), 0..200),
        filter in prop::option::of("[a-c1]{1,2}"),
        column in 0_usize..3,
        filtered in prop::option::of(0_usize..3),
        is_descending: bool,
    ) {
        let job = Job::unwatched();
        let project = Project::new();
        let sql_of = |row: &(Option<i32>, Option<String>)| {
            let n = row.0.map_or("NULL".to_owned(), |n| n.to_string());
            let text = row.1.as_ref().map_or("NULL".to_owned(), |text| format!("'{text}'"));
            format!("({n}, {text})")
        };
        let values: Vec<String> = rows.iter().map(sql_of).collect();
        let from = match values.is_empty() {
            true => "(SELECT NULL::INTEGER AS a, NULL::VARCHAR AS b WHERE false)".to_owned(),
            false => format!("(VALUES {}) AS v(a, b)", values.join(", ")),
        };
        // Two columns of one name, and a number wider than 64 bits.
        let sql = format!("SELECT a::INTEGER AS x, b AS x, a::HUGEINT AS wide FROM {from};");
        let all = project.warehouse.query(&sql, 10_000, &job).unwrap().rows;
        let held = project.warehouse.hold(&sql, &job).unwrap();
        prop_assert_eq!(held.n_rows(), all.len() as u64);
        prop_assert_eq!(&held.page(&Arrangement::default(), 0, 10_000, &job).unwrap().rows, &all);
        prop_assert_eq!(held.summaries(&job).unwrap(), summarize(3, &all));
        let text = filter.clone().unwrap_or_default();
        let sort = Some((column, is_descending));
        let arrangement = Arrangement { filter: text.clone(), column: filtered, sort };
        let has = |row: &&Vec<Value>| {
            let values = row.iter().enumerate().filter(|(place, _)| filtered.is_none_or(|it| it == *place));
            values.map(|(_, value)| value).any(|value| !value.is_null() && value.to_string().to_lowercase().contains(&text))
                || text.is_empty()
        };
        let mut expected: Vec<Vec<Value>> = all.iter().filter(has).cloned().collect();
        expected.sort_by(|left, right| {
            let (left, right) = (&left[column], &right[column]);
            let nulls = left.is_null().cmp(&right.is_null());
            let (first, second) = if is_descending { (right, left) } else { (left, right) };
            let order = before(second, first).cmp(&before(first, second));
            nulls.then(if left.is_null() { std::cmp::Ordering::Equal } else { order })
        });
        let first = held.page(&arrangement, 0, 10_000, &job).unwrap();
        prop_assert_eq!(first.n, expected.len() as u64);
        prop_assert_eq!(&first.rows, &expected);
        let half = expected.len() / 2;
        let later = held.page(&arrangement, half as u64, 5, &job).unwrap();
        prop_assert_eq!(&later.rows[..], &expected[half..(half + 5).min(expected.len())]);
    }
}
