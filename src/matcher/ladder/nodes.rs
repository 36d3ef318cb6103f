//! The nodes of ladders: leaves and inner nodes, their pool, and what is done within one node.

use crate::sys::memory::{prefetch_all, reserved};

/// No node.
pub(super) const NONE: u32 = u32::MAX;
/// Entries of a leaf: 62 fill twelve cache lines where the value is a rule's number.
pub(super) const LEAF: usize = 62;
/// Children of an inner node.
pub(super) const INNER: usize = 32;
/// A node that is left less than half full joins a neighbour, unless the two would fill more than this part of one.
/// So two neighbours hold more than 3/4 of one node together: what sizes the pool.
pub(super) const ROOM: usize = 4;
/// Levels of inner nodes. Each inner node but the root holds at least 3/8 * INNER / 2 children on average: far more than any pool holds.
pub(super) const HEIGHT_MAX: usize = 12;

/// An entry's place in the order: ascending by key, among equals the later version first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is sorted by.
    pub key: i64,
    /// Among equal keys: the greater comes earlier, that is farther from the hot end.
    pub version: u64,
}

impl Place {
    #[inline]
    pub(super) fn before(self, other: Place) -> bool {
        self.key < other.key || (self.key == other.key && self.version > other.version)
    }
}

#[derive(Clone)]
#[repr(C)]
pub(super) struct Leaf<V> {
    pub(super) len: u32,
    pub(super) keys: [i64; LEAF],
    pub(super) values: [V; LEAF],
}

#[derive(Clone)]
pub(super) struct Inner {
    pub(super) len: u32,
    /// `first[i]` is not after any entry of child i, and after every entry of child i - 1. `first[0]` is not used.
    pub(super) first: [Place; INNER],
    pub(super) children: [u32; INNER],
}

/// No node is free, or the ladder cannot grow higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolFull;

/// Nodes of one kind: all equal, reserved at the start, taken and given back one by one.
pub(super) struct Nodes<N> {
    pub(super) nodes: Vec<N>,
    pub(super) free: Vec<u32>,
    pub(super) max: usize,
}

impl<N> Nodes<N> {
    pub(super) fn new(max: usize, reserve: bool) -> Nodes<N> {
        let count = if reserve { max } else { 0 };
        Nodes { nodes: reserved(count), free: reserved(count), max }
    }

    pub(super) fn available(&self) -> usize {
        self.free.len() + (self.max - self.nodes.len())
    }

    pub(super) fn take(&mut self, node: N) -> u32 {
        if let Some(id) = self.free.pop() {
            self.nodes[id as usize] = node;
            return id;
        }
        self.nodes.push(node);
        (self.nodes.len() - 1) as u32
    }

    pub(super) fn give_back(&mut self, id: u32) {
        self.free.push(id);
    }
}

/// The nodes of many ladders.
pub struct Pool<V> {
    pub(super) leaves: Nodes<Leaf<V>>,
    pub(super) inners: Nodes<Inner>,
}

impl<V: Copy + Default> Pool<V> {
    /// A pool in which `ladders` ladders can hold `entries` entries in all. With `reserve` its (virtual) memory is
    /// taken at once and nothing is allocated later; without, it grows as needed.
    pub fn new(entries: usize, ladders: usize, reserve: bool) -> Pool<V> {
        // The last leaf of a ladder may hold a single entry.
        let leaves = (entries / (LEAF / 3) + ladders + 2).min(NONE as usize);
        let inners = leaves / (INNER / 3) + 2 * HEIGHT_MAX;
        Pool { leaves: Nodes::new(leaves, reserve), inners: Nodes::new(inners, reserve) }
    }

    /// True when an insert cannot fail, into whatever ladder.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.leaves.available() >= 1 && self.inners.available() > HEIGHT_MAX
    }

    /// An empty leaf. One that was given back is not cleared: a symbol with one rule takes and gives back a leaf whenever that
    /// fires or clears, and would write twelve lines each time.
    #[inline]
    pub(super) fn take_leaf(&mut self) -> u32 {
        match self.leaves.free.pop() {
            Some(id) => {
                self.leaf_mut(id).len = 0;
                id
            }
            None => self.leaves.take(Leaf { len: 0, keys: [0; LEAF], values: [V::default(); LEAF] }),
        }
    }

    /// Takes all nodes back at once: every ladder of this pool must be forgotten.
    pub fn clear(&mut self) {
        self.leaves.nodes.clear();
        self.leaves.free.clear();
        self.inners.nodes.clear();
        self.inners.free.clear();
    }

    /// Has a whole leaf fetched: its lines at once, where a search in it would wait for one after the other.
    #[inline]
    pub(super) fn prefetch_leaf(&self, id: u32) {
        prefetch_all(self.leaf(id));
    }

    #[inline]
    pub(super) fn leaf(&self, id: u32) -> &Leaf<V> {
        &self.leaves.nodes[id as usize]
    }

    #[inline]
    pub(super) fn leaf_mut(&mut self, id: u32) -> &mut Leaf<V> {
        &mut self.leaves.nodes[id as usize]
    }

    #[inline]
    pub(super) fn inner(&self, id: u32) -> &Inner {
        &self.inners.nodes[id as usize]
    }

    pub(super) fn inner_mut(&mut self, id: u32) -> &mut Inner {
        &mut self.inners.nodes[id as usize]
    }
}

