//! Running a test over many seeds.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::world::failure::{replay_line, set_outer_seed};

/// Runs `f` for every seed. With `KMDF_MOCK_SEED=N` in the environment it runs only for N.
///
/// # Panics
/// When `f` does; the line that replays the seed is printed first.
pub fn seeds(seeds: impl IntoIterator<Item = u64>, f: impl Fn(u64)) {
    match std::env::var("KMDF_MOCK_SEED") {
        Ok(text) => {
            let seed = text.parse().expect("KMDF_MOCK_SEED is a number");
            one(seed, &f);
        }
        Err(_) => seeds.into_iter().for_each(|seed| one(seed, &f)),
    }
}

fn one(seed: u64, f: &impl Fn(u64)) {
    let before = set_outer_seed(Some(seed));
    let result = catch_unwind(AssertUnwindSafe(|| f(seed)));
    set_outer_seed(before);
    if let Err(payload) = result {
        eprintln!("{}", replay_line(Some(seed)));
        resume_unwind(payload);
    }
}
