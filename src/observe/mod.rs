//! Who hears of what was measured.

use std::fmt::Debug;

use crate::record::RequestRecord;

/// Gets every finished record of a pool, once, in the task that ended the
/// request and after its slot went back. It must not block. A panic in it is
/// caught and costs nobody else a thing.
pub trait Observer: Debug + Send + Sync + 'static {
    /// A request has ended.
    fn request(&self, record: &RequestRecord);
}
