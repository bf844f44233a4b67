//! Measures how fast an LLM service really streams tokens, and how much
//! capacity stood idle while work was waiting.

pub mod clock;
pub mod gate;
