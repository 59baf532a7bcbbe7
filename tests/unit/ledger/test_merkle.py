"""Known answers of Certificate Transparency, then every small tree against RFC 9162's own words."""

from collections.abc import Sequence
from itertools import combinations

import pytest

from ledger.errors import ProofError
from ledger.frontier import Frontier
from ledger.hashing import leaf_hash, node_hash, sha256
from ledger.merkle import (
    EMPTY_ROOT,
    MemoryTree,
    dyadic_parts,
    merge_ranges,
    range_path,
    root_from_ranges,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

# Inputs, roots and paths of the reference tests of Certificate Transparency (RFC 6962).
INPUTS = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSION = [
    (0, 1, []), (0, 8, [A, B, C]), (5, 8, [D, E, ROOTS[3]]), (2, 3, [ROOTS[1]]),
    (1, 5, [ROOTS[0], B, D]),
]  # fmt: skip
CONSISTENCY = [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, ROOTS[3]]), (2, 5, [B, D])]

LEAVES = [leaf_hash(bytes.fromhex(text)) for text in INPUTS]
TREE = MemoryTree(LEAVES)


def unhex(path: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in path]


def test_a_tree_without_leaves_has_the_hash_of_no_bytes() -> None:
    assert sha256(b"") == EMPTY_ROOT == tree_root([]) == MemoryTree().root() == Frontier().root()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    expected = bytes.fromhex(ROOTS[size - 1])
    assert expected == tree_root(LEAVES[:size]) == TREE.root(size)
    assert expected == Frontier().extend(LEAVES[:size]).root()


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_inclusion_paths_are_those_of_certificate_transparency(
    index: int, size: int, path: list[str]
) -> None:
    assert unhex(path) == TREE.inclusion_path(index, size)
    verify_inclusion(
        leaf_hash=LEAVES[index], index=index, size=size, path=unhex(path), root=TREE.root(size)
    )


@pytest.mark.parametrize(("old", "new", "path"), CONSISTENCY)
def test_consistency_paths_are_those_of_certificate_transparency(
    old: int, new: int, path: list[str]
) -> None:
    assert unhex(path) == TREE.consistency_path(old, new)


# RFC 9162, 2.1.1, 2.1.3.1 and 2.1.4.1 word for word: slow, and nothing shared with the code.


def word_root(d: Sequence[bytes]) -> bytes:
    if len(d) <= 1:
        return d[0] if d else sha256(b"")
    k = max(1 << i for i in range(12) if 1 << i < len(d))
    return node_hash(word_root(d[:k]), word_root(d[k:]))


def word_path(m: int, d: Sequence[bytes]) -> list[bytes]:
    if len(d) == 1:
        return []
    k = max(1 << i for i in range(12) if 1 << i < len(d))
    if m < k:
        return [*word_path(m, d[:k]), word_root(d[k:])]
    return [*word_path(m - k, d[k:]), word_root(d[:k])]


def word_proof(m: int, d: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    if m == len(d):
        return [] if whole else [word_root(d)]
    k = max(1 << i for i in range(12) if 1 << i < len(d))
    if m <= k:
        return [*word_proof(m, d[:k], whole=whole), word_root(d[k:])]
    return [*word_proof(m - k, d[k:], whole=False), word_root(d[:k])]


MANY = [leaf_hash(bytes([n])) for n in range(36)]
GROWN = MemoryTree(MANY)


@pytest.mark.parametrize("size", range(1, len(MANY) + 1))
def test_every_path_of_a_small_tree_is_the_one_of_the_rfc_and_verifies(size: int) -> None:
    root = word_root(MANY[:size])
    assert root == GROWN.root(size)
    for index in range(size):
        path = GROWN.inclusion_path(index, size)
        assert word_path(index, MANY[:size]) == path
        verify_inclusion(leaf_hash=MANY[index], index=index, size=size, path=path, root=root)
    for old in range(1, size + 1):
        path = GROWN.consistency_path(old, size)
        assert word_proof(old, MANY[:size]) == path
        verify_consistency(
            old_size=old, new_size=size, old_root=GROWN.root(old), new_root=root, path=path
        )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 11])
def test_a_wrong_index_size_leaf_or_path_is_refused(size: int) -> None:
    for index in range(size):
        good = {
            "leaf_hash": MANY[index], "index": index, "size": size,
            "path": GROWN.inclusion_path(index, size), "root": GROWN.root(size),
        }  # fmt: skip
        path: list[bytes] = GROWN.inclusion_path(index, size)
        lies: list[dict[str, object]] = [
            {"leaf_hash": MANY[index + 1]}, {"root": MANY[0] if size > 1 else MANY[1]},
            {"index": index + 1}, {"index": -1}, {"index": size},
            {"path": [*path, MANY[0]]}, {"path": [*path[:-1], b"short"]}, {"path": [MANY[5]] * 65},
        ]  # fmt: skip
        if path:
            lies += [{"path": path[:-1]}, {"path": path[1:]}]
        for lie in lies:
            with pytest.raises(ProofError):
                verify_inclusion(**{**good, **lie})  # type: ignore[arg-type]  # lies


