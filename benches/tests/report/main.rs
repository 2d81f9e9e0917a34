//! `fulmar-bench report` as people run it: the page of a small hand-made set of files, its pictures, and that nothing
//! is written or lost when a file is broken.
//!
//! The page is compared with `page.golden`; `FULMAR_WRITE_GOLDEN=1` writes that anew, to be read before it is committed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const NAME: &str = "broken.json";

fn figures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/figures")
}

fn report(from: &Path, to: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-bench"));
    command.arg("report").arg("--from").arg(from).arg("--to").arg(to).output().unwrap()
}

/// The one line of a report that is refused.
fn refused(from: &Path, to: &Path) -> String {
    let output = report(from, to);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.starts_with("fulmar-bench: ") && line.trim_end().lines().count() == 1, "{line:?}");
    line
}

fn made(from: &Path, to: &Path) -> String {
    let output = report(from, to);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(to.join("README.md")).unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A folder with one of the files, changed.
fn changed(folder: &Path, change: impl FnOnce(&mut serde_json::Value)) -> PathBuf {
    let mut value =
        serde_json::from_str(&fs::read_to_string(figures().join("latency.json")).unwrap()).unwrap();
    change(&mut value);
    let from = folder.join("from");
    fs::create_dir_all(&from).unwrap();
    fs::write(from.join(NAME), value.to_string()).unwrap();
    from
}

#[test]
fn the_page_is_the_golden_one() {
    let folder = tempfile::tempdir().unwrap();
    let page = made(&figures(), &folder.path().join("report"));
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/page.golden");
    if std::env::var_os("FULMAR_WRITE_GOLDEN").is_some() {
        fs::write(&golden, &page).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap();
    for (nth, (is, should)) in page.lines().zip(expected.lines()).enumerate() {
        assert_eq!(is, should, "line {} differs from page.golden", nth + 1);
    }
    assert_eq!(page.lines().count(), expected.lines().count());
}

#[test]
fn every_file_has_a_section_with_its_picture_and_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("report");
    let page = made(&figures(), &to);
    let mut there = BTreeSet::from(["README.md".to_owned(), "figures".to_owned()]);
    for file in names(&figures()) {
        let stem = file.strip_suffix(".json").unwrap();
        assert!(page.contains(&format!("]({stem}.svg)")), "{stem} has no picture");
        let value: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(figures().join(&file)).unwrap()).unwrap();
        assert!(page.contains(value["command"].as_str().unwrap()), "{stem} has no command");
        there.insert(format!("{stem}.svg"));
    }
    assert_eq!(names(&to), there);
    assert_eq!(names(&to.join("figures")), names(&figures()));
    assert_eq!(names(folder.path()), BTreeSet::from(["report".to_owned()]), "something was left beside it");
}

#[test]
fn pictures_are_sound_xml_and_nothing_in_them_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("report");
    made(&figures(), &to);
    for file in names(&to).into_iter().filter(|name| name.ends_with(".svg")) {
        let text = fs::read_to_string(to.join(&file)).unwrap();
        let svg = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let number = |node: &roxmltree::Node<'_, '_>, name: &str| node.attribute(name)?.parse::<f64>().ok();
        let root = svg.root_element();
        let (width, height) = (number(&root, "width").unwrap(), number(&root, "height").unwrap());
        let texts: Vec<_> = svg.descendants().filter(|node| node.has_tag_name("text")).collect();
        assert!(texts.len() > 5, "{file} says nothing");
        for node in texts.iter().filter(|node| node.attribute("transform").is_none()) {
            let text = node.text().unwrap_or_default().trim();
            let count = f64::from(u32::try_from(text.chars().count()).unwrap());
            // A sans-serif letter is about half as wide as it is high.
            let wide = count * 0.56 * number(node, "font-size").unwrap();
            let left = number(node, "x").unwrap()
                - match node.attribute("text-anchor") {
                    Some("middle") => wide / 2.0,
                    Some("end") => wide,
                    _ => 0.0,
                };
            let y = number(node, "y").unwrap();
            let within = left >= 0.0 && left + wide <= width && y >= 0.0 && y <= height;
            assert!(within, "{file}: {text:?} is cut off: {left} to {} of {width}", left + wide);
        }
    }
}

#[test]
fn peers_that_promise_less_are_marked_and_stand_apart() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("report");
    let page = made(&figures(), &to);
    let row = |name: &str| page.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap();
    assert!(row("nats-synced").ends_with("| equal |"), "{}", row("nats-synced"));
    assert!(row("mosquitto").contains("less: not durable, not archived"), "{}", row("mosquitto"));
    let svg = fs::read_to_string(to.join("throughput-many.svg")).unwrap();
    let at = |text: &str| svg.find(text).unwrap_or_else(|| panic!("no {text:?} on the picture"));
    assert!(at("Promise the same") < at("nats-synced") && at("nats-synced") < at("Promise less"));
    assert!(at("Promise less") < at("mosquitto") && at("mosquitto") < at("Floors"));
}

