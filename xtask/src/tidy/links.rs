//! Links in Markdown files lead to a file, and a heading, that is there.
//!
//! Links to other sites are not followed. Text in code fences and code spans is not looked at.

use super::tree::SourceFile;
use super::{Finding, Tree};

/// Follows every link inside the repository.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let markdown = tree.files().filter(|file| file.is_markdown());
    markdown
        .flat_map(|file| {
            links(file).into_iter().filter_map(|(number, target)| {
                let message = broken(tree, &file.path, &target)?;
                Some(Finding::at(&file.path, number, message))
            })
        })
        .collect()
}

/// Why a link leads nowhere, if so.
fn broken(tree: &Tree, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) =
        target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let path = if path.is_empty() { Some(from.to_owned()) } else { resolve(from, path) };
    let Some(path) = path.filter(|path| tree.holds(path)) else {
        return Some(format!("link to {target}, which is not there"));
    };
    let file = tree.file(&path).filter(|file| file.is_markdown());
    let missing = heading
        .filter(|heading| file.is_some_and(|file| !headings(file).iter().any(|known| known == heading)));
    missing.map(|heading| format!("link to {target}: {path} has no heading #{heading}"))
}

/// A path as seen from a file; nothing where it leaves the repository.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<_> = from.split('/').collect();
    parts.pop();
    for part in path.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            "" => return None,
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The lines outside code fences, with what stands in code spans left out.
fn prose(file: &SourceFile) -> impl Iterator<Item = (usize, String)> {
    let mut fenced = false;
    file.lines().filter_map(move |(number, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then(|| (number, line.split('`').step_by(2).collect::<Vec<_>>().join("``")))
    })
}

fn links(file: &SourceFile) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(file) {
        let inline =
            line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        let reference =
            line.starts_with('[').then(|| line.split_once("]: ")).flatten().map(|(_, target)| target);
        let targets = inline.chain(reference).filter_map(|target| target.split_whitespace().next());
        found.extend(targets.map(|target| (number, target.trim_matches(['<', '>']).to_owned())));
    }
    found
}

/// The anchors that headings get: lower case, blanks as hyphens, other marks left out.
fn headings(file: &SourceFile) -> Vec<String> {
    let mut fenced = false;
    let mut found: Vec<String> = Vec::new();
    for (_, line) in file.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let Some(title) = line.strip_prefix('#').filter(|_| !fenced) else { continue };
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let letters =
            title.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
        let anchor: String = letters.map(|letter| if letter == ' ' { '-' } else { letter }).collect();
        let times = found.iter().filter(|known| **known == anchor).count();
        found.push(if times == 0 { anchor } else { format!("{anchor}-{times}") });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_no_findings() {
        let text = "# A title: `x` & more\n[a](b/c.md#two) [b](./b) [c](#a-title-x--more) [d](https://x.y/z)\n\
                    `[e](gone.md)`\n```\n[f](gone.md)\n```\n[g]: b/c.md\n";
        assert!(messages(&[("a.md", text), ("b/c.md", "## Two\n[up](../a.md)\n")]).is_empty());
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        for (target, part) in [
            ("gone.md", "which is not there"),
            ("../outside.md", "which is not there"),
            ("/etc/hosts", "which is not there"),
            ("a.md#three", "has no heading #three"),
        ] {
            let found = messages(&[("a.md", &format!("# One\n[x]({target})\n"))]);
            assert!(found.len() == 1 && found[0].contains(part), "{target}: {found:?}");
        }
    }
}
