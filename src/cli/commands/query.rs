use serde_json::json;
use workspace::Project;

use super::Result;
use crate::arguments::Query;
use crate::output;

/// Rows that are printed; a file has all.
const SHOWN: usize = 1_000;

pub(super) fn run(arguments: &Query) -> Result {
    let project = Project::open(&arguments.of.project)?;
    let job = output::watched_job();
    if let Some(out) = &arguments.out {
        project.export(&arguments.sql, out, &job)?;
        let path = out.display().to_string();
        if arguments.json.json {
            output::json(&json!({ "out": path }));
        } else {
            output::line(&format!("wrote {path}"));
        }
        return Ok(());
    }
    let result = project.query(&arguments.sql, SHOWN, &job)?;
    if arguments.json.json {
        let rows: Vec<Vec<serde_json::Value>> = result
            .rows
            .iter()
            .map(|row| row.iter().map(workspace::Value::to_json).collect())
            .collect();
        output::json(&json!({
            "columns": result.columns,
            "rows": rows,
            "truncated": result.truncated,
            "seconds": result.seconds,
        }));
        return Ok(());
    }
    output::table(&result.columns, &result.rows);
    if result.truncated {
        output::remark(&format!("the first {SHOWN} rows; write all of them with --out FILE"));
    }
    Ok(())
}
