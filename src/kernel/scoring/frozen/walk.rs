use super::trees::{Decision, Trees};

/// Trees laid out for walking many at once.
///
/// Eight lanes each walk a chain of trees: a leaf leads on to the root of its lane's next tree, so that no
/// lane waits for the deepest tree of eight, and no branch has to be foreseen. Every node adds what its leaf
/// adds, and other nodes add 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Walk {
    /// The first leads to itself and adds nothing: where each chain ends.
    nodes: Vec<Node>,
    /// The root of each tree.
    roots: Vec<u32>,
    has_sets: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    /// `x <= value` goes left; the set of a split by category. Nothing is right of a leaf: it has infinity.
    value: f64,
    /// What a leaf adds; other nodes add 0.
    add: f64,
    /// The left child; the right one is the next. The node after a leaf is the next root of its lane.
    next: u32,
    /// Twice the column, and one more where what is missing goes right.
    slot: u16,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Leaf,
    Number,
    Set,
}

const END: Node = Node { value: f64::INFINITY, add: 0.0, next: 0, slot: 0, kind: Kind::Leaf };

/// Chains that are walked together, so that the processor loads nodes of several at once.
const LANES: usize = 8;

/// A row as nodes read it: each number twice. Where it is missing it is below all others for nodes that
/// send it left, and above all for those that send it right.
struct Slots<const N: usize>([f64; N]);

impl<const N: usize> Slots<N> {
    fn of(row: &[f64]) -> Self {
        let mut slots = [0.0; N];
        for (slots, x) in slots.as_chunks_mut::<2>().0.iter_mut().zip(row) {
            *slots = if x.is_nan() { [f64::NEG_INFINITY, f64::INFINITY] } else { [*x, *x] };
        }
        Self(slots)
    }

    #[inline]
    fn get(&self, node: &Node) -> f64 {
        // The slot is below the number of slots; to say so again costs less than to check it.
        self.0[usize::from(node.slot) % N]
    }
}

impl Walk {
    /// Adds a tree, in the order of the trees; its nodes are all after those of the trees before.
    pub(super) fn push(&mut self, trees: &Trees, root: u32, end: u32) {
        if self.nodes.is_empty() {
            self.nodes.push(END);
        }
        let place = |at: u32| at + 1;
        for at in root..end {
            let node = match trees.decision(at) {
                None => Node { add: trees.value(at), ..END },
                Some(Decision { value, column, missing_right, is_set, left }) => {
                    // Wider trees are not walked so.
                    let slot = column.wrapping_mul(2) | u16::from(missing_right);
                    let kind = if is_set { Kind::Set } else { Kind::Number };
                    self.has_sets |= is_set;
                    Node { value, add: 0.0, next: place(left), slot, kind }
                }
            };
            self.nodes.push(node);
        }
        // The same lane of the same output had its tree before this.
        let before = LANES * trees.base().len().max(1);
        if let Some(tree) = self.roots.len().checked_sub(before) {
            let until = self.roots.get(tree + 1).copied().unwrap_or_else(|| place(root));
            for node in &mut self.nodes[self.roots[tree] as usize..until as usize] {
                if node.kind == Kind::Leaf {
                    node.next = place(root);
                }
            }
        }
        self.roots.push(place(root));
    }

    /// The sum of the trees of an output, for a row with all columns.
    pub(super) fn sum(&self, trees: &Trees, output: usize, row: &[f64]) -> f64 {
        // Most have few columns, and an array that is larger takes longer to make.
        match (row.len(), self.has_sets) {
            (0..=64, false) => self.sum_of::<128, false>(trees, output, row),
            (0..=64, true) => self.sum_of::<128, true>(trees, output, row),
            (..=512, _) => self.sum_of::<1_024, true>(trees, output, row),
            _ => self.sum_of::<8_192, true>(trees, output, row),
        }
    }

    fn sum_of<const N: usize, const SETS: bool>(
        &self,
        trees: &Trees,
        output: usize,
        row: &[f64],
    ) -> f64 {
        let slots = Slots::<N>::of(row);
        let n_outputs = trees.base().len().max(1);
        let mut at: [u32; LANES] = std::array::from_fn(|lane| {
            self.roots.get(output + lane * n_outputs).copied().unwrap_or(0)
        });
        let mut sums = [0.0; LANES];
        let mut is_under_way = at.iter().fold(0, |any, at| any | at);
        while is_under_way != 0 {
            is_under_way = 0;
            for (at, sum) in at.iter_mut().zip(&mut sums) {
                let node = &self.nodes[*at as usize];
                *sum += node.add;
                let x = slots.get(node);
                let is_right = match node.kind {
                    Kind::Set if SETS => trees.is_right_of_set(node.value, x, node.slot % 2 == 1),
                    _ => x > node.value,
                };
                *at = node.next + u32::from(is_right);
                is_under_way |= *at;
            }
        }
        sums.iter().sum()
    }

    /// The most columns that it is for.
    pub(super) const MOST_COLUMNS: usize = 4_096;
}
