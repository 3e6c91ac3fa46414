use super::Function;
use super::node::Node;

/// How many times the texts that a node reads can be in its result, at most. A text of the expression itself counts
/// as nothing: the source is short.
pub(super) fn text_copies(node: &Node, column: &dyn Fn(usize) -> usize) -> usize {
    let copies = |node: &Node| text_copies(node, column);
    let sum = |nodes: &[Node]| nodes.iter().map(copies).fold(0, usize::saturating_add);
    let most = |nodes: &[Node]| nodes.iter().map(copies).max().unwrap_or(0);
    match node {
        Node::Column(index) => column(*index),
        Node::Concatenate(left, right) => copies(left).saturating_add(copies(right)),
        Node::Case(whens, otherwise) => {
            whens.iter().map(|(_, result)| copies(result)).max().unwrap_or(0).max(copies(otherwise))
        }
        Node::Call(function, arguments) => match function {
            Function::Concat => sum(arguments),
            // The separator is before each argument but the first.
            Function::ConcatWs => {
                let Some((separator, texts)) = arguments.split_first() else { return 0 };
                let n = texts.len().saturating_sub(1);
                sum(texts).saturating_add(copies(separator).saturating_mul(n))
            }
            // The new text can be in the place of each character.
            Function::Replace => match arguments.as_slice() {
                [text, _, new] => copies(text).saturating_mul(copies(new).max(1)),
                _ => 0,
            },
            _ => most(arguments),
        },
        Node::Cast(inner, ..) | Node::Not(inner) | Node::Negate(inner) => copies(inner),
        _ => 0,
    }
}
