//! What a request says of itself when it comes to the gate.

/// What a request brings to the gate besides itself: how urgent it is, and
/// whose it is. The default is the first class and no tenant; where all come
/// with it, they go in first come first served.
///
/// Through the layer a request brings the one in its extensions:
///
/// ```
/// use tower_tps::gate::Claim;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Claim::default().class(1).tenant(0x5eed));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a claim does nothing unless a request brings it"]
pub struct Claim {
    pub(super) class: u8,
    pub(super) tenant: Option<u64>,
}

impl Claim {
    /// The index of its class among the gate's [`Classes`](super::Classes), 0
    /// unless told otherwise. One that is too high counts as the last.
    pub fn class(mut self, class: u8) -> Self {
        self.class = class;
        self
    }

    /// Whose it is: a number that stands for the tenant, such as a hash of its
    /// key. The gate shares in turn between those who differ in it. All who
    /// bring none are one tenant.
    pub fn tenant(mut self, tenant: u64) -> Self {
        self.tenant = Some(tenant);
        self
    }
}
