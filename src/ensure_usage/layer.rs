//! The layer.

use tower_layer::Layer;

use super::service::EnsureUsage;

/// Wraps services in [`EnsureUsage`]. It goes outside the meter's layer; see
/// the [module](super).
#[derive(Clone, Copy, Debug, Default)]
pub struct EnsureUsageLayer {
    any_path: bool,
}

impl EnsureUsageLayer {
    /// Edits requests whose path ends in `/completions`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Edits requests whatever their path is. For routes that lead to
    /// OpenAI-style providers only: others may refuse the key they get.
    #[must_use]
    pub fn any_path(mut self) -> Self {
        self.any_path = true;
        self
    }
}

impl<S> Layer<S> for EnsureUsageLayer {
    type Service = EnsureUsage<S>;

    fn layer(&self, inner: S) -> EnsureUsage<S> {
        EnsureUsage::new(inner, self.any_path)
    }
}