#[test]
fn what_was_left_out_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let from = changed(folder.path(), |_| {});
    let page = made(&from, &folder.path().join("report"));
    let missing = page.split("## What is missing").nth(1).unwrap();
    assert!(missing.contains("`storm`: there is no file of it"), "{missing}");
    assert!(missing.contains("ejabberd in `broken`: left out: ejabberd is not installed"), "{missing}");
}

#[test]
fn a_broken_file_is_named_and_an_earlier_report_stays() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("report");
    let before = made(&figures(), &to);
    let from = folder.path().join("from");
    fs::create_dir(&from).unwrap();
    for (text, why) in [
        ("{\"workload\": \"latency\", ", "no JSON"),
        ("[1, 2]", "no \"workload\""),
        ("{\"workload\": \"poetry\"}", "cannot show \"poetry\""),
        ("{\"workload\": \"storm\"}", "not what the workload storm writes"),
    ] {
        fs::write(from.join(NAME), text).unwrap();
        let line = refused(&from, &to);
        assert!(line.contains(NAME) && line.contains(why), "{text}: {line}");
    }
    assert_eq!(fs::read_to_string(to.join("README.md")).unwrap(), before);
    assert_eq!(names(folder.path()), BTreeSet::from(["from".to_owned(), "report".to_owned()]));
}

#[test]
fn a_file_without_its_figures_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("report");
    let from = changed(folder.path(), |value| {
        drop(value["spread"].as_object_mut().unwrap().remove("p50_us"));
    });
    let line = refused(&from, &to);
    assert!(line.contains(NAME) && line.contains("p50_us"), "{line}");
    let from =
        changed(folder.path(), |value| value["percentiles_us"] = serde_json::json!([[99, 1], [50, 2]]));
    let line = refused(&from, &to);
    assert!(line.contains(NAME) && line.contains("rising percentiles"), "{line}");
    assert!(!to.exists());
}

#[test]
fn figures_from_a_debug_build_and_from_several_machines_are_called_that() {
    let folder = tempfile::tempdir().unwrap();
    let from = changed(folder.path(), |value| {
        value["versions"]["build"] = "debug: figures mean nothing".into();
        value["machine"]["cores"] = 64.into();
    });
    fs::copy(figures().join("storm.json"), from.join("storm.json")).unwrap();
    let page = made(&from, &folder.path().join("report"));
    assert!(page.contains("from a debug build: they mean nothing"), "{page}");
    assert!(page.contains("64 cores") && page.contains("several machines"), "{page}");
}

#[test]
fn a_folder_that_is_no_report_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("home");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("letters.txt"), "dear").unwrap();
    let line = refused(&figures(), &to);
    assert!(line.contains("is no report") && line.contains("letters.txt"), "{line}");
    fs::rename(to.join("letters.txt"), to.join("README.md")).unwrap();
    let line = refused(&figures(), &to);
    assert!(line.contains("is no report"), "{line}");
    assert_eq!(fs::read_to_string(to.join("README.md")).unwrap(), "dear");
}

/// All of it takes minutes; this is what it says before it begins.
#[test]
fn all_begins_nothing_that_could_not_be_finished() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fulmar-bench"));
        command.args(["all", "--quick", "--to"]).args(arguments).current_dir(folder.path());
        let output = command.output().unwrap();
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), line.trim_end().lines().count()), (Some(1), 1), "{line}");
        line
    };
    let line = refused(&["report", "--json", "all.json"]);
    assert!(line.contains("leave --json away"), "{line}");
    let line = refused(&["report", "--without-peers", "--peers", "all"]);
    assert!(line.contains("contradict each other"), "{line}");
    assert_eq!(names(folder.path()), BTreeSet::new());
    fs::create_dir(folder.path().join("report-unfinished")).unwrap();
    let line = refused(&["report"]);
    assert!(line.contains("report-unfinished is there from an earlier run"), "{line}");
    fs::write(folder.path().join("letters.txt"), "dear").unwrap();
    let line = refused(&["."]);
    assert!(line.contains("is no report"), "{line}");
}

#[test]
fn a_folder_without_files_says_how_to_get_some() {
    let folder = tempfile::tempdir().unwrap();
    let line = refused(folder.path(), &folder.path().join("report"));
    assert!(line.contains("no JSON files") && line.contains("--json"), "{line}");
    let line = refused(&folder.path().join("nowhere"), &folder.path().join("report"));
    assert!(line.contains("nowhere"), "{line}");
}