impl<V: Copy + Default> Leaf<V> {
    /// The first entry whose key is not smaller.
    #[inline]
    pub(super) fn lower_bound(&self, key: i64) -> usize {
        self.keys[..self.len as usize].partition_point(|k| *k < key)
    }

    /// The first entry that is not before `place`.
    pub(super) fn position(&self, place: Place, version_of: &impl Fn(V) -> u64) -> usize {
        let at = self.lower_bound(place.key);
        if at == self.len as usize || self.keys[at] != place.key || place.version == u64::MAX {
            return at;
        }
        let equal = self.keys[at..self.len as usize].partition_point(|k| *k == place.key);
        at + self.values[at..at + equal].partition_point(|v| version_of(*v) > place.version)
    }

    pub(super) fn place(&self, at: usize, version_of: &impl Fn(V) -> u64) -> Place {
        Place { key: self.keys[at], version: version_of(self.values[at]) }
    }

    pub(super) fn open(&mut self, at: usize, key: i64, value: V) {
        let len = self.len as usize;
        // Two calls less where nothing is to be moved: at the hot end.
        if at < len {
            self.keys.copy_within(at..len, at + 1);
            self.values.copy_within(at..len, at + 1);
        }
        self.keys[at] = key;
        self.values[at] = value;
        self.len += 1;
    }

    pub(super) fn close(&mut self, at: usize) {
        let len = self.len as usize;
        if at + 1 < len {
            self.keys.copy_within(at + 1..len, at);
            self.values.copy_within(at + 1..len, at);
        }
        self.len -= 1;
    }

    pub(super) fn move_tail_to_head(&mut self, right: &mut Leaf<V>, count: usize) {
        let (len, kept) = (right.len as usize, self.len as usize - count);
        right.keys.copy_within(..len, count);
        right.values.copy_within(..len, count);
        right.keys[..count].copy_from_slice(&self.keys[kept..kept + count]);
        right.values[..count].copy_from_slice(&self.values[kept..kept + count]);
        right.len += count as u32;
        self.len = kept as u32;
    }

    pub(super) fn move_head_to_tail(&mut self, left: &mut Leaf<V>, count: usize) {
        let (len, all) = (left.len as usize, self.len as usize);
        left.keys[len..len + count].copy_from_slice(&self.keys[..count]);
        left.values[len..len + count].copy_from_slice(&self.values[..count]);
        left.len += count as u32;
        self.keys.copy_within(count..all, 0);
        self.values.copy_within(count..all, 0);
        self.len -= count as u32;
    }
}

impl Inner {
    pub(super) const EMPTY: Inner =
        Inner { len: 0, first: [Place { key: i64::MIN, version: 0 }; INNER], children: [NONE; INNER] };

    /// The child in whose range `place` falls.
    pub(super) fn child_for(&self, place: Place) -> usize {
        self.first[1..self.len as usize].partition_point(|first| !place.before(*first))
    }

    pub(super) fn open(&mut self, at: usize, first: Place, child: u32) {
        let len = self.len as usize;
        self.first.copy_within(at..len, at + 1);
        self.children.copy_within(at..len, at + 1);
        self.first[at] = first;
        self.children[at] = child;
        self.len += 1;
    }

    pub(super) fn close(&mut self, at: usize) {
        let len = self.len as usize;
        self.first.copy_within(at + 1..len, at);
        self.children.copy_within(at + 1..len, at);
        self.len -= 1;
    }

    /// Keeps the first half; returns the second one, and the place where it begins.
    pub(super) fn split(&mut self) -> (Inner, Place) {
        let mut upper = Inner::EMPTY;
        upper.first[..INNER / 2].copy_from_slice(&self.first[INNER / 2..]);
        upper.children[..INNER / 2].copy_from_slice(&self.children[INNER / 2..]);
        upper.len = (INNER / 2) as u32;
        self.len = (INNER / 2) as u32;
        (upper, self.first[INNER / 2])
    }

    /// Takes over the children of the next node, which begins at `boundary`.
    pub(super) fn append(&mut self, next: &Inner, boundary: Place) {
        let (len, count) = (self.len as usize, next.len as usize);
        self.first[len..len + count].copy_from_slice(&next.first[..count]);
        self.children[len..len + count].copy_from_slice(&next.children[..count]);
        self.first[len] = boundary;
        self.len += count as u32;
    }
}
