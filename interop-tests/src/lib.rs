//! What the whole-system tests share.

pub mod power_cut;
