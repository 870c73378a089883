//! The README's driver and its host test: the very text that the README shows, compiled and run.
#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "the README explains its own text"
)]

include!("driver.rs");
include!("host.rs");

/// The host test of the README runs, as it stands there.
#[test]
fn the_host_test_of_the_readme_runs() {
    main();
}

/// The README shows the files that this test compiles, and a changed text is found.
#[test]
fn the_readme_shows_what_is_compiled() {
    let readme = include_str!("../../README.md");
    for (tag, text) in [
        ("rust,no_run", include_str!("driver.rs")),
        ("rs", include_str!("host.rs")),
    ] {
        let block = format!("```{tag}\n{text}```");
        assert!(readme.contains(&block), "README.md does not show:\n{text}");
        assert!(!readme.contains(&block.replacen("fn ", "fn  ", 1)));
    }
    let lines = include_str!("driver.rs").lines().count();
    assert!(
        lines <= 25,
        "the README promises a short driver: {lines} lines"
    );
}
