"""Boosted trees as plain arrays: converted from LightGBM, and evaluated without it by a compiled kernel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gnnsched_env.common.errors import FileFormatError
from gnnsched_env.predictors import feature_kernels as kernels

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forests:
    """One forest for each of P outputs, in shared arrays.

    `features` int64 [nodes]: column that a node compares, -1 at a leaf. `thresholds` float64 [nodes]: go left if not
    above. `children` int64 [nodes, 2]: left and right, each behind its parent. `values` float64 [nodes]: of a leaf.
    `roots` int64 [trees]; `forest_ptr` int64 [P+1] cuts them by output.
    """

    features: IntArray
    thresholds: FloatArray
    children: IntArray
    values: FloatArray
    roots: IntArray
    forest_ptr: IntArray

    @classmethod
    def from_lightgbm(cls, models: Sequence[Any]) -> Self:
        """Return the trees of fitted `lightgbm.LGBMRegressor`s, one per output."""
        nodes: list[tuple[int, float, int, int, float]] = []
        roots: list[int] = []
        forest_ptr = [0]
        for model in models:
            for tree in model.booster_.dump_model()["tree_info"]:
                if tree["tree_structure"].get("leaf_value") != 0.0:  # a leaf of 0: the closed form is exact
                    roots.append(_append(tree["tree_structure"], nodes))
            forest_ptr.append(len(roots))
        return cls(
            features=np.array([node[0] for node in nodes], np.int64),
            thresholds=np.array([node[1] for node in nodes]),
            children=np.array([node[2:4] for node in nodes], np.int64).reshape(-1, 2),
            values=np.array([node[4] for node in nodes], np.float32).astype(np.float64),
            roots=np.array(roots, np.int64),
            forest_ptr=np.array(forest_ptr, np.int64),
        )

    def take(self, outputs: Sequence[int]) -> Self:
        """Return the forests of some outputs, in the given order; the nodes are shared."""
        parts = [self.roots[self.forest_ptr[p] : self.forest_ptr[p + 1]] for p in outputs]
        sizes = [0, *(len(part) for part in parts)]
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        roots = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        return type(self)(**arrays | {"roots": roots, "forest_ptr": np.cumsum(sizes).astype(np.int64)})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return compact arrays for storing; `from_arrays` is the inverse."""
        return {
            "features": self.features.astype(np.int16),
            "thresholds": self.thresholds,
            "children": self.children.astype(np.int32),
            "values": self.values.astype(np.float32),
            "roots": self.roots.astype(np.int32),
            "forest_ptr": self.forest_ptr.astype(np.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, outputs: int, columns: int, source: str) -> Self:
        """Return forests from stored arrays, checked so that the kernel stays within them and terminates."""
        kinds = {"features": "i", "thresholds": "f", "children": "i", "values": "f", "roots": "i", "forest_ptr": "i"}
        for name, kind in kinds.items():
            if name not in arrays or arrays[name].dtype.kind != kind:
                raise FileFormatError(f"{source}: array {name!r} of kind {kind!r} is missing")
        made = cls(
            features=arrays["features"].astype(np.int64),
            thresholds=arrays["thresholds"].astype(np.float64),
            children=arrays["children"].astype(np.int64),
            values=arrays["values"].astype(np.float64),
            roots=arrays["roots"].astype(np.int64),
            forest_ptr=arrays["forest_ptr"].astype(np.int64),
        )
        made._check(outputs, columns, source)
        return made

    def _check(self, outputs: int, columns: int, source: str) -> None:
        nodes = self.features.size
        inner = np.flatnonzero(self.features != kernels.LEAF)
        shapes = self.thresholds.shape == self.values.shape == (nodes,) and self.children.shape == (nodes, 2)
        ptr = self.forest_ptr
        sound = (
            shapes
            and bool(((self.features >= kernels.LEAF) & (self.features < columns)).all())
            and bool((self.children[inner] > inner[:, None]).all() and (self.children[inner] < nodes).all())
            and bool(((self.roots >= 0) & (self.roots < nodes)).all())
            and ptr.shape == (outputs + 1,)
            and bool(ptr[0] == 0 and ptr[-1] == self.roots.size and (np.diff(ptr) >= 0).all())
            and bool(np.isfinite(self.values).all() and not np.isnan(self.thresholds).any())
        )
        if not sound:
            raise FileFormatError(f"{source}: the trees must be valid: finite, each child behind its parent")


def _append(node: Mapping[str, Any], nodes: list[tuple[int, float, int, int, float]]) -> int:
    """Append a node of LightGBM's dump and those below it; return its index."""
    index = len(nodes)
    if "split_feature" not in node:
        nodes.append((kernels.LEAF, 0.0, 0, 0, float(node["leaf_value"])))
        return index
    if node["decision_type"] != "<=":
        raise ValueError(f"only numerical splits are supported, got {node['decision_type']!r}")
    nodes.append((0, 0.0, 0, 0, 0.0))
    left = _append(node["left_child"], nodes)
    right = _append(node["right_child"], nodes)
    nodes[index] = (int(node["split_feature"]), float(node["threshold"]), left, right, 0.0)
    return index
