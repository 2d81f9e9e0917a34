//! `fulmar-sim storm` as it is typed.

use std::process::{Command, Output};

use serde_json::Value;

fn fulmar_sim(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-sim"));
    command.arg("storm").args(arguments).env_remove("RUST_LOG").output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[test]
fn a_good_storm_says_so_and_exits_with_0() {
    let output = fulmar_sim(&["--seed", "3", "--minutes", "2", "--profile", "lte", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["seed"], &lines[0]["good"]), (&Value::from(3), &Value::from(true)));
    assert_eq!(
        (&lines[1]["seeds"], &lines[1]["violated"]),
        (&Value::from(1), &Value::from(Vec::<u64>::new()))
    );
}

#[test]
fn a_violation_is_shown_with_what_led_there_and_the_command_that_repeats_it_and_exits_with_1() {
    let arguments = ["--minutes", "10", "--profile", "lte", "--fault", "swap-entries", "--events", "7"];
    let output = fulmar_sim(&arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stdout);
    assert!(told.contains("seed 1: VIOLATED"), "{told}");
    let events = told.lines().skip_while(|line| !line.contains("what led there")).skip(1);
    assert_eq!(events.take_while(|line| !line.contains("again: ")).count(), 7, "{told}");
    let again = "again: cargo xtask sim --seed 1 --minutes 10 --profile lte --users 6 --nodes 1 --fault swap-entries --events 7";
    assert!(told.contains(again), "{told}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn what_is_not_typed_right_is_explained_and_exits_with_2() {
    for arguments in [["--seeds", "0"], ["--profile", "postal"], ["--fault", "none"], ["--minutes", "x"]] {
        let output = fulmar_sim(&arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(arguments[0]), "{output:?}");
    }
}
