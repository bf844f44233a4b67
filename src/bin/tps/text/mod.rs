//! Figures as people read them, on a terminal.

pub(crate) mod figures;
pub(crate) mod losses;
pub(crate) mod verdict;
