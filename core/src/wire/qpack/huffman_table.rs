//! Tables of the Huffman code of HPACK, which QPACK shares (RFC 7541, Appendix B), worked out at compile time.
//!
//! The code is canonical: codes of one length are consecutive in the order of their symbols, and shorter codes come
//! first. So the lengths alone define it.

#![expect(
    clippy::indexing_slicing,
    reason = "tables of fixed size indexed by values below it; most of it runs at compile time"
)]

/// Number of symbols: all bytes, and EOS.
const SYMBOLS: usize = 257;

/// The symbol that ends a string in theory and must not occur in practice (RFC 7541, section 5.2).
const END_OF_STRING: usize = 256;

/// Length of the longest code in bits.
const LONGEST: u8 = 30;

/// Number of inner nodes of the code tree: a full binary tree has one less than it has leaves.
const NODES: usize = SYMBOLS - 1;

/// Length in bits of the code of each symbol (RFC 7541, Appendix B).
#[rustfmt::skip]
pub const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// Code of each symbol, in the low bits, with its length in bits (RFC 7541, Appendix B).
pub static CODES: [(u32, u8); SYMBOLS] = CODE_TABLE;

/// What four bits of input do at each node of the code tree, by node and by those bits.
pub static STEPS: [[Step; 16]; NODES] = build_steps();

/// One step of the decoder, over four bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The node reached; 0 is the root.
    pub next: u8,
    /// The byte completed on the way, where `outcome` says so; no code is short enough for two.
    pub symbol: u8,
    /// What the bits amount to.
    pub outcome: Outcome,
    /// Whether a string may end at `next`: at most seven bits, all ones, lie between it and the last symbol.
    pub may_end: bool,
}

/// What a [`Step`] amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No symbol is complete yet.
    Continue,
    /// A symbol is complete.
    Symbol,
    /// The bits contain EOS (RFC 7541, section 5.2).
    EndOfString,
}

const CODE_TABLE: [(u32, u8); SYMBOLS] = build_codes();

/// Children of each inner node: below [`NODES`] an inner node, otherwise a symbol plus [`NODES`].
const TREE: [[u16; 2]; NODES] = build_tree();

const fn build_codes() -> [(u32, u8); SYMBOLS] {
    let mut codes = [(0, 0); SYMBOLS];
    let mut next = 0;
    let mut length = 1;
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] == length {
                codes[symbol] = (next, length);
                next += 1;
            }
            symbol += 1;
        }
        next <<= 1;
        length += 1;
    }
    codes
}

const fn build_tree() -> [[u16; 2]; NODES] {
    let mut tree = [[0; 2]; NODES];
    let mut used = 1;
    let mut symbol = 0;
    while symbol < SYMBOLS {
        let (code, length) = CODE_TABLE[symbol];
        let mut node = 0;
        let mut remaining = length - 1;
        while remaining > 0 {
            let bit = (code >> remaining & 1) as usize;
            if tree[node][bit] == 0 {
                tree[node][bit] = used;
                used += 1;
            }
            node = tree[node][bit] as usize;
            remaining -= 1;
        }
        tree[node][(code & 1) as usize] = (symbol + NODES) as u16;
        symbol += 1;
    }
    tree
}

const fn build_steps() -> [[Step; 16]; NODES] {
    let may_end = build_may_end();
    let empty = Step { next: 0, symbol: 0, outcome: Outcome::Continue, may_end: false };
    let mut steps = [[empty; 16]; NODES];
    let mut node = 0;
    while node < NODES {
        let mut bits = 0;
        while bits < 16 {
            let mut step = walk(node, bits);
            step.may_end = may_end[step.next as usize];
            steps[node][bits] = step;
            bits += 1;
        }
        node += 1;
    }
    steps
}

const fn walk(node: usize, bits: usize) -> Step {
    let mut step = Step { next: node as u8, symbol: 0, outcome: Outcome::Continue, may_end: false };
    let mut remaining = 4;
    while remaining > 0 {
        remaining -= 1;
        let child = TREE[step.next as usize][bits >> remaining & 1] as usize;
        if child < NODES {
            step.next = child as u8;
        } else if child == END_OF_STRING + NODES {
            step.outcome = Outcome::EndOfString;
            step.next = 0;
            return step;
        } else {
            step.outcome = Outcome::Symbol;
            step.symbol = (child - NODES) as u8;
            step.next = 0;
        }
    }
    step
}

const fn build_may_end() -> [bool; NODES] {
    let mut may_end = [false; NODES];
    let mut node = 0;
    let mut depth = 0;
    while depth < 8 {
        may_end[node] = true;
        node = TREE[node][1] as usize;
        depth += 1;
    }
    may_end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_make_a_complete_code() {
        let filled: u64 = LENGTHS.iter().map(|&length| 1 << (LONGEST - length)).sum();
        assert_eq!(filled, 1 << LONGEST);
    }

    #[test]
    fn codes_at_known_symbols() {
        // RFC 7541, appendix B.
        assert_eq!(CODES[usize::from(b'0')], (0x0, 5));
        assert_eq!(CODES[usize::from(b' ')], (0x14, 6));
        assert_eq!(CODES[usize::from(b'X')], (0xfc, 8));
        assert_eq!(CODES[0], (0x1ff8, 13));
        assert_eq!(CODES[249], (0x0fff_fffe, 28));
        assert_eq!(CODES[22], (0x3fff_fffe, 30));
        assert_eq!(CODES[END_OF_STRING], (0x3fff_ffff, 30));
    }

    #[test]
    fn every_node_leads_on_by_both_bits() {
        assert!(TREE.iter().flatten().all(|&child| child != 0), "nothing leads back to the root");
    }

    #[test]
    fn eight_nodes_may_end_a_string() {
        let mut nodes: Vec<u8> = STEPS.iter().flatten().filter(|step| step.may_end).map(|step| step.next).collect();
        nodes.sort_unstable();
        nodes.dedup();
        assert_eq!(nodes.len(), 8);
    }
}
