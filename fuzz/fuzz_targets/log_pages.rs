#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| tower_tps_fuzz::log::pages(&tower_tps_fuzz::log::of_values(data)));
