//! The facade over the rooms: commands in, updates out, jobs
