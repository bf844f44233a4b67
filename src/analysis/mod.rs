//! From what was measured to figures, and from two runs to a verdict.
//!
//! A [`Run`] is kept in memory by a [`Recording`], or read from a run log by
//! [`Logs`]. Its [`Summary`] follows from its requests and its changes alone, and
//! is held against what the pool itself told.

mod agreement;
mod bootstrap;
mod distribution;
mod fleet;
#[cfg(feature = "html")]
pub mod html;
#[cfg(feature = "html")]
mod lanes;
mod log;
mod logical;
mod names;
mod recomputed;
mod recording;
mod report;
mod row;
mod run;
mod series;
mod slots;
mod spread;
mod summary;
mod sweep;
mod told;
mod traffic;
mod verdict;

pub use self::agreement::{Agreement, Disagreement};
pub use self::distribution::Distribution;
pub use self::fleet::Fleet;
pub use self::log::{Kind, LeftOut, Logs, Problem};
pub use self::recording::Recording;
pub use self::report::{By, Details, Group, Report, RunReport};
pub use self::run::Run;
pub use self::series::Window;
pub use self::slots::Slots;
pub use self::summary::Summary;
pub use self::traffic::{Distributions, Length, Mismatch, Traffic};
pub use self::verdict::{Check, Comparison, Demands, Rule, Verdict};
