//! Benchmark files, read into the rows that `clove::evaluate` owns. Called by `clove eval` and `clove patch --sweep`.

pub mod class_set;
pub mod sugar_crepe;
pub mod zero_shot;
