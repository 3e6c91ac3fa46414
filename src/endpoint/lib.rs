//! The live endpoint: event log, timelines, deployments and HTTP
