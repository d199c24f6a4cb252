//! Patterns as a tree of segments.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Leaf;
use super::pattern::Part;

/// What follows one beginning of a path.
#[derive(Debug, Clone)]
pub(super) struct Node<T> {
    exact: BTreeMap<String, Node<T>>,
    parameter: Option<Box<Node<T>>>,
    /// What takes all that is left.
    rest: Option<Leaf<T>>,
    /// What ends here.
    leaf: Option<Leaf<T>>,
}

/// A way through the tree that a path can take.
pub(super) struct Way<'a, T> {
    pub(super) leaf: &'a Leaf<T>,
    /// The segments that parameters stand for.
    pub(super) parameters: Vec<usize>,
    /// The first segment of what is left.
    pub(super) rest: usize,
}

impl<T> Node<T> {
    pub(super) fn new() -> Self {
        Self { exact: BTreeMap::new(), parameter: None, rest: None, leaf: None }
    }

    /// The place for a pattern.
    pub(super) fn place(&mut self, parts: &[Part<'_>]) -> &mut Option<Leaf<T>> {
        match parts.split_first() {
            None => &mut self.leaf,
            Some((Part::Rest(_), _)) => &mut self.rest,
            Some((Part::Exact(text), after)) => {
                self.exact.entry((*text).to_owned()).or_insert_with(Self::new).place(after)
            }
            Some((Part::Parameter(_), after)) => {
                self.parameter.get_or_insert_with(|| Box::new(Self::new())).place(after)
            }
        }
    }

    /// Takes out what is at the place of a pattern if `which` says so, and the nodes that nothing hangs on then.
    pub(super) fn take(&mut self, parts: &[Part<'_>], which: impl FnOnce(&Leaf<T>) -> bool) -> Option<Leaf<T>> {
        match parts.split_first() {
            None => self.leaf.take_if(|leaf| which(leaf)),
            Some((Part::Rest(_), _)) => self.rest.take_if(|leaf| which(leaf)),
            Some((Part::Exact(text), after)) => {
                let node = self.exact.get_mut(*text)?;
                let taken = node.take(after, which);
                if node.is_empty() {
                    self.exact.remove(*text);
                }
                taken
            }
            Some((Part::Parameter(_), after)) => {
                let taken = self.parameter.as_mut()?.take(after, which);
                self.parameter.take_if(|node| node.is_empty());
                taken
            }
        }
    }

    /// Depth-first, exact text before the parameter before the rest. No node is looked at twice, so that the work is
    /// bounded by the routes registered and not by the path.
    pub(super) fn find(&self, segments: &[Cow<'_, str>]) -> Option<Way<'_, T>> {
        let mut parameters = Vec::new();
        let (leaf, rest) = self.find_from(0, segments, &mut parameters)?;
        Some(Way { leaf, parameters, rest })
    }

    fn find_from(
        &self,
        at: usize,
        segments: &[Cow<'_, str>],
        parameters: &mut Vec<usize>,
    ) -> Option<(&Leaf<T>, usize)> {
        let Some(segment) = segments.get(at) else { return self.leaf.as_ref().map(|leaf| (leaf, at)) };
        let exact = self.exact.get(segment.as_ref());
        if let Some(found) = exact.and_then(|node| node.find_from(at + 1, segments, parameters)) {
            return Some(found);
        }
        if let Some(node) = self.parameter.as_ref().filter(|_| !segment.is_empty()) {
            parameters.push(at);
            let found = node.find_from(at + 1, segments, parameters);
            if found.is_some() {
                return found;
            }
            parameters.pop();
        }
        let is_empty = segment.is_empty() && at + 1 == segments.len();
        self.rest.as_ref().filter(|_| !is_empty).map(|leaf| (leaf, at))
    }

    /// Everything registered here and below.
    pub(super) fn leaves(&self) -> Vec<&Leaf<T>> {
        let mut leaves: Vec<&Leaf<T>> = self.leaf.iter().chain(&self.rest).collect();
        for node in self.exact.values().chain(self.parameter.as_deref()) {
            leaves.extend(node.leaves());
        }
        leaves
    }

    /// Everything registered here and below, taken out.
    pub(super) fn into_leaves(self) -> Vec<Leaf<T>> {
        let mut leaves: Vec<Leaf<T>> = self.leaf.into_iter().chain(self.rest).collect();
        for node in self.exact.into_values().chain(self.parameter.map(|node| *node)) {
            leaves.extend(node.into_leaves());
        }
        leaves
    }

    /// The same tree with other leaves.
    pub(super) fn map<U>(self, change: &mut impl FnMut(Leaf<T>) -> Leaf<U>) -> Node<U> {
        Node {
            leaf: self.leaf.map(&mut *change),
            rest: self.rest.map(&mut *change),
            parameter: self.parameter.map(|node| Box::new(node.map(change))),
            exact: self.exact.into_iter().map(|(text, node)| (text, node.map(change))).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.parameter.is_none() && self.rest.is_none() && self.leaf.is_none()
    }
}
