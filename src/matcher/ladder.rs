//! A ladder: entries sorted by key, made to be read and popped at one end. Thresholds and book levels are both kept so.
//!
//! ```text
//!     cold                                                        hot
//!     [ inner: first entry of each child, child ... ]
//!         |                  |                  |
//!     [leaf .. ]         [leaf .. ]         [leaf .... tail]  <- the entry that fires next, the best price
//! ```
//!
//! A B+ tree whose nodes live in a [`Pool`] that many ladders share. Entries ascend by (key, then version
//! *descending*), so the tail of the last leaf is the greatest key and among equals the one set first: exactly
//! the order of firing. Popping is `len -= 1`; a leaf is given back when it is empty.
//!
//! - Insert, remove: O(log n), at most one leaf moved and one node split or merged a level. Nothing is ever rehashed or moved in bulk.
//! - Fill: before a full leaf is split its neighbours are asked for room, so random inserts leave leaves about 80 % full.
//! - A version is not stored with its key in a leaf (8 bytes a rule): among equal keys it is read from the rule.
//!
//! Weighed and left without being built: a sorted `Vec` of chunks (its index is moved in bulk, unbounded at a million rules of
//! one symbol), a skip list and a treap (a cache miss a level, 8 to 16 bytes of links a rule).

use crate::sys::memory::prefetch;

mod nodes;

use nodes::{HEIGHT_MAX, INNER, Inner, LEAF, Leaf, NONE, ROOM};
pub use nodes::{Place, Pool, PoolFull};

/// One ladder in a pool. 12 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Ladder {
    root: u32,
    /// The last leaf.
    hot: u32,
    /// Levels of inner nodes above the leaves.
    height: u32,
}

impl Default for Ladder {
    fn default() -> Ladder {
        Ladder { root: NONE, hot: NONE, height: 0 }
    }
}

/// Where a key stands in a ladder: which leaf, which entry. Void after the next change of the ladder.
#[derive(Clone, Copy)]
pub struct Spot {
    leaf: u32,
    at: usize,
}

impl Spot {
    /// The value there, if it is of this key.
    #[inline]
    pub fn value<V: Copy + Default>(self, pool: &mut Pool<V>, key: i64) -> Option<&mut V> {
        if self.leaf == NONE {
            return None;
        }
        let leaf = pool.leaf_mut(self.leaf);
        (self.at < leaf.len as usize && leaf.keys[self.at] == key).then(|| &mut leaf.values[self.at])
    }
}

/// The way from the root to a leaf: inner nodes, and which child was taken in each.
struct Path {
    steps: [(u32, u32); HEIGHT_MAX],
    leaf: u32,
}

