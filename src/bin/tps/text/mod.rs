//! Figures as people read them, on a terminal.

pub(crate) mod figures;
pub(crate) mod lines;
pub(crate) mod losses;
pub(crate) mod plain;
pub(crate) mod table;
pub(crate) mod verdict;
