use serde_json::json;
use workspace::Project;

use super::{Result, name, to_json};
use crate::arguments::{Onnx, OnnxCommand};
use crate::output;

pub(super) fn run(arguments: &Onnx) -> Result {
    let project = Project::open(&arguments.of.project)?;
    match &arguments.command {
        OnnxCommand::Export { function, out } => {
            let columns = project.export_onnx(&name(function)?, out)?;
            let out = out.display().to_string();
            if arguments.json.json {
                output::json(&json!({ "out": out, "columns": columns }));
            } else {
                output::line(&format!("wrote {out}; its {} columns are", columns.len()));
                columns.iter().for_each(|column| output::line(&format!("  {column}")));
            }
        }
        OnnxCommand::Import { file, view, name: own } => {
            let imported = project.import_model(file, &name(view)?, &name(own)?)?;
            if arguments.json.json {
                output::json(&to_json(&imported)?);
            } else {
                let columns = imported.columns.join(", ");
                output::line(&format!("{} ({})", imported.path, &imported.hash[..12]));
                output::line(&format!("its columns are the features {columns}"));
                imported.remarks.iter().for_each(|remark| output::remark(remark));
            }
        }
    }
    Ok(())
}