def test_a_tree_that_was_rewritten_has_no_consistency_path() -> None:
    other = MemoryTree([MANY[1], *MANY[1:]])
    for old in range(1, 12):
        for new in range(old, 14):
            path = other.consistency_path(old, new)
            with pytest.raises(ProofError):
                verify_consistency(
                    old_size=old,
                    new_size=new,
                    old_root=GROWN.root(old),
                    new_root=other.root(new),
                    path=path,
                )


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (5, 5)])
def test_sizes_that_do_not_grow_are_refused(old: int, new: int) -> None:
    with pytest.raises(ProofError):
        verify_consistency(old_size=old, new_size=new, old_root=MANY[0], new_root=MANY[1], path=[])


def test_consistency_paths_cut_or_lengthened_are_refused() -> None:
    for old, new in combinations(range(1, 14), 2):
        path = GROWN.consistency_path(old, new)
        for bad in (path[:-1], path[1:], [*path, MANY[0]], [], [MANY[0], *path]):
            with pytest.raises(ProofError):
                verify_consistency(
                    old_size=old,
                    new_size=new,
                    old_root=GROWN.root(old),
                    new_root=GROWN.root(new),
                    path=bad,
                )


@pytest.mark.parametrize("size", range(1, 10))
def test_any_set_of_leaves_is_proven_by_the_maximal_nodes_outside_it(size: int) -> None:
    for chosen in range(1, 1 << size):
        indexes = [n for n in range(size) if chosen >> n & 1]
        ranges = merge_ranges([(n, 1) for n in indexes])
        path = range_path(GROWN.read, size, ranges)
        leaves = [MANY[n] for n in indexes]
        root = root_from_ranges(size=size, ranges=ranges, leaf_hashes=leaves, path=path)
        assert GROWN.root(size) == root


def test_ranges_have_one_legal_form_and_every_hash_is_used() -> None:
    ranges, leaves = [(2, 2), (6, 1)], [MANY[2], MANY[3], MANY[6]]
    path = range_path(GROWN.read, 11, ranges)
    bad: list[tuple[list[tuple[int, int]], list[bytes], list[bytes]]] = [
        ([], [], path), ([(2, 1), (3, 1), (6, 1)], leaves, path), ([(6, 1), (2, 2)], leaves, path),
        ([(2, 2), (2, 2)], [*leaves, MANY[3]], path), ([(2, 2), (6, 0)], leaves[:2], path),
        ([(-1, 1), (2, 2)], leaves, path), ([(2, 2), (11, 1)], leaves, path),
        (ranges, leaves[:2], path), (ranges, [*leaves, MANY[0]], path),
        (ranges, leaves, path[:-1]), (ranges, leaves, [*path, MANY[0]]),
        (ranges, leaves, [*path[:-1], b"short"]),
    ]  # fmt: skip
    for some_ranges, some_leaves, some_path in bad:
        with pytest.raises(ProofError):
            root_from_ranges(size=11, ranges=some_ranges, leaf_hashes=some_leaves, path=some_path)


def test_a_proof_of_very_many_ranges_takes_no_more_than_its_share_of_time() -> None:
    many = MemoryTree([leaf_hash(n.to_bytes(4, "big")) for n in range(40_000)])
    ranges = [(n, 1) for n in range(0, 40_000, 2)]
    path = range_path(many.read, many.size, ranges)
    leaves = [many.read(0, n) for n, _ in ranges]
    # With a look at every range for every node this took minutes.
    found = root_from_ranges(size=many.size, ranges=ranges, leaf_hashes=leaves, path=path)
    assert many.root() == found


@pytest.mark.parametrize("first", range(18))
def test_subtrees_tile_a_run_as_the_format_says(first: int) -> None:
    for end in range(first + 1, 36):
        tiles, at = [], first
        while at < end:
            zeros = 63 if at == 0 else (at & -at).bit_length() - 1
            level = min(zeros, (end - at).bit_length() - 1)
            tiles.append((level, at >> level))
            at += 1 << level
        assert tiles == list(dyadic_parts(first, end))
        grown = Frontier().extend(MANY[:first])
        for level, index in tiles:
            grown, _ = grown.grow(level, GROWN.read(level, index))
        assert GROWN.root(end) == grown.root()


def test_a_subtree_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="not aligned"):
        Frontier().append(MANY[0]).grow(1, MANY[1])
