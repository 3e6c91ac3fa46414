//! The embedded DuckDB: import, query, timelines out, insights and the SQL oracle
