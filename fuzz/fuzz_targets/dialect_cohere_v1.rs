#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_tps::wire::CohereV1;

fuzz_target!(|data: &[u8]| tower_tps_fuzz::dialect(CohereV1, data));
