use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;

use super::super::state::Endpoint;
use super::super::wire;
use super::rows::{self, Rows};
use crate::{Error, Result};

#[derive(Debug, Deserialize)]
pub(crate) struct InvocationQuery {
    /// The deployment; needed where there are several.
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Invocation {
    dataframe_records: Option<Rows>,
    dataframe_split: Option<Split>,
    instances: Option<Json_>,
    inputs: Option<Json_>,
}

#[derive(Debug, Deserialize)]
struct Split {
    columns: Vec<String>,
    data: Vec<Vec<Json_>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Predictions {
    predictions: Vec<f64>,
    /// The version that made each.
    versions: Vec<u32>,
}

/// `POST /invocations`, as MLflow, SageMaker and Vertex ask: rows with `customer_id`, or rows of features.
pub(crate) async fn invocations(
    State(endpoint): State<Arc<Endpoint>>,
    Query(query): Query<InvocationQuery>,
    body: Bytes,
) -> Result<Json<Predictions>> {
    let rows = invocation_rows(wire::parse(&body)?)?;
    rows::check_size(rows.len())?;
    let deployed = endpoint.deployments.snapshot();
    let name = match (query.name, deployed.keys().next()) {
        (Some(name), _) => name,
        (None, Some(only)) if deployed.len() == 1 => only.clone(),
        (None, _) => {
            let names: Vec<&str> = deployed.keys().map(String::as_str).collect();
            let message =
                format!("name a deployment: /invocations?name=…, of {}", names.join(", "));
            return Err(Error::BadRequest(message));
        }
    };
    let live = endpoint.deployments.get(&name)?;
    let scores = tokio::task::block_in_place(|| rows::scores(&endpoint, &live, None, &rows))?;
    let (predictions, versions) = scores.iter().map(|it| (it.score, it.version)).unzip();
    Ok(Json(Predictions { predictions, versions }))
}

fn invocation_rows(asked: Invocation) -> Result<Rows> {
    let rows_of = |json: Json_| -> Result<Rows> {
        match json {
            // Columns of equal length, or rows.
            Json_::Object(columns) => {
                let column = |(name, values): (String, Json_)| (name, rows::flat(Some(&values)));
                rows::of_columns(columns.into_iter().map(column).collect())
            }
            rows => serde_json::from_value(rows).map_err(|error| {
                Error::BadRequest(format!("rows are objects with names: {error}"))
            }),
        }
    };
    match asked {
        Invocation { dataframe_records: Some(rows), .. } => Ok(rows),
        Invocation { dataframe_split: Some(split), .. } => {
            let row = |values: Vec<Json_>| {
                let n = split.columns.len();
                if values.len() != n {
                    let message = format!("a row has {} values, not {n}", values.len());
                    return Err(Error::BadRequest(message));
                }
                Ok(split.columns.iter().cloned().zip(values).collect())
            };
            split.data.into_iter().map(row).collect()
        }
        Invocation { instances: Some(rows), .. } | Invocation { inputs: Some(rows), .. } => {
            rows_of(rows)
        }
        _ => Err(Error::BadRequest(
            "send dataframe_records, dataframe_split, instances or inputs".to_owned(),
        )),
    }
}
