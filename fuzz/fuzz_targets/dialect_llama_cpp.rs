#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_tps::wire::LlamaCpp;

fuzz_target!(|data: &[u8]| tower_tps_fuzz::dialect(LlamaCpp, data));
