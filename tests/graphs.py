"""Graphs for tests, as MXNet writes them."""

import json


def graph_text(*nodes, heads=None, **more):
    """Nodes as (op, name, attrs, inputs); the last one is the output."""
    listed = [{"op": op, "name": name, "attrs": attrs, "inputs": [[i, 0, 0] for i in inputs]}
              for op, name, attrs, inputs in nodes]
    heads = [[len(nodes) - 1, 0, 0]] if heads is None else heads
    return json.dumps({"nodes": listed, "arg_nodes": [], "heads": heads, **more})


DATA = ("null", "data", {"__shape__": "(0, 1, 4, 4)"}, [])
