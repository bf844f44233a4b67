//! From what was measured to figures, and from two runs to a verdict.

mod bootstrap;
mod distribution;
mod logical;
mod run;
mod summary;
mod verdict;

pub use self::distribution::Distribution;
pub use self::run::{Recording, Run};
pub use self::summary::Summary;
pub use self::verdict::{Check, Rule, Verdict};
