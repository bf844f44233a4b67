//! How a gate chooses between the classes of those who wait.

/// The priority classes of a gate, the first one first. Without any all who
/// wait are one class.
///
/// Whatever the classes, those of one class go in by turns, one request of each
/// tenant, and those of one tenant in the order of arrival. So one tenant's ten
/// thousand hold up another's first by one request. A tenant that comes new, or
/// has had its turn, is the last in the round.
///
/// A choice is made when a slot is free, among those who wait then. Who has been
/// called by it goes in, whoever arrives before its task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    /// For each class by how much one turn sets it back.
    strides: Vec<u128>,
}

/// What a turn costs a class of weight 1. The quotient by any weight is exact to
/// one in 2^32, and it would take 2^64 turns to run over.
const STRIDE: u128 = 1 << 64;

impl Classes {
    /// So many classes, of which a later one has its turn only while nobody of
    /// an earlier one waits. It may wait for ever. 0 counts as 1.
    #[must_use]
    pub fn strict(count: u8) -> Self {
        Self { strides: vec![0; usize::from(count.max(1))] }
    }

    /// One class for each weight, at most 256: while they all wait, their turns
    /// are in the proportion of the weights, and evenly spread. A class in which
    /// nobody waited has saved nothing up. A weight of 0 counts as 1.
    #[must_use]
    pub fn weighted(weights: impl IntoIterator<Item = u32>) -> Self {
        let strides: Vec<_> =
            weights.into_iter().take(256).map(|weight| STRIDE / u128::from(weight.max(1))).collect();
        if strides.is_empty() { Self::default() } else { Self { strides } }
    }

    pub(super) fn strides(&self) -> &[u128] {
        &self.strides
    }
}

impl Default for Classes {
    /// One class.
    fn default() -> Self {
        Self::strict(1)
    }
}
