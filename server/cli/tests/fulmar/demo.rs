//! The demonstration, which must be right wherever it runs.

use crate::fulmar::{fields, fulmar, json, run};

#[test]
fn the_demonstration_loses_repeats_and_reorders_nothing() {
    let output = run(&mut fulmar(&["demo", "--json", "--messages", "300"])).succeeded();
    let names = [
        "accepted",
        "delivered",
        "lost",
        "duplicated",
        "out_of_order",
        "caught_up_offline",
        "p50_us",
        "p99_us",
    ];
    assert_eq!(fields(output.trim_end())[..8], names, "{output}");
    let summary = json(&output);
    for name in ["lost", "duplicated", "out_of_order"] {
        assert_eq!(summary[name], 0, "{output}");
    }
    assert_eq!(summary["accepted"], 300, "{output}");
    assert_eq!(summary["caught_up_offline"], 60, "{output}");
    assert!(summary["delivered"].as_u64() > summary["accepted"].as_u64(), "{output}");
    assert!(summary["p50_us"].as_u64() > Some(0) && summary["p50_us"].as_u64() <= summary["p99_us"].as_u64());
}

#[test]
fn the_demonstration_gives_a_readable_account_without_a_bar_where_nobody_looks() {
    let outcome = run(&mut fulmar(&["demo", "--messages", "50"]));
    let account = outcome.stdout.clone();
    assert!(outcome.stderr.is_empty(), "{outcome:?}");
    let told = outcome.succeeded();
    assert!(told.lines().filter(|line| line.starts_with('✓')).count() >= 10, "{told}");
    assert!(!told.contains('\u{1b}'), "{account:?}");
    for part in ["lost", "duplicated", "p50", "p99", "bob has caught up"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
