"""Print the pipeline as a Mermaid graph: `dvc dag`, with one chain standing for every model.

A file that several stages read gives `dvc dag` an arrow to each; only the arrows that no longer
way already implies are printed.
"""

import networkx as nx
from dvc.repo import Repo


def main() -> None:
    """Read the graph from DVC, fold `stage@model` into `stage`, and print it."""
    graph = nx.DiGraph()
    for stage, needed in Repo().index.graph.edges:
        later, earlier = (name.addressing.split("@")[0] for name in (stage, needed))
        graph.add_edge(earlier, later)
    per_model = {s.addressing.split("@")[0] for s in Repo().index.stages if "@" in s.addressing}
    print("flowchart LR")
    for name in sorted(per_model):
        print(f"    {name}([{name}@model])")
    for earlier, later in sorted(nx.transitive_reduction(graph).edges):
        print(f"    {earlier} --> {later}")


if __name__ == "__main__":
    main()
