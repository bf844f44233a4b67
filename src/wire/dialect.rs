//! What a format of generated content must tell.

use std::fmt::Debug;

use super::{Content, Event};

/// One format: where its events and its documents carry what. It keeps no
/// state of its own, and what it cannot read it passes over in silence.
pub trait Dialect: Send + Sync + Debug {
    /// What the record calls it.
    fn name(&self) -> &'static str;

    /// Whether this event can only be of this format.
    fn recognises(&self, event: &Event<'_>) -> bool;

    /// Tells `content` what an event carries.
    fn event(&self, event: &Event<'_>, content: &mut Content);

    /// Tells `content` what a whole response carries that was not streamed;
    /// false, and nothing told, if it is not of this format.
    fn document(&self, body: &[u8], content: &mut Content) -> bool;
}