impl Ladder {
    /// True without entries.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.root == NONE
    }

    /// The entry at the hot end.
    #[inline]
    pub fn hot<V: Copy + Default>(&self, pool: &Pool<V>) -> Option<(i64, V)> {
        if self.is_empty() {
            return None;
        }
        let leaf = pool.leaf(self.hot);
        let tail = leaf.len as usize - 1;
        Some((leaf.keys[tail], leaf.values[tail]))
    }

    /// The key at the hot end; `i64::MIN`, which no value of a feed reaches, without entries.
    #[inline]
    pub fn hot_key<V: Copy + Default>(&self, pool: &Pool<V>) -> i64 {
        self.hot(pool).map_or(i64::MIN, |(key, _)| key)
    }

    /// Takes the entry at the hot end.
    pub fn pop<V: Copy + Default>(&mut self, pool: &mut Pool<V>) -> Option<(i64, V)> {
        let hot = self.hot(pool)?;
        let leaf = pool.leaf_mut(self.hot);
        leaf.len -= 1;
        if leaf.len == 0 {
            self.drop_hot(pool);
        }
        Some(hot)
    }

    /// Gives back the last leaf, which is empty.
    #[inline]
    fn drop_hot<V: Copy + Default>(&mut self, pool: &mut Pool<V>) {
        if self.height == 0 {
            pool.leaves.give_back(self.hot);
            *self = Ladder::default();
        } else {
            let path = self.last_path(pool);
            self.drop_leaf(pool, &path);
        }
    }

    /// Puts an entry in its place. `version_of` tells the version of an entry that is there already.
    /// # Errors
    /// [`PoolFull`], and nothing done.
    pub fn insert<V: Copy + Default>(
        &mut self,
        pool: &mut Pool<V>,
        place: Place,
        value: V,
        version_of: impl Fn(V) -> u64,
    ) -> Result<(), PoolFull> {
        if self.is_near(pool, place.key) && (pool.leaf(self.hot).len as usize) < LEAF {
            let leaf = pool.leaf_mut(self.hot);
            let at = leaf.position(place, &version_of);
            leaf.open(at, place.key, value);
            return Ok(());
        }
        if !pool.has_room() || self.height as usize == HEIGHT_MAX {
            return Err(PoolFull);
        }
        if self.is_empty() {
            let leaf = pool.take_leaf();
            *self = Ladder { root: leaf, hot: leaf, height: 0 };
            pool.leaf_mut(leaf).open(0, place.key, value);
            return Ok(());
        }
        let mut path = self.path_to(pool, place);
        pool.prefetch_leaf(path.leaf);
        if pool.leaf(path.leaf).len as usize == LEAF {
            if !self.shift(pool, &path, &version_of) {
                self.split(pool, &path, &version_of);
            }
            path = self.path_to(pool, place);
        }
        let leaf = pool.leaf_mut(path.leaf);
        let at = leaf.position(place, &version_of);
        leaf.open(at, place.key, value);
        Ok(())
    }

    /// True when an entry of this key stands or would stand in the last leaf, whatever its version.
    #[inline]
    fn is_near<V: Copy + Default>(&self, pool: &Pool<V>, key: i64) -> bool {
        !self.is_empty() && (self.height == 0 || pool.leaf(self.hot).keys[0] < key)
    }

    /// Takes out the entry at exactly this place.
    pub fn remove<V: Copy + Default>(
        &mut self,
        pool: &mut Pool<V>,
        place: Place,
        version_of: impl Fn(V) -> u64,
    ) -> Option<V> {
        if self.is_empty() {
            return None;
        }
        let path = self.path_to(pool, place);
        pool.prefetch_leaf(path.leaf);
        let leaf = pool.leaf_mut(path.leaf);
        let at = leaf.position(place, &version_of);
        if at == leaf.len as usize || leaf.keys[at] != place.key || version_of(leaf.values[at]) != place.version {
            return None;
        }
        let value = leaf.values[at];
        leaf.close(at);
        match leaf.len as usize {
            0 => self.drop_leaf(pool, &path),
            len if len < LEAF / 2 && self.height > 0 => self.join(pool, &path),
            _ => (),
        }
        Some(value)
    }

    /// Where a key stands or would stand, in a ladder whose keys are unique (version 0 throughout). Most are near the hot
    /// end: then no inner node is asked.
    #[inline]
    pub fn spot<V: Copy + Default>(&self, pool: &Pool<V>, key: i64) -> Spot {
        if self.is_empty() {
            return Spot { leaf: NONE, at: 0 };
        }
        let near = self.height == 0 || pool.leaf(self.hot).keys[0] <= key;
        let leaf = if near { self.hot } else { self.path_to(pool, Place { key, version: 0 }).leaf };
        Spot { leaf, at: pool.leaf(leaf).lower_bound(key) }
    }

    /// Puts an entry where [`Self::spot`] found that its key would stand.
    /// # Errors
    /// [`PoolFull`], and nothing done.
    #[inline]
    pub fn insert_at<V: Copy + Default>(
        &mut self,
        pool: &mut Pool<V>,
        spot: Spot,
        key: i64,
        value: V,
    ) -> Result<(), PoolFull> {
        if spot.leaf == NONE || pool.leaf(spot.leaf).len as usize == LEAF {
            return self.insert(pool, Place { key, version: 0 }, value, |_| 0);
        }
        pool.leaf_mut(spot.leaf).open(spot.at, key, value);
        Ok(())
    }

    /// Takes out the entry that [`Self::spot`] found.
    #[inline]
    pub fn remove_at<V: Copy + Default>(&mut self, pool: &mut Pool<V>, spot: Spot, key: i64) {
        let leaf = pool.leaf_mut(spot.leaf);
        let kept = if self.height == 0 { 1 } else { LEAF / 2 };
        if leaf.len as usize > kept {
            leaf.close(spot.at);
        } else {
            self.remove(pool, Place { key, version: 0 }, |_| 0);
        }
    }

    /// Has the head of the last leaf fetched.
    #[inline]
    pub fn prefetch_hot<V: Copy + Default>(&self, pool: &Pool<V>) {
        if !self.is_empty() {
            prefetch(pool.leaf(self.hot));
        }
    }

    /// Has the hot end of a short ladder fetched, without knowing how short it is.
    #[inline]
    pub fn prefetch_short<V: Copy + Default>(&self, pool: &Pool<V>) {
        if !self.is_empty() {
            let leaf = pool.leaf(self.hot);
            prefetch(leaf);
            prefetch(&leaf.values);
        }
    }

    /// Has the hot end fetched, when the head of the last leaf is there.
    #[inline]
    pub fn prefetch_tail<V: Copy + Default>(&self, pool: &Pool<V>) {
        if !self.is_empty() {
            let leaf = pool.leaf(self.hot);
            let tail = leaf.len as usize - 1;
            prefetch(&leaf.keys[tail]);
            prefetch(&leaf.values[tail]);
        }
    }

    /// Has the leaf fetched in which an entry of this place stands or would stand.
    #[inline]
    pub fn prefetch_for<V: Copy + Default>(&self, pool: &Pool<V>, place: Place) {
        if !self.is_empty() {
            pool.prefetch_leaf(self.path_to(pool, place).leaf);
        }
    }

    /// The entries that are popped next, as far as they lie in the last leaf: the next one is the last of the slices.
    #[inline]
    pub fn tail<'p, V: Copy + Default>(&self, pool: &'p Pool<V>) -> (&'p [i64], &'p [V]) {
        if self.is_empty() {
            return (&[], &[]);
        }
        let leaf = pool.leaf(self.hot);
        (&leaf.keys[..leaf.len as usize], &leaf.values[..leaf.len as usize])
    }

    /// Hands out all entries from the cold end to the hot end.
    pub fn for_each<V: Copy + Default>(&self, pool: &Pool<V>, mut each: impl FnMut(i64, V)) {
        if !self.is_empty() {
            Self::walk(pool, self.root, self.height, &mut each);
        }
    }

    fn walk<V: Copy + Default>(pool: &Pool<V>, id: u32, height: u32, each: &mut impl FnMut(i64, V)) {
        if height == 0 {
            let leaf = pool.leaf(id);
            (0..leaf.len as usize).for_each(|at| each(leaf.keys[at], leaf.values[at]));
        } else {
            let inner = pool.inner(id);
            inner.children[..inner.len as usize].iter().for_each(|child| Self::walk(pool, *child, height - 1, each));
        }
    }

    fn path_to<V: Copy + Default>(&self, pool: &Pool<V>, place: Place) -> Path {
        self.path(|inner| pool.inner(inner), |inner| inner.child_for(place))
    }

    fn last_path<V: Copy + Default>(&self, pool: &Pool<V>) -> Path {
        self.path(|inner| pool.inner(inner), |inner| inner.len as usize - 1)
    }

    fn path<'p>(&self, inner: impl Fn(u32) -> &'p Inner, choose: impl Fn(&Inner) -> usize) -> Path {
        let mut path = Path { steps: [(NONE, 0); HEIGHT_MAX], leaf: self.root };
        for step in &mut path.steps[..self.height as usize] {
            let node = inner(path.leaf);
            let child = choose(node);
            *step = (path.leaf, child as u32);
            path.leaf = node.children[child];
        }
        path
    }

    /// Makes room in a full leaf by moving entries to a neighbour under the same parent. False: none has room.
    fn shift<V: Copy + Default>(&mut self, pool: &mut Pool<V>, path: &Path, version_of: &impl Fn(V) -> u64) -> bool {
        let Some(&(parent, child)) = path.steps[..self.height as usize].last() else { return false };
        let child = child as usize;
        let inner = pool.inner(parent);
        let neighbour = |at: usize| (at < inner.len as usize).then(|| inner.children[at]);
        let roomy = |id: &u32| (pool.leaf(*id).len as usize) < LEAF - LEAF / ROOM;
        let right = neighbour(child + 1).filter(roomy);
        let left = child.checked_sub(1).and_then(neighbour).filter(roomy);
        let (from, to, boundary) = match (right, left) {
            (Some(right), _) => (path.leaf, right, child + 1),
            (None, Some(left)) => (path.leaf, left, child),
            (None, None) => return false,
        };
        let count = (LEAF - pool.leaf(to).len as usize) / 2;
        let mut source = pool.leaf(from).clone();
        let target = pool.leaf_mut(to);
        if right.is_some() {
            source.move_tail_to_head(target, count);
        } else {
            source.move_head_to_tail(target, count);
        }
        let first = if right.is_some() { target.place(0, version_of) } else { source.place(0, version_of) };
        *pool.leaf_mut(from) = source;
        pool.inner_mut(parent).first[boundary] = first;
        true
    }

    /// Splits a full leaf in two, and every full node above it.
    fn split<V: Copy + Default>(&mut self, pool: &mut Pool<V>, path: &Path, version_of: &impl Fn(V) -> u64) {
        let mut right = Leaf { len: 0, keys: [0; LEAF], values: [V::default(); LEAF] };
        pool.leaf_mut(path.leaf).move_tail_to_head(&mut right, LEAF / 2);
        let mut first = right.place(0, version_of);
        let mut new = pool.leaves.take(right);
        if self.hot == path.leaf {
            self.hot = new;
        }
        for &(id, child) in path.steps[..self.height as usize].iter().rev() {
            let inner = pool.inner_mut(id);
            if (inner.len as usize) < INNER {
                return inner.open(child as usize + 1, first, new);
            }
            let (mut upper, boundary) = inner.split();
            if (child as usize) < INNER / 2 {
                inner.open(child as usize + 1, first, new);
            } else {
                upper.open(child as usize + 1 - INNER / 2, first, new);
            }
            first = boundary;
            new = pool.inners.take(upper);
        }
        let mut root = Inner::EMPTY;
        root.open(0, Place { key: i64::MIN, version: 0 }, self.root);
        root.open(1, first, new);
        self.root = pool.inners.take(root);
        self.height += 1;
    }

    /// Gives back an empty leaf, and every inner node that it leaves without children.
    fn drop_leaf<V: Copy + Default>(&mut self, pool: &mut Pool<V>, path: &Path) {
        pool.leaves.give_back(path.leaf);
        for (depth, &(id, child)) in path.steps[..self.height as usize].iter().enumerate().rev() {
            let inner = pool.inner_mut(id);
            inner.close(child as usize);
            if inner.len > 0 {
                self.join_inner(pool, path, depth);
                self.settle(pool);
                return;
            }
            pool.inners.give_back(id);
        }
        *self = Ladder::default();
    }

    /// Joins a sparse leaf with a neighbour if both fit in one with room to spare.
    fn join<V: Copy + Default>(&mut self, pool: &mut Pool<V>, path: &Path) {
        let depth = self.height as usize - 1;
        let (parent, child) = path.steps[depth];
        let inner = pool.inner(parent);
        let pairs = [child as usize, (child as usize).wrapping_sub(1)];
        for left in pairs.into_iter().filter(|left| left.wrapping_add(1) < inner.len as usize && *left != usize::MAX) {
            let (into, from) = (inner.children[left], inner.children[left + 1]);
            let count = pool.leaf(from).len as usize;
            if pool.leaf(into).len as usize + count <= LEAF - LEAF / ROOM {
                let mut source = pool.leaf(from).clone();
                source.move_head_to_tail(pool.leaf_mut(into), count);
                pool.leaves.give_back(from);
                pool.inner_mut(parent).close(left + 1);
                self.join_inner(pool, path, depth);
                self.settle(pool);
                return;
            }
        }
    }

    /// Joins the inner node at `depth` of the path, if it is sparse, with a neighbour.
    fn join_inner<V: Copy + Default>(&mut self, pool: &mut Pool<V>, path: &Path, depth: usize) {
        for depth in (1..=depth).rev() {
            let (id, _) = path.steps[depth];
            if pool.inner(id).len as usize >= INNER / 2 {
                return;
            }
            let (parent, child) = path.steps[depth - 1];
            let inner = pool.inner(parent);
            let pairs = [child as usize, (child as usize).wrapping_sub(1)];
            let fits = |left: &usize| {
                *left != usize::MAX && left + 1 < inner.len as usize && {
                    let both = pool.inner(inner.children[*left]).len + pool.inner(inner.children[left + 1]).len;
                    both as usize <= INNER - INNER / ROOM
                }
            };
            let Some(left) = pairs.into_iter().find(fits) else { return };
            let (into, from) = (inner.children[left], inner.children[left + 1]);
            let boundary = inner.first[left + 1];
            let source = pool.inner(from).clone();
            pool.inner_mut(into).append(&source, boundary);
            pool.inners.give_back(from);
            pool.inner_mut(parent).close(left + 1);
        }
    }

    /// Takes away a root that has one child, and finds the last leaf again.
    fn settle<V: Copy + Default>(&mut self, pool: &mut Pool<V>) {
        while self.height > 0 && pool.inner(self.root).len == 1 {
            let only = pool.inner(self.root).children[0];
            pool.inners.give_back(self.root);
            self.root = only;
            self.height -= 1;
        }
        self.hot = self.last_path(pool).leaf;
    }
}

#[cfg(test)]
#[path = "ladder_tests.rs"]
mod tests;
