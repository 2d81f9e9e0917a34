//! What a node is not started with: one line says why.

use std::path::Path;

use super::foundationdb::Place;
use super::processes::{NodeProcess, Nodes, wait_until};
use crate::fulmar::{fulmar, run};

/// Changes a node's configuration.
fn change(config: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(config).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    std::fs::write(config, text.replace(from, to)).unwrap();
}

/// The one line with which a node refuses to start. What it logged before is not part of it.
fn refusal(node: &NodeProcess) -> String {
    let outcome = run(&mut node.serve());
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(outcome.stdout, "");
    let errors: Vec<_> = outcome.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{outcome:?}");
    assert_eq!(outcome.stderr.lines().last(), Some(errors[0]), "{outcome:?}");
    errors[0].to_owned()
}

#[test]
#[cfg_attr(not(feature = "foundationdb"), ignore = "no FoundationDB")]
fn a_wrong_cluster_file_is_refused() {
    // The client library is needed, a cluster is not.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fdb.cluster");
    let node = |file: &Path| {
        let mut nodes = Nodes::prepare(Place { cluster_file: file.to_owned(), prefix: "test".to_owned() });
        let line = refusal(&nodes.nodes.remove(0));
        assert!(line.contains("fdb.cluster"), "{line}");
        line
    };
    let missing = node(&file);
    assert!(missing.contains("No such file"), "{missing}");
    std::fs::write(&file, "not a cluster\n").unwrap();
    let malformed = node(&file);
    assert!(malformed.contains("description:id@host:port"), "{malformed}");
    // Nobody listens there.
    std::fs::write(&file, "a:b@127.0.0.1:1\n").unwrap();
    let silent = node(&file);
    assert!(silent.contains("answer"), "{silent}");
}

#[test]
#[cfg_attr(not(feature = "foundationdb"), ignore = "no FoundationDB")]
fn a_server_id_that_a_live_node_has_is_refused() {
    let Some(place) = Place::found() else { return };
    let mut nodes = Nodes::prepare(place);
    nodes.nodes[0].start();
    nodes.nodes[0].wait_until_ready();
    change(&nodes.nodes[1].config, "server_id = 2", "server_id = 1");
    let line = refusal(&nodes.nodes[1]);
    assert!(line.contains("server_id 1 is in use by the node at 127.0.0.1:"), "{line}");
    assert!(nodes.nodes[0].is_ready(), "the other does not suffer");
}

#[test]
#[cfg_attr(not(feature = "foundationdb"), ignore = "no FoundationDB")]
fn a_node_with_another_authoritys_certificate_is_refused_or_gets_nowhere() {
    let Some(place) = Place::found() else { return };
    let mut nodes = Nodes::prepare(place);
    for node in &mut nodes.nodes[..2] {
        node.start();
    }
    wait_until("two nodes reach each other", || {
        nodes.nodes[..2].iter().all(|node| node.is_ready() && node.metric("fulmar_node_links") > 0.5)
    });
    let cluster = |arguments: &[&str]| {
        run(fulmar(&["cluster"]).args(arguments).current_dir(nodes.folder.path())).succeeded();
    };
    cluster(&["ca", "--out", "other"]);
    cluster(&["cert", "stranger", "--ca", "other", "--out", "other"]);
    let config = &nodes.nodes[2].config;
    change(config, "node-3.", "other/stranger.");
    let line = refusal(&nodes.nodes[2]);
    assert!(line.contains("other nodes would refuse it"), "{line}");
    // It believes in its own authority: then nobody believes it.
    change(config, "authority = \"", "authority = \"other/");
    nodes.nodes[2].start();
    wait_until("the others have read of it", || nodes.nodes[0].metric("fulmar_nodes") > 1.5);
    super::processes::pass(std::time::Duration::from_secs(5));
    let links: Vec<_> = nodes.nodes.iter().map(|node| node.metric("fulmar_node_links")).collect();
    assert_eq!(links, [1.0, 1.0, 0.0]);
}
