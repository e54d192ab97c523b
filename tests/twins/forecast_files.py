"""Slow, obvious twins of what is done with programs' files."""

import math


def neighbourhood(num_nodes, edges, start, hops):
    """Return the nodes within so many edges of the start, either way, ascending."""
    neighbours = {node: set() for node in range(num_nodes)}
    for consumer, producer in edges:
        neighbours[consumer].add(producer)
        neighbours[producer].add(consumer)
    reached = set(start)
    for _ in range(hops):
        reached |= {other for node in reached for other in neighbours[node]}
    return sorted(reached)


def merged(configurations, targets, rows):
    """Return (first rows ascending, each row's group, the groups' mean targets)."""
    groups, members = [], []
    for row in sorted(rows):
        for group in members:
            if (configurations[group[0]] == configurations[row]).all():
                group.append(row)
                break
        else:
            members.append([row])
    for row in rows:
        groups.append(next(i for i, group in enumerate(members) if row in group))
    means = [math.fsum(targets[row] for row in group) / len(group) for group in members]
    return [group[0] for group in members], groups, means


def noise(groups, targets):
    """Return (median over repeated groups of spread / mean, pooled deviation of logs)."""
    spreads, squares, freedom = [], [], 0
    for group in sorted(set(groups)):
        values = [target for target, owner in zip(targets, groups, strict=True) if owner == group]
        if len(values) > 1:
            spreads.append((max(values) - min(values)) / (sum(values) / len(values)))
        logs = [math.log(value) for value in values]
        mean = sum(logs) / len(logs)
        squares += [(log - mean) ** 2 for log in logs]
        freedom += len(values) - 1
    spreads.sort()
    middle = len(spreads) // 2
    median = spreads[middle] if len(spreads) % 2 else (spreads[middle - 1] + spreads[middle]) / 2
    return median, math.sqrt(sum(squares) / freedom)


def one_hots(layout):
    """Return for each place six numbers: which dimension stands there."""
    return [1.0 if entry == dimension else 0.0 for entry in layout for dimension in range(6)]


def encoded_layout(row, shape):
    """Return the numbers of one node's configuration of 18 entries, the node's output having a shape of six sizes."""
    tensors = [row[0:6], row[6:12], row[12:18]]
    is_open = [float(all(entry == -1 for entry in tensor)) for tensor in tensors]
    first, second = (shape[entry] if entry >= 0 else 0 for entry in row[:2])
    minor = [math.log1p(first), math.log1p(second), share(first, 128), share(second, 8)]
    return [*one_hots(row), *is_open, float(all(is_open)), *minor]


def share(size, unit):
    """Return how much of whole units a size fills."""
    return size / (math.ceil(size / unit) * unit) if size else 0.0


def encoded_node(row):
    """Return the numbers of one operation with 140 features, one group after the other."""
    shape = [row[column] for column in range(21, 27)]
    layout = [row[column] for column in range(134, 140)]
    rank = max([k + 1 for k in range(6) if shape[k] != 0], default=0)
    if row[28] == 0:
        rank = max(rank, 1)
    if max(layout) > 0:
        rank = max(rank, int(max(layout)) + 1)
    rank = min(rank, 6)
    sizes = [*range(21, 31), *range(37, 93), *range(107, 133)]
    return [
        *(row[column] for column in [0, *range(2, 21), 133]),
        *(math.copysign(math.log1p(abs(row[column])), row[column]) for column in sizes),
        *(row[column] / 6 for column in [*range(31, 37), *range(93, 107)]),
        *(1.0 if value == rank else 0.0 for value in range(7)),
        *one_hots([int(layout[k]) if k < rank and 0 <= layout[k] <= 5 else -1 for k in range(6)]),
        *(share(size, 128) for size in shape),
        *(share(size, 8) for size in shape),
    ]
