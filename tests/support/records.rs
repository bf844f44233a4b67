//! An observer that keeps every record.

use std::sync::{Arc, Mutex};

use tower_tps::observe::Observer;
use tower_tps::record::RequestRecord;

#[derive(Clone, Debug, Default)]
pub(crate) struct Records(pub(crate) Arc<Mutex<Vec<RequestRecord>>>);

impl Observer for Records {
    fn request(&self, record: &Arc<RequestRecord>) {
        self.0.lock().unwrap().push(RequestRecord::clone(record));
    }
}
