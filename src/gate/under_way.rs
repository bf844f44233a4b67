//! Who is under way: each that holds a slot, and each that waits for one.

use super::ledger::SlotPhase;
use crate::clock::Instant;

/// One that holds a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldSlot {
    /// Which arrival at the gate it was, counted from 1.
    pub arrival: u64,
    /// When it was admitted.
    pub admitted_at: Instant,
    /// What its slot is doing. After a token it is [`SlotPhase::Generate`], though
    /// it may prove to be drain if no other follows.
    pub phase: SlotPhase,
    /// The tokens that have passed. Zero where they are not counted as they pass.
    pub tokens: u64,
    /// When the last of them passed; absent where none has.
    pub last_token_at: Option<Instant>,
}

/// One that waits at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queued {
    /// Which arrival at the gate it was, counted from 1.
    pub arrival: u64,
    /// When it arrived.
    pub queued_at: Instant,
}
