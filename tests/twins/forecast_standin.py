"""The stand-in's machine once more, slow and from a file's arrays alone: what its documentation says."""

import numpy as np

ELEMENTWISE = {2, 25, 32, 37, 57, 59, 60, 66, 83, 95}
BYTES = {3: 1, 6: 4, 7: 8, 10: 4, 13: 4, 15: 2}  # by the column of the element type
USUAL = {26: 0.3, 34: 0.3, 75: 0.2}
MORE = {26: (0.30, 0.20, 0.12, 0.12), 34: (0.25, 0.20, 0.15, 0.10), 75: (0.25, 0.20, 0.0, 0.0)}
COPY = 0.45


def dims(features):
    return [int(size) for size in features[21:27] if size]


def num_bytes(features):
    (kind,) = [column for column in range(2, 21) if features[column]]
    elements = 1
    for size in dims(features):
        elements *= size
    return elements * BYTES[kind]


def listed(values, width):
    """Return the columns of a list: values padded with 0, sum, product (1 of nothing)."""
    product = 1
    for value in values:
        product *= value
    return [*values, *[0] * (width - len(values)), sum(values), product]


def rate(opcode, row):
    tensors = [[int(entry) for entry in row[first : first + 6] if entry >= 0] for first in (0, 6, 12)]
    off = [0.5 if not layout else float(layout[0] != max(layout)) for layout in tensors]
    output, given, kernel, crossed = MORE[opcode]
    return USUAL[opcode] + output * off[0] + given * off[1] + kernel * off[2] + crossed * abs(off[1] - off[2])


def paths(graph, configurable):
    """Return (producer, consumer) of every path of at most three edges through elementwise operations."""
    readers = {}
    for consumer, producer in graph.edges.tolist():
        readers.setdefault(producer, []).append(consumer)
    ends = set(configurable.tolist())

    def walk(source, node, hops):
        for reader in readers.get(node, []):
            if reader in ends:
                found.append((source, reader))
            elif hops < 3 and int(graph.opcodes[reader]) in ELEMENTWISE:
                walk(source, reader, hops + 1)

    found = []
    for node in configurable.tolist():
        walk(node, node, 1)
    return found


def work(graph, configurable, rows):
    """Return the work of one configuration, int8 [nc, 18], in bytes at rate 1."""
    row = {int(node): rows[place].tolist() for place, node in enumerate(configurable)}
    total = 0.0
    for node, layouts in row.items():
        total += num_bytes(graph.node_features[node]) * rate(int(graph.opcodes[node]), layouts)
    for producer, consumer in paths(graph, configurable):
        given, wanted = row[producer][0], row[consumer][6]
        if given >= 0 and wanted >= 0 and given != wanted:
            total += COPY * num_bytes(graph.node_features[producer])
    return total


def spills(graph, configurable, rows):
    """Return the nodes whose three tensors all have the slow order."""
    found = []
    for place, node in enumerate(configurable.tolist()):
        layouts = [[int(entry) for entry in rows[place][first : first + 6] if entry >= 0] for first in (0, 6, 12)]
        if all(layout and layout[0] != max(layout) for layout in layouts):
            found.append(node)
    return found


def tile_columns(bounds):
    product = 1
    for bound in bounds:
        product *= bound
    return [*bounds, *[0] * (6 - len(bounds)), sum(bounds), product if bounds else 0]


def same_line(x, y):
    """Return the largest deviation of y from the line through all points, over the spread of y."""
    slope, level = np.polyfit(x, y, 1)
    return np.abs(slope * x + level - y).max() / np.ptp(y)
